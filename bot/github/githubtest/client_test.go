package githubtest_test

import (
	"crypto/x509"
	"encoding/pem"
	"net/http"
	"strings"
	"testing"

	"github.com/bradleyfalzon/ghinstallation/v2"
	"github.com/google/go-github/v60/github"

	"github.com/idp-bot/idp/bot/github/githubtest"
)

// client is go-github over ghinstallation, as the bot has it. ghinstallation
// checks no clock but the real one, so its server has that as well.
func client(t *testing.T, w *world) *github.Client {
	t.Helper()
	key := pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(w.key)})
	transport, err := ghinstallation.New(http.DefaultTransport, w.app.ID(), w.install.ID(), key)
	if err != nil {
		t.Fatal(err)
	}
	transport.BaseURL = strings.TrimSuffix(w.server.URL(), "/")
	c, err := github.NewClient(&http.Client{Transport: transport}).WithEnterpriseURLs(w.server.URL(), w.server.URL())
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestGoGitHub(t *testing.T) {
	t.Parallel()
	w := setup(t, func(o *githubtest.Options) { o.Now = nil })
	pr := w.open("feature")
	c, ctx := client(t, w), t.Context()

	got, _, err := c.PullRequests.Get(ctx, "acme", "web", 1)
	if err != nil || got.GetHead().GetSHA() != pr.HeadSHA() || got.GetMergeable() != true {
		t.Fatalf("%v %+v", err, got)
	}
	file, _, _, err := c.Repositories.GetContents(ctx, "acme", "web", ".idp/deploy.yaml", &github.RepositoryContentGetOptions{Ref: pr.HeadSHA()})
	if err != nil {
		t.Fatal(err)
	}
	if text, err := file.GetContent(); err != nil || text != "service:\n  name: web\n" {
		t.Errorf("%v %q", err, text)
	}
	run, _, err := c.Checks.CreateCheckRun(ctx, "acme", "web", github.CreateCheckRunOptions{
		Name: "idp / preview", HeadSHA: pr.HeadSHA(), Status: github.String("in_progress"),
		Output: &github.CheckRunOutput{Title: github.String("t"), Summary: github.String("s")},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.repo.Rename("alice", "site"); err != nil {
		t.Fatal(err)
	}
	if _, _, err := c.Checks.UpdateCheckRun(ctx, "acme", "site", run.GetID(), github.UpdateCheckRunOptions{Name: "idp / preview", Conclusion: github.String("success")}); err != nil {
		t.Fatal(err)
	}
	comment, _, err := c.Issues.CreateComment(ctx, "acme", "web", 1, &github.IssueComment{Body: github.String("by the former name")})
	if err != nil || comment.GetUser().GetLogin() != w.app.Login() {
		t.Fatalf("%v %+v", err, comment)
	}
	w.server.Inject(githubtest.Fault{Status: 403, RetryAfter: 60e9, Secondary: true, Times: 1})
	_, _, err = c.Issues.GetComment(ctx, "acme", "site", comment.GetID())
	if _, limited := err.(*github.AbuseRateLimitError); !limited {
		t.Errorf("a secondary limit reads as %v", err)
	}
	for _, violation := range w.validator.Violations() {
		t.Error(violation)
	}
}
