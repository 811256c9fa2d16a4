package render

import (
	"fmt"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/idp-bot/idp/gitops"
	"github.com/idp-bot/idp/gitops/figure"
	"github.com/idp-bot/idp/gitops/platform"
	"sigs.k8s.io/yaml"
)

// oneOfEach are base objects of every kind, by the file that they stand in; what is true of
// the last is that it holds, makes or uses a secret.
var oneOfEach = []struct {
	name, content string
	secret        bool
}{
	{"configmap", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings}\ndata: {A: b}\n", false},
	{"persistentvolumeclaim", "apiVersion: v1\nkind: PersistentVolumeClaim\nmetadata: {name: data}\nspec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}\n", false},
	{"service", "apiVersion: v1\nkind: Service\nmetadata: {name: cache}\nspec: {ports: [{port: 6379}]}\n", false},
	{"statefulset", workload("StatefulSet", "database", ""), false},
	{"deployment", workload("Deployment", "cache", ""), false},
	{"middleware", "apiVersion: traefik.io/v1alpha1\nkind: Middleware\nmetadata: {name: auth}\nspec: {basicAuth: {secret: users, removeHeader: true}}\n", false},
	{"securitypolicy", "apiVersion: gateway.envoyproxy.io/v1alpha1\nkind: SecurityPolicy\nmetadata: {name: login}\nspec: {oidc: {clientID: previews, clientSecret: {name: oidc}}}\n", false},
	{"statefulset-of-a-secret", workload("StatefulSet", "sealed", "envFrom: [{secretRef: {name: application}}]"), true},
	{"deployment-of-a-secret", workload("Deployment", "guarded", "env: [{name: A, valueFrom: {secretKeyRef: {name: application, key: a}}}]"), true},
	{"externalsecret", "apiVersion: external-secrets.io/v1\nkind: ExternalSecret\nmetadata: {name: application}\nspec: {secretStoreRef: {kind: ClusterSecretStore, name: vault}}\n", true},
	{"externalsecret-v1beta1", "apiVersion: external-secrets.io/v1beta1\nkind: ExternalSecret\nmetadata: {name: older}\nspec: {secretStoreRef: {kind: ClusterSecretStore, name: vault}}\n", true},
}

func workload(kind, name, more string) string {
	return fmt.Sprintf("apiVersion: apps/v1\nkind: %s\nmetadata: {name: %[2]s}\nspec:\n  selector: {matchLabels: {app: %[2]s}}\n  template:\n    metadata: {labels: {app: %[2]s}}\n"+
		"    spec:\n      containers:\n      - name: main\n        image: example.com/%[2]s\n        %[3]s\n", kind, name, more)
}

// everyKind is a class that gives each of oneOfEach to all whom Load lets it.
func everyKind(t *testing.T) platform.Class {
	t.Helper()
	var files []gitops.File
	var class strings.Builder
	class.WriteString("objects:\n")
	for _, one := range oneOfEach {
		whom, from := "[default-branch, member, bot, fork]", ""
		if one.secret {
			whom = "[default-branch, member]"
		}
		switch one.name {
		case "externalsecret":
			from = ", env_from: application"
		case "configmap":
			from = ", env_from: settings"
		}
		file := platform.ObjectsDir + "/" + one.name + ".yaml"
		files = append(files, gitops.File{Path: file, Content: []byte(one.content)})
		fmt.Fprintf(&class, "- {file: %s, for: %s%s}\n", file, whom, from)
	}
	base := platform.Default()
	base.RepoURL, base.Zone, base.Quota.CPU, base.Quota.Memory = "https://git.example.com/acme/gitops.git", "preview.example.com", "16", "32Gi"
	loaded, errs := platform.Load(append(files, gitops.File{Path: platform.ClassesDir + "/preview.yaml", Content: []byte(class.String())}), base)
	if len(errs) > 0 {
		t.Fatal(errs.Err())
	}
	return loaded.Classes["preview"]
}

// TestSecretsByTrust is the matrix of trust class × object: previews and services of
// declared environments get what their code may have, and no secret by any way where bots,
// forks or nobody known wrote it, whatever a class says. What is there is the
// environment's own.
func TestSecretsByTrust(t *testing.T) {
	t.Parallel()
	class, cells := everyKind(t), 0
	careless := class
	careless.Objects = slices.Clone(class.Objects)
	for i := range careless.Objects {
		careless.Objects[i].For = platform.Trusts() // as if Load had let it
	}
	for _, trust := range append(platform.Trusts(), platform.TrustUnknown, "nonsense") {
		trusted := trust == platform.TrustDefaultBranch || trust == platform.TrustMember
		var want []string
		for _, one := range oneOfEach {
			cells++
			if !one.secret || trusted {
				want = append(want, one.name)
			}
		}
		for name, class := range map[string]platform.Class{"as loaded": class, "given to all": careless} {
			in := preview(t, []byte("service: {name: web, migrate: {command: [./migrate]}}"))
			in.Class, in.Trust = class, trust
			files := whole(t, in)
			if diff := cmp.Diff(want, rendered(t, in, class, files)); diff != "" {
				t.Errorf("code of %q, %s (-want +got):\n%s", trust, name, diff)
			}
			checkSecrets(t, files, trusted)
		}
		in := preview(t, []byte("service: {name: web}"))
		declared(&in, "staging")
		in.Class, in.Trust = careless, trust
		in.Ref = in.Ref.Of("web")
		files, err := Environment(in)
		if err != nil {
			t.Fatal(err)
		}
		checkSecrets(t, files, trusted)
	}
	figure.Tell(t, "%d trust classes × %d objects of every kind, %d cells: a secret for %s and %s alone", len(platform.Trusts())+2, len(oneOfEach), cells, platform.TrustDefaultBranch, platform.TrustMember)
}

// rendered are the names of oneOfEach that are among the files, each with the
// environment's namespace and labels.
func rendered(t *testing.T, in Input, class platform.Class, files []gitops.File) []string {
	t.Helper()
	var out []string
	for i, entry := range class.Objects {
		base := entry.Objects[0]
		name := path.Join(in.Ref.ManifestsDir(), "base."+strings.ToLower(base.Kind)+"."+base.Name+".yaml")
		at := slices.IndexFunc(files, func(f gitops.File) bool { return f.Path == name })
		if at < 0 {
			continue
		}
		var object struct {
			Metadata struct {
				Namespace string
				Labels    map[string]string
			}
		}
		if err := yaml.Unmarshal(files[at].Content, &object); err != nil {
			t.Fatal(err)
		}
		if m := object.Metadata; m.Namespace != in.Ref.Namespace() || m.Labels[gitops.LabelManagedBy] != gitops.ManagedBy || m.Labels[gitops.LabelEnvironment] != in.Ref.Name() {
			t.Errorf("%s is not the environment's own: %+v", name, m)
		}
		out = append(out, oneOfEach[i].name)
	}
	return out
}

// checkSecrets holds that no word of the files leads to a secret, or that services have
// theirs.
func checkSecrets(t *testing.T, files []gitops.File, trusted bool) {
	t.Helper()
	for _, f := range files {
		text := string(f.Content)
		named := strings.Contains(text, "secretRef") || strings.Contains(text, "secretKeyRef") || strings.Contains(text, "ExternalSecret")
		if named && !trusted {
			t.Errorf("%s leads to a secret:\n%s", f.Path, text)
		}
		if pods := strings.HasSuffix(f.Path, "/web-deployment.yaml") || strings.HasSuffix(f.Path, "/web-migrate-job.yaml"); pods && trusted && !named {
			t.Errorf("%s has no secret:\n%s", f.Path, text)
		}
	}
}

// TestBaseObjects: they count towards the quota, and no service may have the name of one.
func TestBaseObjects(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		deploy string
		change func(*Input)
		want   string
	}{
		"name taken": {"service: {name: cache}", func(*Input) {}, "service cache has the name of a Service that class preview gives its environments"},
		"adopted": {"service: {name: web}", func(in *Input) {
			in.Adopted = []Adopted{{Files: []gitops.File{{Path: AdoptedPath("Service", "cache"), Content: []byte("{}")}}}}
		}, "the repository renders a Service named cache, and class preview gives its environments one"},
		"quota of all": {"service: {name: web}", func(in *Input) { in.Class.Quota.Pods = 2 }, "may have 2 pods in all, and needs 3 pods"},
	} {
		in := preview(t, []byte(test.deploy))
		in.Class, in.Trust = everyKind(t), platform.TrustFork
		test.change(&in)
		if _, err := Environment(in); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	in := preview(t, []byte("service: {name: web}"))
	in.Class, in.Trust = everyKind(t), platform.TrustFork
	files := whole(t, in)
	quota := files[slices.IndexFunc(files, func(f gitops.File) bool { return strings.HasSuffix(f.Path, "resourcequota.yaml") })]
	if !strings.Contains(string(quota.Content), `persistentvolumeclaims: "1"`) {
		t.Errorf("the one volume of its own does not fit:\n%s", quota.Content)
	}
}
