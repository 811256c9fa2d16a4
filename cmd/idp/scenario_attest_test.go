package main

import (
	"bytes"
	"cmp"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/idp-bot/idp/bot/github/githubtest"
	"github.com/idp-bot/idp/gitops/provenance"
	"github.com/idp-bot/idp/gitops/provenance/provenancetest"
)

// trust is the Sigstore of the scenario, made at its first use.
func (p *play) trust(ts *testscript.TestScript) *provenancetest.Sigstore {
	if p.sigstore == nil {
		var err error
		p.sigstore, err = provenancetest.New()
		ts.Check(err)
	}
	return p.sigstore
}

// trustedRoot puts the Sigstore's trusted root where a file names it.
func (p *play) trustedRoot(ts *testscript.TestScript, text string) string {
	if !strings.Contains(text, "$SIGSTORE") {
		return text
	}
	root, err := p.trust(ts).Root()
	ts.Check(err)
	return strings.ReplaceAll(text, "$SIGSTORE", string(root))
}

// digestOf is the digest of the image of a commit, as the registry has it.
func (p *play) digestOf(ts *testscript.TestScript, r *githubtest.Repository, sha string) string {
	ref, err := name.ParseReference(fmt.Sprintf("%s/%s:%s", p.world.registryAddr, strings.ToLower(r.FullName()), sha), name.Insecure)
	ts.Check(err)
	image, err := remote.Head(ref, remote.WithContext(p.ctx))
	ts.Check(err)
	return image.Digest.String()
}

// report reports an image as a job of GitHub Actions does: with the token that this gives
// it, and the program.
func (p *play) report(ts *testscript.TestScript, args []string) {
	pr, more := p.pull(ts, args[0]), options(args[2:])
	r := p.home(ts, pr)
	command := []string{"image", "report", "--service", args[1]}
	digest := option(more, "digest", "")
	if digest == "" {
		digest = p.digestOf(ts, r, p.sha(ts, "{"+option(more, "of", args[0]+"@1")+"}"))
	}
	command = append(command, "--digest", digest)
	if sha := option(more, "sha", ""); sha != "" {
		command = append(command, "--sha", p.sha(ts, "{"+sha+"}"))
	}
	branch := option(more, "branch", "")
	if branch != "" {
		pr = nil
	}
	actions := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, asked *http.Request) {
		token, err := r.WorkflowToken(branch, "alice", asked.URL.Query().Get("audience"), pr)
		if err != nil || asked.Header.Get("Authorization") != "Bearer of the job" {
			http.Error(w, fmt.Sprint(err), http.StatusForbidden)
			return
		}
		fmt.Fprintf(w, `{"value":%q}`, token)
	}))
	defer actions.Close()
	var stdout, stderr bytes.Buffer
	status := searchedRun(p.ctx, ts, command, strings.NewReader(""), &stdout, &stderr, []string{
		serverVariable + "=http://" + p.world.main.Addr(), actionsTokenURL + "=" + actions.URL + "?api-version=2.0", actionsTokenToken + "=of the job", actionsRepository + "=" + r.FullName(),
	})
	_, err := fmt.Fprintf(ts.Stdout(), "%s%sstatus %d\n", p.plain(stdout.String()), p.plain(stderr.String()), status)
	ts.Check(err)
}

// attest lets a workflow attest where it built the image of a commit, as
// actions/attest-build-provenance does.
func (p *play) attest(ts *testscript.TestScript, args []string) {
	alias, _, named := strings.Cut(args[0], "@")
	pr, more := p.pull(ts, alias), options(args[1:])
	r, sha := p.home(ts, pr), pr.HeadSHA()
	if named {
		sha = p.sha(ts, "{"+args[0]+"}")
	}
	bundle, err := p.trust(ts).Attest(p.digestOf(ts, r, sha), provenancetest.Build{Expectation: provenance.Expectation{
		Issuer: provenance.GitHubIssuer, Repository: p.world.github.HTMLURL() + "/" + cmp.Or(option(more, "of", ""), r.FullName()), RepositoryID: r.ID(),
		Workflow: option(more, "workflow", ".github/workflows/release.yml"), Ref: option(more, "ref", "refs/heads/"+r.DefaultBranch()), SHA: sha,
	}})
	ts.Check(err)
	ts.Check(r.Attest(bundle))
}
