package render

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	rolloutsv1alpha1 "github.com/argoproj/argo-rollouts/pkg/apis/rollouts/v1alpha1"
	"github.com/google/go-cmp/cmp"
	"github.com/idp-bot/idp/gitops"
	"github.com/idp-bot/idp/gitops/figure"
	"github.com/idp-bot/idp/gitops/platform"
	"github.com/idp-bot/idp/gitops/spec"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"pgregory.net/rapid"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
	"sigs.k8s.io/yaml"
)

// allowed are the types that may be rendered, by Kinds.
var allowed = map[string]func() any{
	"v1/Namespace":                           func() any { return new(corev1.Namespace) },
	"v1/ResourceQuota":                       func() any { return new(corev1.ResourceQuota) },
	"v1/LimitRange":                          func() any { return new(corev1.LimitRange) },
	"networking.k8s.io/v1/NetworkPolicy":     func() any { return new(networkingv1.NetworkPolicy) },
	"v1/ServiceAccount":                      func() any { return new(corev1.ServiceAccount) },
	"batch/v1/Job":                           func() any { return new(batchv1.Job) },
	"apps/v1/Deployment":                     func() any { return new(appsv1.Deployment) },
	"argoproj.io/v1alpha1/AnalysisTemplate":  func() any { return new(rolloutsv1alpha1.AnalysisTemplate) },
	"argoproj.io/v1alpha1/Rollout":           func() any { return new(rolloutsv1alpha1.Rollout) },
	"batch/v1/CronJob":                       func() any { return new(batchv1.CronJob) },
	"v1/Service":                             func() any { return new(corev1.Service) },
	"gateway.networking.k8s.io/v1/HTTPRoute": func() any { return new(gatewayv1.HTTPRoute) },
	"networking.k8s.io/v1/Ingress":           func() any { return new(networkingv1.Ingress) },
}

func TestKinds(t *testing.T) {
	t.Parallel()
	kinds := Kinds()
	slices.Sort(kinds)
	var want []string
	for kind := range allowed {
		want = append(want, kind)
	}
	slices.Sort(want)
	if diff := cmp.Diff(want, kinds); diff != "" {
		t.Errorf("kinds (-allowed +rendered):\n%s", diff)
	}
	if got := len(slices.Compact(kinds)); got != len(renderers) {
		t.Errorf("%d kinds in %d rows: one is there twice", got, len(renderers))
	}
}

// text is anything that a person may type: what YAML, templates and shells read
// specially among it.
func text() *rapid.Generator[string] {
	return rapid.OneOf(
		rapid.SampledFrom([]string{"", "no", "012", "1e3", "0x1F", "1_000", "12:30", "null", "~", "{{ .name }}", "$(id)", "a: b", "- x", "# c",
			"&a *a !!b", "line\nline\n", "  lead", "trail ", "\ttab", "'", "\"", "%", "@x", "`", "é✓🚀", "\u2028", "\u0085", "\ufeff", "2001-01-01", "<<", "=", "---", "..."}),
		rapid.StringN(0, 20, -1),
	)
}

func label(max int) *rapid.Generator[string] {
	return rapid.StringMatching(fmt.Sprintf(`[a-z]([a-z0-9-]{0,%d}[a-z0-9])?`, max-2))
}

func drawService(t *rapid.T, name string) spec.Service {
	svc := spec.Service{
		Name: name, Team: rapid.OneOf(rapid.Just(""), text()).Draw(t, "team"),
		Kind:     rapid.SampledFrom([]spec.Kind{spec.Web, spec.Worker, spec.Cron}).Draw(t, "kind"),
		Replicas: rapid.Int32Range(0, 1).Draw(t, "replicas"),
		Command:  rapid.SliceOfN(text(), 0, 3).Draw(t, "command"),
		Args:     rapid.SliceOfN(text(), 0, 3).Draw(t, "args"),
		Deploy:   spec.Deploy{Strategy: rapid.SampledFrom([]spec.Strategy{spec.Rolling, spec.Canary, spec.BlueGreen}).Draw(t, "strategy")},
	}
	for i := range rapid.IntRange(0, 3).Draw(t, "envs") {
		svc.Env = append(svc.Env, spec.EnvVar{Name: fmt.Sprintf("V%d", i), Value: text().Draw(t, "value")})
	}
	switch svc.Kind {
	case spec.Web:
		svc.Port = rapid.Int32Range(1, 65535).Draw(t, "port")
		if rapid.Bool().Draw(t, "check") {
			svc.Healthcheck = &spec.Healthcheck{
				Path:      "/" + text().Draw(t, "path"),
				Interval:  time.Duration(rapid.Int64Range(1, int64(time.Hour)).Draw(t, "interval")),
				Threshold: rapid.Int32Range(1, 100).Draw(t, "threshold"),
			}
		}
	case spec.Cron:
		svc.Schedule = "*/5 * * * *"
	}
	if rapid.Bool().Draw(t, "migrate") {
		svc.Migrate = &spec.Migrate{Command: rapid.SliceOfN(text(), 1, 3).Draw(t, "migration")}
	}
	if rapid.Bool().Draw(t, "volume") {
		svc.Volumes = []spec.Volume{{Name: "tmp", MountPath: "/" + text().Draw(t, "mount"), Size: "100Mi"}}
	}
	if rapid.Bool().Draw(t, "resources") {
		svc.Resources = spec.Resources{Requests: spec.ResourceList{CPU: "700m"}, Limits: spec.ResourceList{Memory: "64Mi"}}
	}
	svc.Rollback = spec.Rollback{
		Auto:        rapid.Bool().Draw(t, "rollback"),
		OnErrorRate: rapid.SampledFrom([]float64{0, 0.0001, 0.07, 1, 33.3333, 99.9999}).Draw(t, "rate"),
	}
	if svc.Deploy.Strategy == spec.Canary {
		svc.Deploy.Canary = []spec.CanaryStep{{Weight: 10, Pause: time.Duration(rapid.Int64Range(0, int64(time.Hour)).Draw(t, "pause"))}, {Weight: 100}}
	}
	return svc
}

func drawInput(t *rapid.T) Input {
	class := platform.Default()
	class.Zone = "preview.example.com"
	if rapid.Bool().Draw(t, "public") {
		class.Gate = &platform.Gate{Public: true}
	}
	class.Quota.CPU, class.Quota.Memory = "64", "64Gi"
	if rapid.Bool().Draw(t, "ingress") {
		class.Routing = platform.Routing{Kind: platform.Ingress, ControllerNamespace: "ingress"}
	}
	if rapid.Bool().Draw(t, "judged") {
		judged(&class)
	}
	owner := rapid.StringMatching(`[A-Za-z0-9][A-Za-z0-9-]{0,38}`).Draw(t, "owner")
	repo := "r" + rapid.StringMatching(`[A-Za-z0-9._-]{0,99}`).Draw(t, "repo")
	in := Input{
		Ref:      gitops.EnvironmentRef{RepositoryID: rapid.Int64Range(1, 1<<53).Draw(t, "id"), Owner: strings.ToLower(owner), Repo: strings.ToLower(repo)},
		FullName: owner + "/" + repo,
		SHA:      rapid.StringMatching(`[0-9a-f]{40}`).Draw(t, "sha"),
		HeadRef:  text().Draw(t, "ref"), Author: text().Draw(t, "author"), Generation: rapid.Int64Range(0, 1<<60).Draw(t, "generation"),
		SpecRaw: []byte(text().Draw(t, "raw")), Class: class, Images: map[string]string{}, Spec: &spec.Spec{},
	}
	if rapid.Bool().Draw(t, "preview") {
		in.PR = rapid.IntRange(1, 1<<31).Draw(t, "pr")
		in.Ref.ID = gitops.PreviewID(in.PR)
		in.ExpiresAt = time.Unix(rapid.Int64Range(1, 1<<33).Draw(t, "expires"), 0)
	} else {
		in.Environment = label(40).Filter(func(s string) bool { return spec.CheckEnvironment(s) == "" }).Draw(t, "environment")
		in.Ref.ID = in.Environment
		if rapid.Bool().Draw(t, "pattern") {
			in.Namespace = "idp-" + label(20).Draw(t, "namespace") + "-" + in.Ref.Hash()
		}
		in.RolloutTimeout = time.Duration(rapid.Int64Range(0, int64(24*time.Hour)).Draw(t, "timeout"))
	}
	for _, name := range rapid.SliceOfNDistinct(label(40), 1, 3, rapid.ID[string]).Draw(t, "names") {
		svc := drawService(t, name)
		in.Spec.Services = append(in.Spec.Services, svc)
		in.Images[name] = "registry.example.com/" + name + testDigest
	}
	if in.Environment != "" && rapid.Bool().Draw(t, "service") {
		in.Ref.Service = in.Spec.Services[0].Name
	}
	return in
}

// TestEveryRendering holds what must be true of whatever a spec says.
func TestEveryRendering(t *testing.T) {
	t.Parallel()
	hosts := map[string]gitops.EnvironmentRef{}
	many, drawn := figure.Count(t, 1_000, 100_000), 0
	for drawn < many { // each Check tries as many as its flag says
		rapid.Check(t, func(t *rapid.T) {
			for i := range environmentsPerCheck {
				in := drawInput(t)
				checkRendering(t, in, i == 0)
				checkHosts(t, in, hosts)
				drawn++
			}
		})
	}
	figure.Tell(t, "%d drawn environments: every object of a listed kind in its own namespace, no two share a host", drawn)
}

// environmentsPerCheck are drawn in each of rapid's checks; the first is also rendered
// again and read back.
const environmentsPerCheck = 10

func checkRendering(t *rapid.T, in Input, again bool) {
	files, err := Environment(in)
	if err != nil {
		t.Fatal(err)
	}
	if again {
		second, err := Environment(in)
		if err != nil || !reflect.DeepEqual(files, second) {
			t.Fatalf("rendered differently the second time, %v", err)
		}
	}
	seen := map[string]bool{}
	checkParts(t, in, files)
	for i, f := range files {
		if i > 0 && files[i-1].Path >= f.Path {
			t.Fatalf("%s comes before %s", files[i-1].Path, f.Path)
		}
		if f.Path == in.Ref.RecordPath() {
			checkRecord(t, in, f)
			continue
		}
		object := checkObject(t, in, f, seen)
		checkPods(t, in, object)
		checkAnalysis(t, in, object)
		if again {
			back, err := Marshal(object)
			if err != nil || !bytes.Equal(back, f.Content) {
				t.Fatalf("%s reads back as another object, %v:\n%s", f.Path, err, cmp.Diff(string(f.Content), string(back)))
			}
		}
	}
}

// checkParts holds that what the services of a declared environment share is in one
// folder and a service's own in another.
func checkParts(t *rapid.T, in Input, files []gitops.File) {
	shared := slices.ContainsFunc(files, func(f gitops.File) bool { return strings.HasSuffix(f.Path, "/manifests/namespace.yaml") })
	own := slices.ContainsFunc(files, func(f gitops.File) bool {
		return slices.ContainsFunc(in.Spec.Services, func(svc spec.Service) bool {
			return strings.HasPrefix(strings.TrimPrefix(f.Path, in.Ref.ManifestsDir()+"/"), svc.Name+"-")
		})
	})
	if wantShared, wantOwn := in.Ref.Service == "", in.Environment == "" || in.Ref.Service != ""; shared != wantShared || own != wantOwn {
		t.Fatalf("%s has the shared part: %v, and a service's: %v", in.Ref, shared, own)
	}
}

// checkObject holds where an object may be and what it may be called, and reads
// it with no field unknown.
func checkObject(t *rapid.T, in Input, f gitops.File, seen map[string]bool) any {
	var head struct {
		metav1.TypeMeta `json:",inline"`
		Metadata        metav1.ObjectMeta `json:"metadata"`
	}
	content, err := yaml.YAMLToJSONStrict(f.Content)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(content, &head); err != nil {
		t.Fatal(err)
	}
	kind := head.APIVersion + "/" + head.Kind
	blank, ok := allowed[kind]
	if !ok {
		t.Fatalf("%s is a %s", f.Path, kind)
	}
	m := head.Metadata
	if kind == "v1/Namespace" {
		if m.Name != in.Home() || m.Namespace != "" {
			t.Fatalf("namespace %q", m.Name)
		}
	} else if m.Namespace != in.Home() {
		t.Fatalf("%s is in namespace %q", f.Path, m.Namespace)
	}
	if errs := validation.IsDNS1123Label(m.Name); len(errs) > 0 {
		t.Fatalf("%s: name %q: %v", f.Path, m.Name, errs)
	}
	for key, value := range m.Labels {
		if errs := validation.IsValidLabelValue(value); len(errs) > 0 {
			t.Fatalf("%s: label %s: %v", f.Path, key, errs)
		}
	}
	if id := kind + " " + m.Name; seen[id] {
		t.Fatalf("%s is rendered twice", id)
	} else {
		seen[id] = true
	}
	object := blank()
	decoder := json.NewDecoder(bytes.NewReader(content))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(object); err != nil {
		t.Fatalf("%s: %v", f.Path, err)
	}
	return object
}

// checkAnalysis holds that nothing a person typed is part of a query or a condition,
// and that a rollout refers to what is there.
func checkAnalysis(t *rapid.T, in Input, object any) {
	switch o := object.(type) {
	case *rolloutsv1alpha1.AnalysisTemplate:
		query := o.Spec.Metrics[0].Provider.Prometheus.Query
		if query != withArgs(in.Class.ErrorRateQuery) && query != withArgs(platform.DefaultReadyQuery) {
			t.Fatalf("query %q is not the class's", query)
		}
		for _, condition := range []string{o.Spec.Metrics[0].SuccessCondition, o.Spec.Metrics[0].FailureCondition} {
			if !conditionForm.MatchString(condition) {
				t.Fatalf("condition %q", condition)
			}
		}
	case *rolloutsv1alpha1.Rollout:
		if in.Class.PrometheusAddress == "" && strings.Contains(fmt.Sprint(o.Spec.Strategy), "TemplateName") {
			t.Fatalf("rollout is judged by nothing: %v", o.Spec.Strategy)
		}
	}
}

var conditionForm = regexp.MustCompile(`^len\(result\) > 0 && !isNaN\(result\[0\]\) && !isInf\(result\[0\]\) && result\[0\] (<=|>) 0(\.[0-9]{1,6})?$`)

// checkPods holds what no pod may ever have, and that what was typed arrives.
func checkPods(t *rapid.T, in Input, object any) {
	var template corev1.PodTemplateSpec
	switch o := object.(type) {
	case *appsv1.Deployment:
		template = o.Spec.Template
	case *rolloutsv1alpha1.Rollout:
		template = o.Spec.Template
	case *batchv1.CronJob:
		template = o.Spec.JobTemplate.Spec.Template
	case *batchv1.Job:
		template = o.Spec.Template
	default:
		return
	}
	pod := template.Spec
	if pod.HostNetwork || pod.HostPID || pod.HostIPC || *pod.AutomountServiceAccountToken || len(pod.InitContainers) > 0 {
		t.Fatalf("pod has what it may not: %+v", pod)
	}
	for _, v := range pod.Volumes {
		if v.EmptyDir == nil || v.EmptyDir.SizeLimit == nil {
			t.Fatalf("volume %s is no bounded scratch space", v.Name)
		}
	}
	c := pod.Containers[0]
	if *c.SecurityContext.AllowPrivilegeEscalation || *c.SecurityContext.Privileged || !*pod.SecurityContext.RunAsNonRoot {
		t.Fatal("container may gain privileges")
	}
	for _, svc := range in.Spec.Services {
		if svc.Name != c.Name {
			continue
		}
		for i, v := range svc.Env {
			if want := vars(in, Hosts(in)[svc.Name], svc.Name).Expand(v.Value); c.Env[i].Value != want {
				t.Fatalf("env %s is %q, want %q", v.Name, c.Env[i].Value, want)
			}
		}
	}
}

func checkRecord(t *rapid.T, in Input, f gitops.File) {
	r, err := ParseRecord(f.Content)
	if err != nil {
		t.Fatal(err)
	}
	if r.Ref() != in.Ref || r.SHA != in.SHA || r.HeadRef != in.HeadRef || r.Author != in.Author || r.Spec != string(in.SpecRaw) {
		t.Fatalf("record says %+v", r)
	}
}

func checkHosts(t *rapid.T, in Input, hosts map[string]gitops.EnvironmentRef) {
	mine := map[string]string{}
	for svc, host := range Hosts(in) {
		if errs := validation.IsDNS1123Subdomain(host); len(errs) > 0 {
			t.Fatalf("host %q: %v", host, errs)
		}
		for _, part := range strings.Split(host, ".") {
			if len(part) > 63 {
				t.Fatalf("host %q has a part of %d characters", host, len(part))
			}
		}
		if other, taken := mine[host]; taken {
			t.Fatalf("%s and %s share %s", svc, other, host)
		}
		mine[host] = svc
		if ref, taken := hosts[host]; taken && (ref.RepositoryID != in.Ref.RepositoryID || ref.ID != in.Ref.ID) {
			t.Fatalf("%s and %s share %s", ref, in.Ref, host)
		}
		hosts[host] = in.Ref
	}
}
