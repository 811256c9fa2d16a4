package main

import (
	"encoding/json"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"
	sigsyaml "sigs.k8s.io/yaml"

	"github.com/idp-bot/idp/gitops/secret"
	"github.com/idp-bot/idp/gitops/secret/secrettest"
	"github.com/idp-bot/idp/gitops/source"
)

const installedImage = "ghcr.io/idp-bot/idp:1.2.3@sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"

// installed runs "idp install" with the least environment that can be served from, and
// changes to it.
func installed(t *testing.T, changes map[string]string, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	var env []string
	for key, value := range complete(t, changes) {
		env = append(env, key+"="+value)
	}
	var out, told strings.Builder
	status = searchedRun(t.Context(), t, append([]string{"install"}, args...), nil, &out, &told, env)
	return status, out.String(), told.String()
}

// shapes are the two ways in which idp runs, each with all that it can have.
func shapes(t *testing.T) map[string]map[string]string {
	t.Helper()
	dir := secrettest.Dir(t)
	for _, name := range []string{"gitops-token", "production token", "argocd-token", "writer.pem"} {
		content := []byte("secret")
		if name == "writer.pem" {
			content = privateKey(t)
		}
		if err := os.WriteFile(secrettest.Given(filepath.Join(dir, name)), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return map[string]map[string]string{
		"sqlite": {},
		"postgres": {
			"IDP_DATABASE_URL": "postgres://idp:pw@db.data.svc:5432/idp", "IDP_ARGOCD_URL": "https://argocd-server.argocd.svc", "IDP_ARGOCD_TOKEN": "t",
			"IDP_GITOPS_TOKEN_FILE":  filepath.Join(dir, "gitops-token"),
			"IDP_GITOPS_TOKEN_FILES": "https://git.acme.dev:8443/durable.git=" + filepath.Join(dir, "production token"),
			"IDP_GITOPS_APPS":        "https://api.github.com/acme/payments.git=4711=" + filepath.Join(dir, "writer.pem"),
			"IDP_ARGOCD_TOKEN_FILES": "https://argocd.production.acme.dev:8443=" + filepath.Join(dir, "argocd-token"),
			"IDP_GATEWAY_ADDRESS":    "192.0.2.7:443", "IDP_EGRESS_CIDRS": "0.0.0.0/0,::/0", "IDP_DRAIN_TIMEOUT": "1m", "IDP_PREVIEW_MAX_TTL": "14d",
		},
	}
}

// temporary are the folders of a test.
var temporary = regexp.MustCompile(`(?:/[^/\s'=]+)+/(app\.pem|gitops-token|argocd-token|production token|writer\.pem)`)

// TestInstallPrints: what is printed is a golden, for each way to run, with the commands that
// make the Secret; and nothing of it is secret.
func TestInstallPrints(t *testing.T) {
	t.Parallel()
	for name, changes := range shapes(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			args := []string{"--print", "--image", installedImage}
			if name == "postgres" {
				args = append(args, "--service-monitor", "--replicas", "3", "--pull-secret", "pull")
			}
			status, stdout, stderr := installed(t, changes, args...)
			if status != exitOK {
				t.Fatalf("it ended with %d: %s", status, stderr)
			}
			golden(t, "install/"+name+".yaml", stdout)
			golden(t, "install/"+name+".txt", temporary.ReplaceAllString(stderr, "/etc/idp/$1"))
			for _, told := range []string{webhookSecret, "pw@", "PRIVATE KEY"} {
				if strings.Contains(stdout+stderr, told) {
					t.Errorf("it tells %q", told)
				}
			}
		})
	}
}

// TestInstallConfigures: the configuration in the printed ConfigMap is one that idp reads, and
// says what the one that was given says.
func TestInstallConfigures(t *testing.T) {
	t.Parallel()
	for name, changes := range shapes(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, stdout, _ := installed(t, changes, "--print", "--image", installedImage)
			given, _, err := load(t, forServing, "", complete(t, changes))
			if err != nil {
				t.Fatal(err)
			}
			file := printedConfig(t, stdout)
			env := map[string]string{"IDP_GITHUB_WEBHOOK_SECRET": webhookSecret, "IDP_ARGOCD_TOKEN": changes["IDP_ARGOCD_TOKEN"]}
			if name == "postgres" {
				env["IDP_DATABASE_URL"] = changes["IDP_DATABASE_URL"]
			}
			got, _, err := load(t, forReading, strings.ReplaceAll(file, "/var/lib/idp", secrettest.Dir(t)), env)
			if err != nil {
				t.Fatalf("%v in\n%s", err, file)
			}
			for _, c := range []*Config{given, got} { // what a pod has elsewhere
				c.ServerConfig = ServerConfig{Mode: c.Mode, LogFormat: c.LogFormat, LogLevel: c.LogLevel, AuditLog: c.AuditLog, DrainTimeout: c.DrainTimeout}
				c.GitHubPrivateKeyFile, c.GitOpsTokenFile, c.GitHubWebhookSecret, c.ArgoCDToken = "", "", nil, given.ArgoCDToken
				for _, pairs := range [][]string{c.GitOpsTokenFiles, c.GitOpsApps, c.ArgoCDTokenFiles} {
					for i, pair := range pairs {
						pairs[i], _, _ = cutTokenFile(pair)
					}
				}
			}
			if diff := cmp.Diff(given, got, cmp.AllowUnexported(secret.String{})); diff != "" {
				t.Errorf("-given +in the pod:\n%s", diff)
			}
		})
	}
}

// printedConfig is the file in the printed ConfigMap.
func printedConfig(t *testing.T, manifests string) string {
	t.Helper()
	for _, document := range strings.Split(manifests, "\n---\n") {
		var object struct {
			Kind string            `json:"kind"`
			Data map[string]string `json:"data"`
		}
		if err := sigsyaml.Unmarshal([]byte(document), &object); err == nil && object.Kind == "ConfigMap" {
			return object.Data["idp.yaml"]
		}
	}
	t.Fatalf("there is no ConfigMap in\n%s", manifests)
	return ""
}

// TestInstallRefuses: what idp serve would refuse, and what cannot be in a pod.
func TestInstallRefuses(t *testing.T) {
	t.Parallel()
	taken := secrettest.Dir(t)
	for name, c := range map[string]struct {
		changes map[string]string
		args    []string
		status  int
		says    string
	}{
		"nothing asked for":      {nil, []string{}, exitUsage, "one of --print, --values and --chart is missing"},
		"two things asked for":   {nil, []string{"--print", "--values"}, exitUsage, "--print and --values exclude each other"},
		"no configuration":       {map[string]string{"IDP_GITOPS_URL": ""}, nil, exitInvalid, "gitops_url (not set): it is required"},
		"no key file":            {map[string]string{"IDP_GITHUB_PRIVATE_KEY_FILE": "/nowhere.pem"}, nil, exitInvalid, "cannot read /nowhere.pem"},
		"no release":             {nil, []string{"--print"}, exitUsage, "is no release"},
		"no tag":                 {nil, []string{"--print", "--image", "registry.acme.dev:5000/idp"}, exitUsage, "no tag and no digest"},
		"no image":               {nil, []string{"--print", "--image", "IDP:1"}, exitUsage, "is not an image"},
		"a tag with a blank":     {nil, []string{"--print", "--image", "idp:a b"}, exitUsage, "is not a tag"},
		"a short digest":         {nil, []string{"--print", "--image", "idp@sha256:abc"}, exitUsage, "is not a digest"},
		"replicas of a file":     {nil, []string{"--print", "--image", installedImage, "--replicas", "2"}, exitUsage, "an SQLite file has one server"},
		"no replicas":            {nil, []string{"--print", "--image", installedImage, "--replicas", "0"}, exitUsage, "at least one has to run"},
		"a namespace":            {nil, []string{"--print", "--image", installedImage, "--namespace", "Idp"}, exitUsage, "--namespace \"Idp\" is not a name"},
		"a storage class":        {nil, []string{"--print", "--image", installedImage, "--storage-class", "a_b"}, exitUsage, "--storage-class"},
		"a size":                 {nil, []string{"--print", "--image", installedImage, "--storage", "much"}, exitUsage, "--storage \"much\" is not a size"},
		"a folder that is there": {nil, []string{"--chart", taken}, exitUsage, "it is there already"},
		"ssh":                    {map[string]string{"IDP_GITOPS_URL": "git@github.com:acme/gitops.git"}, nil, exitInvalid, "ssh needs a key"},
		"this machine's Git":     {map[string]string{"IDP_GITOPS_URL": "file:///srv/gitops.git"}, nil, exitInvalid, "gitops_url: it is on this machine"},
		"this machine's GitHub":  {map[string]string{"IDP_GITHUB_API_URL": "http://127.0.0.1:8080/", "IDP_GITOPS_URL": "http://127.0.0.1:8080/acme/gitops.git"}, nil, exitInvalid, "it is on this machine"},
		"this machine's database": {map[string]string{"IDP_DATABASE_URL": "postgres://idp:pw@localhost/idp"}, nil, exitInvalid,
			"database_url: it is on this machine"},
		"this machine's gateway": {map[string]string{"IDP_GATEWAY_ADDRESS": "127.0.0.1:443"}, nil, exitInvalid, "gateway_address: it is on this machine"},
		"a log file":             {map[string]string{"IDP_AUDIT_LOG": filepath.Join(taken, "audit.jsonl")}, nil, exitInvalid, "a pod keeps none"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			args := c.args
			if args == nil {
				args = []string{"--print", "--image", installedImage}
			}
			status, stdout, stderr := installed(t, c.changes, args...)
			if status != c.status || !strings.Contains(stderr, c.says) || stdout != "" {
				t.Errorf("it ended with %d, want %d and %q in:\n%s%s", status, c.status, c.says, stderr, stdout)
			}
			if strings.Contains(stderr, "pw@") {
				t.Error("it tells a password")
			}
		})
	}
}

func TestInstallImage(t *testing.T) {
	t.Parallel()
	for version, tag := range map[string]string{
		"v1.2.3": "1.2.3", "v1.2.3-rc.1": "1.2.3-rc.1", "(devel)": "", "v0.0.0-20260101000000-0123456789ab": "", "v1.2.4-0.20260101000000-0123456789ab": "", "v1.2.3+dirty": "",
	} {
		got, err := installImage("", version)
		if got.Tag != tag || (err == nil) != (tag != "") {
			t.Errorf("of %s it is %+v, %v", version, got, err)
		}
	}
	if got, err := installImage("registry.acme.dev:5000/idp:1", ""); err != nil || got != (imageValue{Repository: "registry.acme.dev:5000/idp", Tag: "1"}) {
		t.Errorf("%+v, %v", got, err)
	}
}

// TestInstallChart: the chart that is written renders, with the values that are printed, to
// what is printed; its tests are those of "idp install".
func TestInstallChart(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(secrettest.Dir(t), "chart")
	if status, stdout, stderr := installed(t, nil, "--chart", dir); status != exitOK || stdout != dir+"\n" {
		t.Fatalf("it ended with %d: %s%s", status, stdout, stderr)
	}
	_, text, _ := installed(t, shapes(t)["postgres"], "--values", "--image", installedImage)
	_, printed, _ := installed(t, shapes(t)["postgres"], "--print", "--image", installedImage)
	var values map[string]any
	if err := sigsyaml.Unmarshal([]byte(text), &values); err != nil {
		t.Fatal(err)
	}
	values["namespace"] = map[string]any{"create": true} // as "helm template --set namespace.create=true"
	got, err := source.Own(os.DirFS(dir), values, "idp", "idp")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(temporary.ReplaceAllString(printed, "$1"), temporary.ReplaceAllString(got, "$1")); diff != "" {
		t.Errorf("-printed +of the chart:\n%s", diff)
	}
	for _, wrong := range []map[string]any{
		{"config": map[string]any{"gitops_ulr": "x"}},
		{"config": map[string]any{"github_webhook_secret": "x"}},
		{"config": map[string]any{"listen": ":1"}},
		{"database": "mysql"},
		{"secret": map[string]any{"files": []any{}}},
	} {
		changed := maps.Clone(values)
		maps.Copy(changed, wrong)
		if _, err := source.Own(os.DirFS(dir), changed, "idp", "idp"); err == nil || !strings.Contains(err.Error(), "schema") {
			t.Errorf("%v is taken: %v", wrong, err)
		}
	}
	delete(values["image"].(map[string]any), "tag")
	delete(values["image"].(map[string]any), "digest")
	if _, err := source.Own(os.DirFS(dir), values, "idp", "idp"); err == nil || !strings.Contains(err.Error(), "set image.digest, or image.tag") {
		t.Errorf("without a tag: %v", err)
	}
}

// TestGeneratedChartSchema: what the chart takes as configuration is what idp does, without what the
// chart sets itself and what is secret. Run it with -update after a change.
func TestGeneratedChartSchema(t *testing.T) {
	t.Parallel()
	const file = "chart/values.schema.json"
	old, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var schema map[string]any
	if err := json.Unmarshal(old, &schema); err != nil {
		t.Fatal(err)
	}
	properties := schema["properties"].(map[string]any)
	keys := map[string]any{}
	for _, field := range configFields() {
		if !field.Secret() && !slices.Contains(slices.Concat(chartKeys, secretFileKeys(), tokenFilesKeys()), field.Key) {
			keys[field.Key] = field.schema()
		}
	}
	properties["config"] = map[string]any{"type": "object", "additionalProperties": false, "properties": keys}
	secret := properties["secret"].(map[string]any)["properties"].(map[string]any)
	secret["files"].(map[string]any)["items"] = map[string]any{"enum": secretFileKeys()}
	secret["tokens"].(map[string]any)["items"].(map[string]any)["properties"].(map[string]any)["key"] = map[string]any{"enum": tokenFilesKeys()}
	want, err := json.MarshalIndent(schema, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	want = append(want, '\n')
	if *update {
		if err := os.WriteFile(file, want, 0o644); err != nil {
			t.Fatal(err)
		}
	} else if diff := cmp.Diff(string(want), string(old)); diff != "" {
		t.Errorf("%s (-want +got; -update accepts it):\n%s", file, diff)
	}
	compiler := jsonschema.NewCompiler()
	document, err := jsonschema.UnmarshalJSON(strings.NewReader(string(want)))
	if err != nil {
		t.Fatal(err)
	}
	if err := compiler.AddResource("values.json", document); err != nil {
		t.Fatal(err)
	}
	if _, err := compiler.Compile("values.json"); err != nil {
		t.Error(err)
	}
}

// TestMountedFor: a Secret that is mounted for a pod's group is nothing to warn of.
func TestMountedFor(t *testing.T) {
	t.Parallel()
	file := filepath.Join(secrettest.Dir(t), "key")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	me, mine := os.Getuid(), os.Getgid()
	for _, c := range []struct {
		mode     fs.FileMode
		uid, gid int
		mounted  bool
	}{
		{0o440, me + 1, mine, true},
		{0o440, me, mine, false},         // one's own, which others may read
		{0o440, me + 1, mine + 1, false}, // another group's
		{0o444, me + 1, mine, false},     // everybody's
		{0o460, me + 1, mine, false},     // the group may write it
	} {
		if err := os.Chmod(file, c.mode); err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(file)
		if err != nil {
			t.Fatal(err)
		}
		if got := mountedFor(info, c.uid, c.gid); got != c.mounted {
			t.Errorf("mode %o for user %+d and group %+d: %v", c.mode, c.uid-me, c.gid-mine, got)
		}
	}
}
