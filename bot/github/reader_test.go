package github

import (
	"errors"
	"testing"

	"github.com/idp-bot/idp/bot"
	"github.com/idp-bot/idp/bot/github/githubtest"
	"github.com/idp-bot/idp/gitops/secret"
)

// TestAsPerson: somebody's own token reads, and nothing that would write is sent, whatever the
// token may do.
func TestAsPerson(t *testing.T) {
	t.Parallel()
	server := githubtest.New(githubtest.Options{})
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() })
	repo := server.AddRepository("acme/web", githubtest.RepositoryOptions{Files: map[string]string{"a": "b"}})
	key, _, err := githubtest.GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	app := server.AddApp(githubtest.AppOptions{Key: &key.PublicKey, Permissions: map[string]string{"contents": "write", "pull_requests": "write", "issues": "write"}})
	token := app.Install("acme", githubtest.InstallOptions{}).Token()
	server.ForgetRequests()
	reader, err := AsPerson(Options{APIURL: server.URL()}, secret.New(token))
	if err != nil {
		t.Fatal(err)
	}
	ref := bot.RepositoryRef{Owner: "acme", Name: "web"}
	if content, err := reader.Installation(0).File(t.Context(), ref, "a", repo.Branch("main")); err != nil || string(content) != "b" {
		t.Errorf("%q, %v", content, err)
	}
	if err := reader.Installation(0).React(t.Context(), ref, 1, "eyes"); !errors.Is(err, ErrReadOnly) {
		t.Errorf("a reaction: %v", err)
	}
	if asked := server.Requests(); len(asked) != 1 || asked[0].Method != "GET" {
		t.Errorf("it sent %v", asked)
	}
	if _, err := AsPerson(Options{APIURL: "nowhere"}, secret.New(token)); err == nil {
		t.Error("a URL that is none is taken")
	}
}
