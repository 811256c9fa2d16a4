package render

import (
	"errors"
	"strings"
	"testing"
	"time"

	rolloutsv1alpha1 "github.com/argoproj/argo-rollouts/pkg/apis/rollouts/v1alpha1"
	"github.com/google/go-cmp/cmp"
	"github.com/idp-bot/idp/gitops/fault"
	"github.com/idp-bot/idp/gitops/spec"
	"sigs.k8s.io/yaml"
)

// staging is a declared environment of a canary, a blue-green service and a worker.
func staging(t testing.TB) Input {
	t.Helper()
	in := preview(t, []byte(`services:
  - name: web
    deploy: {strategy: canary, canary: [{weight: 5, pause: 30s}, {weight: 20}, {weight: 100}]}
    healthcheck: {path: /health}
    rollback: {on_error_rate: ">1%"}
  - name: shop
    replicas: 2
    deploy: {strategy: blueGreen}
    rollback: {on_error_rate: ">1%"}
  - name: jobs
    kind: worker
  - name: api
    rollback: {on_error_rate: ">1%"}
`))
	declared(&in, "staging")
	in.Class.Quota.CPU = "16"
	judged(&in.Class)
	return in
}

func TestSharedPartNeedsNoSpec(t *testing.T) {
	t.Parallel()
	in := staging(t)
	in.Spec, in.SpecRaw, in.SHA, in.HeadRef, in.Author, in.Images = nil, nil, "", "", "", nil
	in.Namespace = "idp-acme-" + in.Ref.Hash()
	files := mustRender(t, in)
	record, err := ParseRecord([]byte(files["environment.yaml"]))
	if err != nil {
		t.Fatal(err)
	}
	if record.Ref() != in.Ref || record.Namespace != in.Namespace || record.Application != in.Ref.Name() || record.SHA != "" {
		t.Errorf("record %+v", record)
	}
	want := []string{"environment.yaml", "manifests/limitrange.yaml", "manifests/namespace.yaml", "manifests/networkpolicy.yaml",
		"manifests/resourcequota.yaml", "manifests/serviceaccount.yaml"}
	if diff := cmp.Diff(want, changed(files, nil)); diff != "" {
		t.Error(diff)
	}
	if !strings.Contains(files["manifests/networkpolicy.yaml"], "port: http") {
		t.Error("the shared part lets no traffic in to services that come later")
	}
}

// TestServicesAreApart: what changes for one service changes no file of another, nor
// of what they share.
func TestServicesAreApart(t *testing.T) {
	t.Parallel()
	in := staging(t)
	in.Ref.Service = "jobs"
	jobs := mustRender(t, in)
	in.Spec.Services[0].Replicas, in.Images["web"] = 2, "registry.example.com/other"+testDigest
	if diff := changed(jobs, mustRender(t, in)); diff != nil {
		t.Errorf("another image of web changes %v of jobs", diff)
	}
	record, err := ParseRecord([]byte(jobs["environment.yaml"]))
	if err != nil {
		t.Fatal(err)
	}
	if record.Ref() != in.Ref || record.Service != "jobs" || len(record.Images) != 1 || record.Namespace != in.Ref.Namespace() || record.Application == record.Namespace {
		t.Errorf("record %+v", record)
	}
}

func TestDeclaredRefusals(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		change func(*Input)
		code   fault.Code
		want   string
	}{
		{"no such service", func(in *Input) { in.Ref.Service = "wbe" }, fault.Invalid, `the spec has no service "wbe"`},
		{"all services share the quota", func(in *Input) { in.Class.Quota.CPU = "2" }, fault.Denied,
			"staging may have 2 CPU in all, and needs 2500m CPU for web, shop, jobs, api"},
		{"blue-green runs twice", func(in *Input) { in.Class.Quota.CPU = "3" }, fault.Denied,
			"staging may have 3 CPU in all, and needs 5 CPU while shop runs twice, the old revision beside the new one"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			in := staging(t)
			in.Ref.Service = "web"
			test.change(&in)
			files, err := Environment(in)
			f, ok := errors.AsType[*fault.Error](err)
			if !ok || f.Code != test.code || f.Message != test.want || f.Hint == "" || files != nil {
				t.Errorf("got %v with %d files, want %s: %s", err, len(files), test.code, test.want)
			}
		})
	}
	// Another service's image is its own deployment's matter.
	in := staging(t)
	in.Ref.Service, in.Images["shop"] = "web", "Not An Image"
	mustRender(t, in)
}

func TestBadDeclaredInput(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*Input){
		"another environment":      func(in *Input) { in.Environment = "production" },
		"a preview's name":         func(in *Input) { in.Ref.ID, in.Environment = "pr-7", "pr-7" },
		"a dot":                    func(in *Input) { in.Ref.ID, in.Environment = "staging.web", "staging.web" },
		"a dot in the service":     func(in *Input) { in.Ref.Service = "we.b" },
		"a service of no spec":     func(in *Input) { in.Spec = nil },
		"a service of no commit":   func(in *Input) { in.SHA = "" },
		"a service of a preview":   func(in *Input) { in.Environment, in.Ref.ID = "", "pr-7" },
		"a pull request":           func(in *Input) { in.PR = 7 },
		"a namespace of others":    func(in *Input) { in.Namespace = "kube-system-" + in.Ref.Shared().Hash() },
		"a namespace without hash": func(in *Input) { in.Namespace = "idp-staging" },
		"no name for a namespace":  func(in *Input) { in.Namespace = "idp-" + in.Ref.Shared().Hash() + "-" },
		"a preview in another's":   func(in *Input) { in.Ref.Service, in.Environment, in.Ref.ID, in.Namespace = "", "", "pr-7", "idp-x" },
		"the service's own hash":   func(in *Input) { in.Namespace = "idp-" + in.Ref.Hash() },
	} {
		in := staging(t)
		in.Ref.Service = "web"
		change(&in)
		if _, err := Environment(in); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
}

func rollout(t *testing.T, in Input, service string) rolloutsv1alpha1.Rollout {
	t.Helper()
	in.Ref.Service = service
	var out rolloutsv1alpha1.Rollout
	if err := yaml.UnmarshalStrict([]byte(mustRender(t, in)["manifests/"+service+"-rollout.yaml"]), &out); err != nil {
		t.Fatal(err)
	}
	return out
}

// TestCanaryIsAsDeclared: the weights and pauses of the spec, no more and no fewer.
func TestCanaryIsAsDeclared(t *testing.T) {
	t.Parallel()
	in := staging(t)
	in.RolloutTimeout = time.Hour
	got := rollout(t, in, "web").Spec
	thirty := rolloutsv1alpha1.DurationFromInt(30)
	want := []rolloutsv1alpha1.CanaryStep{
		{SetWeight: ptr(int32(5))}, {Pause: &rolloutsv1alpha1.RolloutPause{Duration: thirty}}, {SetWeight: ptr(int32(20))}, {SetWeight: ptr(int32(100))},
	}
	if diff := cmp.Diff(want, got.Strategy.Canary.Steps); diff != "" {
		t.Error(diff)
	}
	if got.Strategy.Canary.TrafficRouting != nil || *got.ProgressDeadlineSeconds != 3600 || !got.ProgressDeadlineAbort {
		t.Errorf("%+v", got)
	}
	if a := got.Strategy.Canary.Analysis; a == nil || *a.StartingStep != 1 || len(a.Templates) != 2 {
		t.Errorf("analysis %+v", a)
	}
	in.Class.PrometheusAddress = ""
	if a := rollout(t, in, "web").Spec.Strategy.Canary.Analysis; a != nil {
		t.Errorf("without a Prometheus there is an analysis: %+v", a)
	}
	if b := rollout(t, staging(t), "shop").Spec.Strategy.BlueGreen; b.PrePromotionAnalysis != nil || len(b.PostPromotionAnalysis.Templates) != 1 {
		t.Errorf("a service without a healthcheck: %+v", b)
	}
}

func TestErrorInterval(t *testing.T) {
	t.Parallel()
	pauses := func(pauses ...time.Duration) spec.Deploy {
		d := spec.Deploy{Strategy: spec.Canary}
		for _, p := range pauses {
			d.Canary = append(d.Canary, spec.CanaryStep{Weight: 1, Pause: p})
		}
		return d
	}
	for _, test := range []struct {
		deploy spec.Deploy
		want   time.Duration
	}{
		{pauses(), 10 * time.Second}, {pauses(0, 0), 10 * time.Second}, {pauses(time.Second), 2 * time.Second},
		{pauses(time.Hour, 0, 100*time.Second), 20 * time.Second}, {pauses(24 * time.Hour), time.Minute},
	} {
		if got := errorInterval(test.deploy); got != test.want {
			t.Errorf("%v: %s, want %s", test.deploy.Canary, got, test.want)
		}
	}
}

func TestShare(t *testing.T) {
	t.Parallel()
	for percent, want := range map[float64]string{0.0001: "0.000001", 0.07: "0.0007", 1: "0.01", 2.5: "0.025", 50: "0.5", 99.9999: "0.999999"} {
		if got := share(percent); got != want {
			t.Errorf("%v%% is %s, want %s", percent, got, want)
		}
	}
}

func TestNotes(t *testing.T) {
	t.Parallel()
	in := staging(t)
	rolls := "rollback.on_error_rate of api has no effect: with strategy rolling no revision is watched, with canary or blueGreen it is"
	for _, test := range []struct {
		name   string
		change func(*Input)
		want   []string
	}{
		{"judged", func(*Input) {}, []string{rolls}},
		{"of one service", func(in *Input) { in.Ref.Service = "web" }, nil},
		{"no query", func(in *Input) { in.Class.ErrorRateQuery = "" }, []string{
			"rollback.on_error_rate of web has no effect in staging: class staging has no error_rate_query",
			"rollback.on_error_rate of shop has no effect in staging: class staging has no error_rate_query", rolls,
		}},
		{"no Prometheus", func(in *Input) { in.Class.PrometheusAddress, in.Ref.Service = "", "shop" }, []string{
			"rollback.on_error_rate of shop has no effect in staging: class staging has no prometheus_address",
		}},
		{"a preview", func(in *Input) { in.Environment = "" }, nil},
		{"no spec", func(in *Input) { in.Spec = nil }, nil},
	} {
		in := in
		test.change(&in)
		if diff := cmp.Diff(test.want, Notes(in)); diff != "" {
			t.Errorf("%s: %s", test.name, diff)
		}
	}
}
