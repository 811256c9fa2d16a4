package argocd

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/argoproj/argo-cd/v2/pkg/apis/application/v1alpha1"
	"github.com/google/go-cmp/cmp"
	"github.com/idp-bot/idp/gitops/adopt"
	"github.com/idp-bot/idp/gitops/platform"
	"sigs.k8s.io/yaml"
)

func bootstrapOptions() BootstrapOptions {
	return BootstrapOptions{Class: class(), Root: "idp-root", Kinds: adopt.Committed()}
}

// durable is a class of another repository, cluster and project.
func durable() platform.Class {
	c := class()
	c.Name, c.RepoURL, c.Root = "durable", "https://git.example.com/acme/durable.git", "idp-durable-root"
	c.Project, c.DestinationServer = "idp-durable", "https://durable.example.com"
	return c
}

// TestBootstrapOfClasses: every class in use has its own fence, classes that agree
// share one, and nothing else of the bootstrap depends on them.
func TestBootstrapOfClasses(t *testing.T) {
	t.Parallel()
	alone, err := Bootstrap(bootstrapOptions())
	if err != nil {
		t.Fatal(err)
	}
	same := class()
	same.Name = "qa"
	o := bootstrapOptions()
	o.Classes = []platform.Class{same}
	if shared, err := Bootstrap(o); err != nil || !bytes.Equal(alone, shared) {
		t.Errorf("a class that differs in nothing adds to the bootstrap, %v", err)
	}
	o.Classes = []platform.Class{same, durable()}
	both, err := Bootstrap(o)
	if err != nil {
		t.Fatal(err)
	}
	o.Classes = []platform.Class{durable(), same}
	if again, err := Bootstrap(o); err != nil || !bytes.Equal(both, again) {
		t.Errorf("another order gives another bootstrap, %v", err)
	}
	got, before := objects(t, both), objects(t, alone)
	var added []string
	for name := range got {
		if before[name] == "" {
			added = append(added, name)
		} else if before[name] != got[name] {
			t.Errorf("%s changed:\n%s", name, cmp.Diff(before[name], got[name]))
		}
	}
	slices.Sort(added)
	if diff := cmp.Diff([]string{"AppProject idp-durable", "AppProject idp-durable-root", "Application idp-durable-root"}, added); diff != "" {
		t.Error(diff)
	}
	var project v1alpha1.AppProject
	if err := yaml.UnmarshalStrict([]byte(got["AppProject idp-durable"]), &project); err != nil {
		t.Fatal(err)
	}
	want := []v1alpha1.ApplicationDestination{{Server: "https://durable.example.com", Namespace: "idp-*"}}
	if !slices.Equal(project.Spec.Destinations, want) || !slices.Equal(project.Spec.SourceRepos, []string{durable().RepoURL}) {
		t.Errorf("the durable project lets %v into %v", project.Spec.SourceRepos, project.Spec.Destinations)
	}
}

// objects are the documents by kind and name.
func objects(t *testing.T, stream []byte) map[string]string {
	t.Helper()
	out := map[string]string{}
	for _, document := range strings.Split(string(stream), "---\n")[1:] {
		var object struct {
			Kind     string `json:"kind"`
			Metadata struct {
				Name string `json:"name"`
			} `json:"metadata"`
		}
		if err := yaml.Unmarshal([]byte(document), &object); err != nil {
			t.Fatal(err)
		}
		out[object.Kind+" "+object.Metadata.Name] = document
	}
	return out
}

func TestBootstrapRefusals(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		change func(*platform.Class)
		want   string
	}{
		"root of two repositories": {func(c *platform.Class) { c.Root = "" }, "give it an argocd_root of its own"},
		"project of two clusters":  {func(c *platform.Class) { c.Project = "idp-previews" }, "give it an argocd_project of its own"},
		"project of a root":        {func(c *platform.Class) { c.Project = "idp-root" }, "may hold lists alone"},
		"another Argo CD":          {func(c *platform.Class) { c.ArgoCDNamespace = "argocd-2" }, "one bootstrap is for one Argo CD"},
		"template in the branch":   {func(c *platform.Class) { c.Branch = "{{ .name }}" }, "{{"},
	} {
		c := durable()
		test.change(&c)
		o := bootstrapOptions()
		o.Classes = []platform.Class{c}
		if _, err := Bootstrap(o); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %s", name, err, test.want)
		}
	}
}

// TestEveryKindIsAllowed: the project and the sync account have a rule for all that
// may be committed.
func TestEveryKindIsAllowed(t *testing.T) {
	t.Parallel()
	stream, err := Bootstrap(bootstrapOptions())
	if err != nil {
		t.Fatal(err)
	}
	var project v1alpha1.AppProject
	if err := yaml.UnmarshalStrict([]byte(objects(t, stream)["AppProject idp-previews"]), &project); err != nil {
		t.Fatal(err)
	}
	if got := len(project.Spec.ClusterResourceWhitelist) + len(project.Spec.NamespaceResourceWhitelist); got != len(adopt.Committed())+len(shown) {
		t.Errorf("%d kinds are allowed, %d may be committed and %d come of them", got, len(adopt.Committed()), len(shown))
	}
	// Fault: a project hides what it does not let in, and with it which pod fails.
	for _, kind := range shown {
		if !slices.Contains(project.Spec.NamespaceResourceWhitelist, kind) {
			t.Errorf("Argo CD does not show %s", kind.Kind)
		}
	}
	if role := objects(t, stream)["ClusterRole idp-sync"]; !strings.Contains(role, "- analysistemplates\n") || !strings.Contains(role, "- rollouts\n") {
		t.Errorf("the sync account may not write rollouts:\n%s", role)
	}
}

// TestBaseObjectsAreAllowed: the kinds that a class gives its environments are let into its
// own project, and those of no other; no project lets a Secret in.
func TestBaseObjectsAreAllowed(t *testing.T) {
	t.Parallel()
	o, giving := bootstrapOptions(), durable()
	giving.Objects = []platform.BaseObjects{{Objects: []platform.BaseObject{
		{APIVersion: "external-secrets.io/v1", Kind: "ExternalSecret"}, {APIVersion: "v1", Kind: "ConfigMap"}, {APIVersion: "v1", Kind: "Service"},
		{APIVersion: "traefik.io/v1alpha1", Kind: "Middleware"}, {APIVersion: "gateway.envoyproxy.io/v1alpha1", Kind: "SecurityPolicy"},
	}}}
	plain := bootstrapOptions()
	plain.Classes = []platform.Class{durable()}
	o.Classes = []platform.Class{giving}
	kinds := func(o BootstrapOptions, project string) []string {
		stream, err := Bootstrap(o)
		if err != nil {
			t.Fatal(err)
		}
		var p v1alpha1.AppProject
		if err := yaml.UnmarshalStrict([]byte(objects(t, stream)["AppProject "+project]), &p); err != nil {
			t.Fatal(err)
		}
		var out []string
		for _, kind := range p.Spec.NamespaceResourceWhitelist {
			out = append(out, kind.Group+"/"+kind.Kind)
		}
		slices.Sort(out)
		return out
	}
	want := append(kinds(plain, "idp-durable"), "external-secrets.io/ExternalSecret", "traefik.io/Middleware", "gateway.envoyproxy.io/SecurityPolicy") // a ConfigMap may be there anyway
	slices.Sort(want)
	if diff := cmp.Diff(want, kinds(o, "idp-durable")); diff != "" {
		t.Errorf("of the class (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(kinds(plain, "idp-previews"), kinds(o, "idp-previews")); diff != "" {
		t.Errorf("of another (-want +got):\n%s", diff)
	}
	if slices.Contains(want, "/Secret") {
		t.Error("a Secret may be synced from Git")
	}
	stream, err := Bootstrap(o)
	if err != nil {
		t.Fatal(err)
	}
	role := objects(t, stream)["ClusterRole idp-sync"]
	if !strings.Contains(role, "- middlewares\n") || !strings.Contains(role, "- securitypolicies\n") {
		t.Errorf("the sync account may not write what guards previews:\n%s", role)
	}
	if !strings.Contains(role, "- externalsecrets\n") || !strings.Contains(role, "- configmaps\n") || strings.Contains(role, "- secrets\n") {
		t.Errorf("the sync account may write:\n%s", role)
	}
}
