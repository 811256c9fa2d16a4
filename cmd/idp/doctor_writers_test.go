package main

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/idp-bot/idp/bot/github"
	"github.com/idp-bot/idp/bot/github/githubtest"
	"github.com/idp-bot/idp/gitops"
	"github.com/idp-bot/idp/gitops/repo/gittest"
	"github.com/idp-bot/idp/gitops/secret/secrettest"
)

// writer has a second App write the GitOps repository, which is installed on repositories of
// acme's, and may do what such an App asks for but for a change.
func (p *patient) writer(change map[string]string, on ...string) {
	p.t.Helper()
	key, file, err := sharedKey()
	path := secrettest.Given(filepath.Join(p.options.dir, "writer.pem"))
	if err == nil {
		err = os.WriteFile(path, file, 0o600)
	}
	if err != nil {
		p.t.Fatal(err)
	}
	o := githubtest.AppOptions{Slug: "writer", Key: &key.PublicKey, Permissions: map[string]string{}}
	for _, needed := range github.WriterPermissions() {
		o.Permissions[needed.Name] = needed.Access
	}
	for name, access := range change {
		if o.Permissions[name] = access; access == "" {
			delete(o.Permissions, name)
		}
	}
	p.github.AddRepository("acme/another", githubtest.RepositoryOptions{})
	app := p.github.AddApp(o)
	app.Install("acme", githubtest.InstallOptions{Repositories: on})
	p.env["IDP_GITOPS_APP_ID"], p.env["IDP_GITOPS_PRIVATE_KEY_FILE"] = jsonNumber(app.ID()), path
}

// durable has a class name a GitOps repository of its own.
func (p *patient) durable(address string) {
	p.t.Helper()
	edit := gittest.Edit{Message: "Declare", Put: []gitops.File{{Path: "platform/classes/durable.yaml", Content: []byte("gitops_url: " + address + "\n")}}}
	if _, err := p.gitops.Commit(p.t.Context(), "main", edit); err != nil {
		p.t.Fatal(err)
	}
}

// TestDoctorOfWriters: a second App that writes the GitOps repository and no other, and a class's
// repository that the App writes, are well; idp's own App then needs to write no code.
func TestDoctorOfWriters(t *testing.T) {
	t.Parallel()
	p := newPatient(t)
	served, err := p.git.Create(t.Context(), "acme/durable")
	if err != nil {
		t.Fatal(err)
	}
	p.github.AddRepository("acme/durable", githubtest.RepositoryOptions{})
	p.durable(served.URL)
	p.writer(nil, "gitops", "durable")
	p.reregister(map[string]string{"contents": "read", "pull_requests": "write"}, nil)
	got, err := p.examine(formatTable)
	if err != nil {
		t.Errorf("%v:\n%s", err, got)
	}
	for _, want := range []string{
		`GitOps App +ok +writer, App ID: GitHub makes tokens for http://127\.0\.0\.1:PORT/acme/gitops\.git alone, to write contents and nothing else`,
		`GitHub permissions +ok `, `GitOps push +ok `,
		`GitOps repository of class durable +ok `, `GitOps push of class durable +ok `, `GitOps branch rules of class durable +ok `,
	} {
		if !regexp.MustCompile(want).MatchString(got) {
			t.Errorf("it does not say %q:\n%s", want, got)
		}
	}
}
