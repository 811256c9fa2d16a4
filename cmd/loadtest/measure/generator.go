package measure

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/yaml"

	"github.com/idp-bot/idp/bot/github/githubtest"
	"github.com/idp-bot/idp/gitops"
	"github.com/idp-bot/idp/gitops/clustertest"
	"github.com/idp-bot/idp/gitops/repo/gittest"
)

// The generator's repository is of an organisation where idp is not installed.
const (
	generatorOrg  = "globex"
	generatorRepo = "web"
	// hourly is how often the generator looks by itself where it has a webhook: its own
	// default.
	hourly = 30 * time.Minute
)

// generators measures Argo CD's own pull-request generator, set up as its documentation
// says: an ApplicationSet that asks GitHub for open pull requests, and makes an Application of
// each, of plain manifests at its head. The manifests are what idp renders; each pull
// request names its image in them.
type generators struct {
	*measuring
	app          *githubtest.App
	installation *githubtest.Installation
	repo         *githubtest.Repository
	served       *gittest.Repository
	// base is the first commit, labels what idp puts on a preview's namespace.
	base   string
	labels map[string]string
	// deployment is the file that names the image.
	deployment gitops.File
	image      string
	made       int
}

func (m *measuring) generators(ctx context.Context) error {
	if !m.o.Generator {
		return nil
	}
	g := &generators{measuring: m}
	if err := g.setUp(ctx); err != nil {
		return fmt.Errorf("set the pull-request generator up: %w", err)
	}
	if err := g.hooked(ctx); err != nil {
		return err
	}
	return g.polled(ctx)
}

// setUp makes the repository, the token and the webhook.
func (g *generators) setUp(ctx context.Context) error {
	secret := randomHex(32)
	g.app = g.github.AddApp(githubtest.AppOptions{
		Slug: "argocd", Owner: generatorOrg, Events: []string{"pull_request"},
		Permissions: map[string]string{"metadata": "read", "contents": "read", "pull_requests": "read"},
	})
	g.installation = g.app.Install(generatorOrg, githubtest.InstallOptions{})
	if err := g.makeRepository(ctx); err != nil {
		return err
	}
	g.app.SetWebhook(g.cluster.ApplicationSetHook, secret)
	if err := g.cluster.Apply(ctx, []byte(secretYAML("argocd-secret", "webhook.github.secret", secret)+
		secretYAML("generator", "token", g.installation.Token()))); err != nil {
		return err
	}
	// It reads the webhook's secret when it starts.
	if err := g.cluster.StopPart(clustertest.ApplicationSetController); err != nil {
		return err
	}
	return g.cluster.StartPart(ctx, clustertest.ApplicationSetController)
}

func secretYAML(name, key, value string) string {
	return fmt.Sprintf("---\napiVersion: v1\nkind: Secret\nmetadata: {name: %s, namespace: %s}\ndata: {%s: %s}\n",
		name, clustertest.ArgoCDNamespace, key, base64.StdEncoding.EncodeToString([]byte(value)))
}

// makeRepository makes the repository with the manifests of a preview, in git and on GitHub.
func (g *generators) makeRepository(ctx context.Context) (err error) {
	files, err := g.manifests()
	if err != nil {
		return err
	}
	if g.served, err = g.cluster.Git.Create(ctx, generatorOrg+"/"+generatorRepo); err != nil {
		return err
	}
	g.repo = g.github.AddRepository(generatorOrg+"/"+generatorRepo, githubtest.RepositoryOptions{})
	g.repo.Mirror(g.served)
	g.base, err = g.served.Commit(ctx, branch, gittest.Edit{Message: "Begin", Put: files})
	return err
}

// manifests are the objects that idp committed for a preview, without the namespace that
// they are in: the Application names it, and Argo CD makes it.
func (g *generators) manifests() ([]gitops.File, error) {
	var out []gitops.File
	for _, file := range g.hand.files {
		if !strings.HasPrefix(file.Path, g.hand.like.ManifestsDir()+"/") {
			continue
		}
		objects, err := clustertest.Decode(file.Content)
		if err != nil {
			return nil, err
		}
		for _, object := range objects {
			if object.GroupVersionKind() == corev1.SchemeGroupVersion.WithKind("Namespace") {
				g.labels = object.GetLabels()
				continue
			}
			object.SetNamespace("")
			content, err := yaml.Marshal(object.Object)
			if err != nil {
				return nil, err
			}
			made := gitops.File{Path: "manifests/" + strings.ToLower(object.GetKind()+"-"+object.GetName()) + ".yaml", Content: content}
			if object.GroupVersionKind() == appsv1.SchemeGroupVersion.WithKind("Deployment") {
				g.deployment, g.image = made, imageOf(string(content))
			}
			out = append(out, made)
		}
	}
	if len(g.labels) == 0 || g.image == "" {
		return nil, fmt.Errorf("what idp committed has labels %v and image %q", g.labels, g.image)
	}
	return out, nil
}

// imageOf is the image that a manifest names.
func imageOf(manifest string) string {
	for line := range strings.Lines(manifest) {
		if _, image, ok := strings.Cut(line, "image: "); ok {
			return strings.TrimSpace(image)
		}
	}
	return ""
}

// open makes a branch whose deployment has an image of its own, and opens its pull
// request.
func (g *generators) open(ctx context.Context) (opened time.Time, pr *githubtest.PullRequest, err error) {
	g.made++
	head := fmt.Sprintf("change-%d", g.made)
	image, err := g.pushImage(ctx, fmt.Sprintf("generator-%d", g.made))
	if err != nil {
		return opened, nil, err
	}
	if err := g.served.Point(ctx, head, g.base); err != nil {
		return opened, nil, err
	}
	changed := gitops.File{Path: g.deployment.Path, Content: []byte(strings.ReplaceAll(string(g.deployment.Content), g.image, image))}
	if _, err := g.served.Commit(ctx, head, gittest.Edit{Message: "Change", Put: []gitops.File{changed}}); err != nil {
		return opened, nil, err
	}
	opened = time.Now()
	pr, err = g.repo.OpenPullRequest(githubtest.PullRequestOptions{Author: developer, Title: "Change", Head: head})
	return opened, pr, err
}

// generator is an ApplicationSet as the documentation of the generator has it.
type generator struct {
	name string
	// every is how often it asks GitHub by itself.
	every time.Duration
}

func (g generator) application(pr *githubtest.PullRequest) string {
	return fmt.Sprintf("%s-%d", g.name, pr.Number())
}

func (g *generators) apply(ctx context.Context, set generator) error {
	g.github.ForgetRequests()
	content, err := json.Marshal(map[string]any{
		"apiVersion": applicationSets.GroupVersion().String(), "kind": applicationSets.Kind,
		"metadata": map[string]any{"name": set.name, "namespace": clustertest.ArgoCDNamespace},
		"spec": map[string]any{
			"goTemplate": true, "goTemplateOptions": []string{"missingkey=error"},
			"generators": []any{map[string]any{"pullRequest": map[string]any{
				"github": map[string]any{
					"owner": generatorOrg, "repo": generatorRepo, "api": g.github.HTMLURL(), // it appends /api/v3/
					"tokenRef": map[string]any{"secretName": "generator", "key": "token"},
				},
				"requeueAfterSeconds": int(set.every.Seconds()),
			}}},
			"template": map[string]any{
				"metadata": map[string]any{"name": set.name + "-{{ .number }}"},
				"spec": map[string]any{
					"project":     "default",
					"source":      map[string]any{"repoURL": g.served.URL, "targetRevision": "{{ .head_sha }}", "path": "manifests"},
					"destination": map[string]any{"server": "https://kubernetes.default.svc", "namespace": set.name + "-{{ .number }}"},
					"syncPolicy": map[string]any{
						"automated": map[string]any{"prune": true, "selfHeal": true}, "syncOptions": []string{"CreateNamespace=true"},
						"managedNamespaceMetadata": map[string]any{"labels": g.labels},
					},
				},
			},
		},
	})
	if err != nil {
		return err
	}
	return g.cluster.Apply(ctx, content)
}

var (
	applicationSets = schema.GroupVersionKind{Group: "argoproj.io", Version: "v1alpha1", Kind: "ApplicationSet"}
	namespaces      = corev1.SchemeGroupVersion.WithKind("Namespace")
)

// hooked opens pull requests one by one, each of which GitHub tells the generator of.
func (g *generators) hooked(ctx context.Context) error {
	set := generator{name: "hooked", every: hourly}
	if err := g.apply(ctx, set); err != nil {
		return err
	}
	if err := g.listens(ctx); err != nil {
		return err
	}
	var took []time.Duration
	var applications []string
	for range g.o.PRs {
		opened, pr, err := g.open(ctx)
		if err != nil {
			return err
		}
		at, err := g.seen.await(ctx, healthy(set.application(pr)))
		if err != nil {
			return fmt.Errorf("the pull-request generator, told by webhook: %w", err)
		}
		took, applications = append(took, at.Sub(opened)), append(applications, set.application(pr))
	}
	n := len(g.repositories)
	g.count(byHooked, n, g.asked())
	g.record(hookedHealthy, n, took)
	return g.remove(ctx, set, applications)
}

// asked is what the generator has asked GitHub for.
func (g *generators) asked() Requests {
	return countRequests(g.github.Requests(), g.app, g.installation)
}

// listens waits until the generator has asked for the first time, and counts from there.
func (g *generators) listens(ctx context.Context) error {
	for g.asked().Reads == 0 {
		if err := wait(ctx, look); err != nil {
			return err
		}
	}
	if err := g.settle(ctx); err != nil {
		return err
	}
	g.github.ForgetRequests()
	return nil
}

// polled opens as many, spread over the time between two looks, and nobody is told.
func (g *generators) polled(ctx context.Context) error {
	g.app.SetWebhook("", "")
	set := generator{name: "polled", every: g.o.Poll}
	if err := g.apply(ctx, set); err != nil {
		return err
	}
	if err := g.listens(ctx); err != nil {
		return err
	}
	opened := map[string]time.Time{}
	var applications []string
	for range g.o.PRs {
		at, pr, err := g.open(ctx)
		if err != nil {
			return err
		}
		application := set.application(pr)
		opened[application], applications = at, append(applications, application)
		if err := wait(ctx, g.o.Poll/time.Duration(g.o.PRs)-time.Since(at)); err != nil {
			return err
		}
	}
	var took []time.Duration
	for _, application := range applications {
		at, err := g.seen.await(ctx, healthy(application))
		if err != nil {
			return fmt.Errorf("the pull-request generator, without a webhook: %w", err)
		}
		took = append(took, at.Sub(opened[application]))
	}
	n := len(g.repositories)
	g.count(byPolled, n, g.asked())
	g.record(polledHealthy, n, took)
	return g.remove(ctx, set, applications)
}

// remove deletes the ApplicationSet, which takes its Applications along, and then the
// namespaces, which it leaves behind.
func (g *generators) remove(ctx context.Context, set generator, applications []string) error {
	for _, pr := range g.repo.PullRequests() {
		pr.Close(developer)
	}
	sets, err := g.cluster.Resource(applicationSets, clustertest.ArgoCDNamespace)
	if err != nil {
		return err
	}
	if err := sets.Delete(ctx, set.name, metav1.DeleteOptions{}); err != nil {
		return fmt.Errorf("delete ApplicationSet %s: %w", set.name, err)
	}
	of, err := g.cluster.Resource(namespaces, "")
	if err != nil {
		return err
	}
	for _, name := range applications {
		if err := g.awaitGone(ctx, name); err != nil {
			return err
		}
		if err := of.Delete(ctx, name, metav1.DeleteOptions{}); err != nil {
			return fmt.Errorf("delete namespace %s: %w", name, err)
		}
	}
	for _, name := range applications {
		if _, err := g.seen.await(ctx, left(name)); err != nil {
			return err
		}
	}
	return g.settle(ctx)
}

// awaitGone waits until Argo CD has taken an Application's objects away.
func (g *generators) awaitGone(ctx context.Context, application string) error {
	_, err := g.seen.await(ctx, deleted(application))
	return err
}
