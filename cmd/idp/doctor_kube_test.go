package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/yaml"
	fakediscovery "k8s.io/client-go/discovery/fake"
	fakedynamic "k8s.io/client-go/dynamic/fake"
	clienttesting "k8s.io/client-go/testing"

	"github.com/idp-bot/idp/gitops/adopt"
	"github.com/idp-bot/idp/gitops/argocd"
	"github.com/idp-bot/idp/gitops/cluster"
	"github.com/idp-bot/idp/gitops/platform"
)

// wellCluster has all that previews stand on, an object in each part.
var wellCluster = map[string]string{
	"gateway": `
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: previews, namespace: gateway}
spec:
  gatewayClassName: envoy
  listeners:
  - {name: web, port: 443, protocol: HTTPS, hostname: "*.preview.example.com", allowedRoutes: {namespaces: {from: Selector, selector: {matchLabels: {app.kubernetes.io/managed-by: idp}}}}}
status: {conditions: [{type: Programmed, status: "True"}]}`,
	"class": `
apiVersion: gateway.networking.k8s.io/v1
kind: GatewayClass
metadata: {name: envoy}
spec: {controllerName: gateway.envoyproxy.io/gatewayclass-controller}
status: {conditions: [{type: Accepted, status: "True"}]}`,
	"namespace": `
apiVersion: v1
kind: Namespace
metadata: {name: idp-web-pr-1-0123456789, labels: {app.kubernetes.io/managed-by: idp}}`,
	"secret": `
apiVersion: v1
kind: Secret
metadata: {name: registry, namespace: idp-web-pr-1-0123456789}`,
	"network": `
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: cilium, namespace: kube-system}`,
	"ingressclass": `
apiVersion: networking.k8s.io/v1
kind: IngressClass
metadata: {name: nginx, annotations: {ingressclass.kubernetes.io/is-default-class: "true"}}
spec: {controller: k8s.io/ingress-nginx}`,
}

// projectOf is the AppProject that idp bootstrap prints.
func projectOf(t *testing.T, x *examination) string {
	t.Helper()
	out, err := argocd.Bootstrap(argocd.BootstrapOptions{Class: x.previewClass(), Root: "idp-root", Kinds: adopt.Committed()})
	if err != nil {
		t.Fatal(err)
	}
	for _, document := range strings.Split(string(out), "\n---\n") {
		if strings.Contains(document, "kind: AppProject") && strings.Contains(document, "name: idp-previews\n") {
			return document
		}
	}
	t.Fatal("there is no AppProject idp-previews")
	return ""
}

// clusterOf reads a cluster of these objects, and fails the test where something is not read.
func clusterOf(t *testing.T, objects map[string]string) *cluster.Reader {
	t.Helper()
	var all []runtime.Object
	var gateway *unstructured.Unstructured // whose plural the stand-in would guess wrongly
	for name, text := range objects {
		object := &unstructured.Unstructured{}
		if err := yaml.Unmarshal([]byte(text), &object.Object); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if object.GetKind() == "Gateway" {
			gateway = object
			continue
		}
		all = append(all, object)
	}
	lists := map[schema.GroupVersionResource]string{
		gateways: "GatewayList", gatewayClasses: "GatewayClassList", ingressClasses: "IngressClassList", appProjects: "AppProjectList",
		kubeNamespaces: "NamespaceList", kubeSecrets: "SecretList", daemonSets: "DaemonSetList",
	}
	client := fakedynamic.NewSimpleDynamicClientWithCustomListKinds(runtime.NewScheme(), lists, all...)
	if gateway != nil {
		if err := client.Tracker().Create(gateways, gateway, gateway.GetNamespace()); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() {
		for _, action := range client.Actions() {
			if !slices.Contains([]string{"get", "list"}, action.GetVerb()) {
				t.Errorf("it did %s %s", action.GetVerb(), action.GetResource().Resource)
			}
		}
	})
	known := func(version string, kinds ...string) *metav1.APIResourceList {
		list := &metav1.APIResourceList{GroupVersion: version}
		for _, kind := range kinds {
			list.APIResources = append(list.APIResources, metav1.APIResource{Kind: kind})
		}
		return list
	}
	kinds := &fakediscovery.FakeDiscovery{Fake: &clienttesting.Fake{Resources: []*metav1.APIResourceList{
		known("v1", "Namespace", "ServiceAccount", "Service", "ResourceQuota", "LimitRange"), known("apps/v1", "Deployment"),
		known("networking.k8s.io/v1", "NetworkPolicy", "Ingress"), known("gateway.networking.k8s.io/v1", "HTTPRoute"),
	}}}
	return cluster.New(client, kinds)
}

// What a cluster has wrong is a failure with its fix, one thing at a time.
func TestDoctorOfTheCluster(t *testing.T) {
	t.Parallel()
	replace := func(part, old, new string) func(map[string]string) {
		return func(objects map[string]string) {
			if !strings.Contains(objects[part], old) {
				panic("there is no " + old)
			}
			objects[part] = strings.ReplaceAll(objects[part], old, new)
		}
	}
	without := func(part string) func(map[string]string) {
		return func(objects map[string]string) { delete(objects, part) }
	}
	for name, c := range map[string]struct {
		change func(map[string]string)
		key    string
		check  string
		state  verdict
		seen   string
	}{
		"well":                {nil, "", checkGateway, verdictOK, "listener web takes routes of previews"},
		"well project":        {nil, "", checkProject, verdictOK, "idp-previews, for previews, lets in all that is rendered"},
		"well secret":         {nil, "", checkPulling, verdictOK, "Secret registry is in the namespaces of previews"},
		"well network":        {nil, "", checkNetworks, verdictOK, "Cilium enforces them"},
		"well kinds":          {nil, "", checkKinds, verdictOK, "knows all"},
		"no gateway":          {without("gateway"), "", checkGateway, verdictFailure, "Gateway previews of namespace gateway is not there"},
		"no class":            {without("class"), "", checkGateway, verdictFailure, "is of class envoy, which is not there"},
		"class refused":       {replace("class", `"True"`, `"False", reason: InvalidParameters`), "", checkGateway, verdictFailure, "it is not Accepted: InvalidParameters"},
		"gateway not there":   {replace("gateway", `"True"`, `"False", reason: AddressNotAssigned`), "", checkGateway, verdictFailure, "it is not Programmed: AddressNotAssigned"},
		"nobody accepts it":   {replace("class", "Accepted", "Other"), "", checkGateway, verdictFailure, "nobody has said that it is Accepted"},
		"own namespace alone": {replace("gateway", "from: Selector", "from: Same"), "", checkGateway, verdictFailure, "takes routes of namespace gateway alone"},
		"others selected":     {replace("gateway", "managed-by: idp", "managed-by: team"), "", checkGateway, verdictFailure, "selects namespaces by other labels"},
		"everybody":           {replace("gateway", "from: Selector", "from: All"), "", checkGateway, verdictOK, "takes routes"},
		"another host":        {replace("gateway", "*.preview.example.com", "www.example.com"), "", checkGateway, verdictFailure, "is for www.example.com"},
		"above the zone":      {replace("gateway", "*.preview.example.com", "*.example.com"), "", checkGateway, verdictOK, "takes routes"},
		"another protocol":    {replace("gateway", "HTTPS", "TLS"), "", checkGateway, verdictFailure, "speaks TLS"},
		"no such listener":    {nil, "section", checkGateway, verdictFailure, `has no listener "internal"`},
		"ingress":             {nil, "ingress", checkGateway, verdictOK, "IngressClass nginx is the default"},
		"no ingress class":    {without("ingressclass"), "ingress", checkGateway, verdictFailure, "no IngressClass is the default"},
		"no project":          {without("project"), "", checkProject, verdictFailure, "idp-previews, for previews, is not there in namespace argocd"},
		"project elsewhere":   {replace("project", "https://git.example.com/gitops.git", "https://git.example.com/other.git"), "", checkProject, verdictFailure, "source repository https://git.example.com/gitops.git"},
		"project narrow":      {replace("project", "idp-*", "web-*"), "", checkProject, verdictFailure, "destination https://kubernetes.default.svc, namespaces idp-*"},
		"project poor":        {replace("project", "kind: NetworkPolicy", "kind: Other"), "", checkProject, verdictFailure, "kind NetworkPolicy"},
		"no secret":           {without("secret"), "", checkPulling, verdictFailure, "Secret registry is not in idp-web-pr-1-0123456789"},
		"no preview yet":      {without("namespace"), "", checkPulling, verdictSkipped, "there is no preview yet"},
		"no network":          {replace("network", "name: cilium", "name: kindnet"), "", checkNetworks, verdictWarning, "previews may not be fenced"},
		"AWS": {replace("network", "metadata: {name: cilium, namespace: kube-system}", "metadata: {name: aws-node, namespace: kube-system}\nspec: {template: {spec: {containers: [{name: aws-node}, {name: aws-eks-nodeagent}]}}}"),
			"", checkNetworks, verdictOK, "the agent of AWS enforces them (DaemonSet aws-node)"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := &Config{}
			cfg.GitOpsURL, cfg.GitOpsReadURL, cfg.GitOpsBranch = "https://git.example.com/gitops.git", "https://git.example.com/gitops.git", "main"
			cfg.ArgoCDNamespace, cfg.ArgoCDProject, cfg.ArgoCDDestination = "argocd", "idp-previews", "https://kubernetes.default.svc"
			cfg.PreviewDomain, cfg.ImagePullSecret, cfg.Routing = "preview.example.com", "registry", "HTTPRoute"
			cfg.GatewayName, cfg.GatewayNamespace = "previews", "gateway"
			switch c.key {
			case "section":
				cfg.GatewaySection = "internal"
			case "ingress":
				cfg.Routing = "Ingress"
			}
			x := &examination{cfg: cfg}
			objects := map[string]string{"project": projectOf(t, x)}
			for part, text := range wellCluster {
				objects[part] = text
			}
			if c.change != nil {
				c.change(objects)
			}
			x.kube = clusterOf(t, objects)
			x.seesGateway(t.Context())
			x.seesProjects(t.Context())
			x.seesPullSecret(t.Context())
			x.seesNetwork(t.Context())
			x.seesKinds()
			if len(x.findings) != 5 {
				t.Errorf("%d findings: %+v", len(x.findings), x.findings)
			}
			for _, f := range x.findings {
				if f.Check == c.check && (f.State != c.state || !strings.Contains(f.Seen, c.seen)) {
					t.Errorf("%+v, want %s and %q", f, c.state, c.seen)
				}
				if f.Check != c.check && f.State != verdictOK {
					t.Errorf("beside it: %+v", f)
				}
				if (f.State == verdictFailure || f.State == verdictWarning) && f.Fix == "" {
					t.Errorf("there is no fix: %+v", f)
				}
			}
		})
	}
}

// Every project of the classes in use is looked at, once however many classes it fences; one of
// another Argo CD may be elsewhere.
func TestDoctorOfTheProjects(t *testing.T) {
	t.Parallel()
	cfg := &Config{}
	cfg.GitOpsURL, cfg.GitOpsReadURL, cfg.GitOpsBranch = "https://git.example.com/gitops.git", "https://git.example.com/gitops.git", "main"
	cfg.ArgoCDNamespace, cfg.ArgoCDProject, cfg.ArgoCDDestination = "argocd", "idp-previews", inCluster
	x := &examination{cfg: cfg}
	x.declared = platform.Platform{Classes: map[string]platform.Class{}}
	for name, change := range map[string]func(*platform.Class){
		"qa":      func(*platform.Class) {},
		"durable": func(c *platform.Class) { c.Project = "idp-durable" },
		"guarded": func(c *platform.Class) {
			c.Project, c.RepoURL = "idp-durable", "https://git.example.com/production.git"
		},
		"abroad": func(c *platform.Class) { c.Project, c.ArgoCDURL = "idp-abroad", "https://argocd.example.com" },
		"unused": func(c *platform.Class) { c.Project = "idp-unused" },
	} {
		class := cfg.Class()
		class.Name = name
		change(&class)
		x.declared.Classes[name] = class
		if name != "unused" {
			x.declared.Environments = append(x.declared.Environments, platform.Environment{Name: name, Class: name})
		}
	}
	const seen = "%s: %s, fix: %s, look: %s\n"
	look := func(objects map[string]string) (out string) {
		x.findings, x.kube = nil, clusterOf(t, objects)
		x.seesProjects(t.Context())
		for _, f := range x.findings {
			out += fmt.Sprintf(seen, f.State, f.Seen, f.Fix, f.Look)
		}
		return out
	}
	own := projectOf(t, x)
	durable := strings.Replace(own, "name: idp-previews\n", "name: idp-durable\n", 1)
	abroad := fmt.Sprintf(seen, verdictSkipped, "not checked: idp-abroad, for class abroad, is not on this cluster, and Argo CD may run on another", "", "kubectl -n argocd get appproject idp-abroad")
	previews := fmt.Sprintf(seen, verdictOK, "idp-previews, for previews and class qa, lets in all that is rendered, and where from and to", "", "")
	want := previews + abroad + fmt.Sprintf(seen, verdictFailure,
		"idp-durable, for class durable and class guarded, does not let in: source repository https://git.example.com/production.git", "apply what idp bootstrap --platform DIR prints", "")
	if got := look(map[string]string{"own": own, "durable": durable}); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	want = previews + abroad + fmt.Sprintf(seen, verdictFailure,
		"idp-durable, for class durable and class guarded, is not there in namespace argocd", "apply what idp bootstrap --platform DIR prints, or name another in argocd_project", "")
	if got := look(map[string]string{"own": own}); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestDoctorOfUnknownKinds(t *testing.T) {
	t.Parallel()
	got, err := clusterOf(t, nil).Lacks([]string{"v1/Namespace", "v1/Thing", "apps/v1/Deployment", "example.com/v1/Thing"})
	if want := []string{"v1/Thing", "example.com/v1/Thing"}; err != nil || !slices.Equal(got, want) {
		t.Errorf("it lacks %v, want %v (%v)", got, want, err)
	}
}

// A pull secret that the class's objects make is as good as the store that it comes of.
func TestDoctorOfTheSecretStore(t *testing.T) {
	t.Parallel()
	const store = "apiVersion: external-secrets.io/v1\nkind: ClusterSecretStore\nmetadata: {name: vault}\nstatus: {conditions: [{type: Ready, status: \"STATUS\"}]}\n"
	for status, want := range map[string]struct {
		state verdict
		seen  string
	}{
		"True":  {verdictOK, "ClusterSecretStore vault, which ExternalSecret registry makes Secret registry from, is ready"},
		"False": {verdictFailure, "does not work: it is not Ready"},
		"":      {verdictFailure, "is not there"},
	} {
		class := platform.Default()
		class.Objects = []platform.BaseObjects{{File: "platform/objects/registry.yaml", Objects: []platform.BaseObject{{
			APIVersion: "external-secrets.io/v1", Kind: "ExternalSecret", Name: "registry",
			Content: []byte(`{"spec": {"secretStoreRef": {"kind": "ClusterSecretStore", "name": "vault"}}}`),
		}}}}
		objects := map[string]string{}
		if status != "" {
			objects["store"] = strings.Replace(store, "STATUS", status, 1)
		}
		cfg := &Config{}
		cfg.ImagePullSecret = "registry"
		x := &examination{cfg: cfg, kube: clusterOf(t, objects), declared: platform.Platform{Classes: map[string]platform.Class{class.Name: class}}}
		x.seesPullSecret(t.Context())
		if len(x.findings) != 1 || x.findings[0].State != want.state || !strings.Contains(x.findings[0].Seen, want.seen) {
			t.Errorf("%q: %+v", status, x.findings)
		}
	}
}

// A kubeconfig leads to its cluster, which is asked by GET alone; what it does not let be read
// is no verdict, and neither is a cluster that is away.
func TestDoctorReadsAKubeconfig(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet {
			t.Errorf("it sent %s %s", r.Method, r.URL.Path)
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusForbidden)
		_, _ = w.Write([]byte(`{"kind":"Status","apiVersion":"v1","status":"Failure","message":"forbidden to somebody","reason":"Forbidden","code":403}`))
	}))
	t.Cleanup(server.Close)
	p := newPatient(t)
	file := filepath.Join(p.options.dir, "kubeconfig")
	content := "apiVersion: v1\nkind: Config\nclusters: [{name: c, cluster: {server: \"" + server.URL + "\"}}]\nusers: [{name: u, user: {token: t}}]\ncontexts: [{name: previews, context: {cluster: c, user: u}}]\n"
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	kube, err := cluster.Open(file, "previews")
	if err != nil {
		t.Fatal(err)
	}
	p.env["IDP_IMAGE_PULL_SECRET"] = "registry"
	p.change = func(x *examination) { x.kube = kube }
	got, err := p.examine(formatTable)
	if err != nil {
		t.Errorf("%v:\n%s", err, got)
	}
	for _, check := range []string{checkGateway, checkProject, checkPulling, checkNetworks, checkKinds} {
		if !strings.Contains(got, "\n"+check+" ") || strings.Count(got, "the kubeconfig's user may not read it") != 5 {
			t.Errorf("%s is not told as what may not be read:\n%s", check, got)
		}
	}
	for name, args := range map[string][]string{
		"no such context": {"doctor", "--kubeconfig", file, "--context", "other"},
		"no such file":    {"doctor", "--kubeconfig", file + ".absent"},
		"context alone":   {"doctor", "--context", "previews"},
	} {
		var out, told strings.Builder
		if status := searchedRun(t.Context(), t, args, nil, &out, &told, nil); status != exitUsage {
			t.Errorf("%s: it ended with %d: %s", name, status, told.String())
		}
	}
}
