package argocdtest_test

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/argoproj/argo-cd/v2/pkg/apis/application/v1alpha1"
	"github.com/google/go-cmp/cmp"

	"github.com/idp-bot/idp/gitops"
	"github.com/idp-bot/idp/gitops/argocd"
	"github.com/idp-bot/idp/gitops/argocd/argocdtest"
	"github.com/idp-bot/idp/gitops/platform"
	"github.com/idp-bot/idp/gitops/repo/gittest"
	"github.com/idp-bot/idp/gitops/secret"
	"github.com/idp-bot/idp/gitops/secret/secrettest"
)

var token = secrettest.New("argocd")

// cluster is an Argo CD over a GitOps repository that lists previews.
type cluster struct {
	*testing.T
	repository *gittest.Repository
	server     *argocdtest.Server
	client     *argocd.Client
}

func start(t *testing.T) *cluster {
	t.Helper()
	git, err := gittest.Start(t.Context(), secrettest.Dir(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = git.Close() })
	c := &cluster{T: t}
	if c.repository, err = git.Create(t.Context(), "acme/gitops"); err != nil {
		t.Fatal(err)
	}
	c.server, err = argocdtest.Start(argocdtest.Options{Token: token, Root: "root", Repository: c.repository, Branch: "main", Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.server.Close() })
	c.client = c.bearing(token)
	return c
}

func (c *cluster) bearing(token string) *argocd.Client {
	c.Helper()
	client, err := argocd.New(argocd.Options{URL: c.server.URL(), Token: secret.New(token)})
	if err != nil {
		c.Fatal(err)
	}
	return client
}

func ref(pr int) gitops.EnvironmentRef {
	return gitops.EnvironmentRef{RepositoryID: 7, Owner: "acme", Repo: "web", ID: gitops.PreviewID(pr)}
}

// commit lists previews, each with one Deployment, and returns the commit.
func (c *cluster) commit(image string, prs ...int) string {
	c.Helper()
	class := platform.Default()
	class.RepoURL = c.repository.URL
	edit := gittest.Edit{Message: "Change"}
	var elements []argocd.Element
	for _, pr := range prs {
		elements = append(elements, argocd.Element{Ref: ref(pr)})
		edit.Put = append(edit.Put, gitops.File{
			Path:    ref(pr).ManifestsDir() + "/web-deployment.yaml",
			Content: []byte("kind: Deployment\nmetadata: {name: web, annotations: {image: " + image + "}}\n"),
		})
	}
	set, err := argocd.ApplicationSet(7, "web", class, elements)
	if err != nil {
		c.Fatal(err)
	}
	edit.Put = append(edit.Put, set)
	commit, err := c.repository.Commit(c.Context(), "main", edit)
	if err != nil {
		c.Fatal(err)
	}
	return commit
}

func (c *cluster) sync(name string) {
	c.Helper()
	if err := c.server.Sync(c.Context(), name); err != nil {
		c.Fatal(err)
	}
}

func (c *cluster) application(pr int) argocd.Application {
	c.Helper()
	app, err := c.client.Application(c.Context(), ref(pr).Name())
	if err != nil {
		c.Fatal(err)
	}
	return app
}

// An Application lives as Argo CD's do: it comes with its element, rolls out what
// it syncs, is out of sync when its files change and in sync when others do.
func TestLife(t *testing.T) {
	t.Parallel()
	c := start(t)
	first := c.commit("one", 1)
	if _, err := c.client.Application(t.Context(), ref(1).Name()); !errors.Is(err, argocd.ErrNotFound) {
		t.Errorf("before the root is synced: %v", err)
	}
	c.sync("root")
	if app := c.application(1); app.Sync != "OutOfSync" || app.Health != "Missing" || app.SyncedRevision != "" {
		t.Errorf("new: %+v", app)
	}
	c.sync(ref(1).Name())
	if app := c.application(1); app.Sync != "Synced" || app.Health != "Progressing" || app.SyncedRevision != first {
		t.Errorf("synced: %+v", app)
	}
	if err := c.server.SetHealth(ref(1).Name(), "Degraded", "crash loop"); err != nil {
		t.Fatal(err)
	}
	second := c.commit("one", 1, 2)
	if err := c.client.Refresh(t.Context(), ref(1).Name()); err != nil {
		t.Fatal(err)
	}
	if app := c.application(1); app.SyncedRevision != second || app.Message != "Deployment web: crash loop" {
		t.Errorf("another's commit: %+v", app)
	}
	third := c.commit("two", 1, 2)
	if err := c.server.Fail(t.Context(), ref(1).Name(), "exceeded quota"); err != nil {
		t.Fatal(err)
	}
	if app := c.application(1); app.Sync != "OutOfSync" || app.SyncedRevision != first || !app.SyncFailed() || app.OperationRevision != third || app.Error != "exceeded quota" {
		t.Errorf("failed: %+v", app)
	}
	c.commit("two", 2)
	c.sync("root")
	if app := c.application(1); !app.Deleting {
		t.Errorf("listed no more: %+v", app)
	}
	c.sync("all")
	if _, err := c.client.Application(t.Context(), ref(1).Name()); !errors.Is(err, argocd.ErrNotFound) {
		t.Errorf("taken down: %v", err)
	}
	if app := c.application(2); app.Sync != "Synced" {
		t.Errorf("another: %+v", app)
	}
}

func TestRefreshed(t *testing.T) {
	t.Parallel()
	c := start(t)
	for range 2 {
		if err := c.client.Refresh(t.Context(), "root"); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.client.Refresh(t.Context(), "other"); !errors.Is(err, argocd.ErrNotFound) {
		t.Error(err)
	}
	if diff := cmp.Diff([]string{"root"}, c.server.TakeRefreshed()); diff != "" {
		t.Error(diff)
	}
	if again := c.server.TakeRefreshed(); len(again) > 0 {
		t.Errorf("told twice: %v", again)
	}
}

func TestWhoMayAsk(t *testing.T) {
	t.Parallel()
	c := start(t)
	for _, wrong := range []string{"", "other"} {
		if _, err := c.bearing(wrong).Application(t.Context(), "root"); !errors.Is(err, argocd.ErrUnauthorized) {
			t.Errorf("with the token %q: %v", wrong, err)
		}
	}
	c.server.SetAway(true)
	if _, err := c.client.Ping(t.Context()); err == nil {
		t.Error("it answers while it is away")
	}
	c.server.SetAway(false)
	if _, err := c.client.Ping(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestList(t *testing.T) {
	t.Parallel()
	c := start(t)
	c.commit("one", 1, 2)
	c.sync("all")
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, c.server.URL()+"/api/v1/applications", nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+token)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	var list v1alpha1.ApplicationList
	if err := json.Unmarshal(body, &list); err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, app := range list.Items {
		names = append(names, app.Name)
	}
	if diff := cmp.Diff([]string{ref(1).Name(), ref(2).Name(), "root"}, names); diff != "" {
		t.Error(diff)
	}
}
