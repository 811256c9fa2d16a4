package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/spf13/cobra"

	"github.com/idp-bot/idp/gitops/fault"
	"github.com/idp-bot/idp/gitops/platform"
	"github.com/idp-bot/idp/gitops/secret/secrettest"
	sigsyaml "sigs.k8s.io/yaml"
)

const webhookSecret = "0123456789abcdef0123456789abcdef"

// load loads a configuration from flags, environment and the text of a file; it
// returns what went to standard error as well.
func load(t *testing.T, need completeness, file string, env map[string]string, args ...string) (*Config, string, error) {
	t.Helper()
	if file != "" {
		path := filepath.Join(secrettest.Dir(t), "idp.yaml")
		if err := os.WriteFile(path, []byte(file), 0o600); err != nil {
			t.Fatal(err)
		}
		args = append(args, "--config", path)
	}
	stderr := newWatchedLog(t)
	p := &program{stderr: stderr, env: env}
	cmd := &cobra.Command{Use: "test"}
	flags := addConfigFlags(cmd)
	if err := cmd.ParseFlags(args); err != nil {
		t.Fatal(err)
	}
	cfg, err := p.loadConfig(flags, need)
	return cfg, stderr.String(), err
}

// complete is the least environment that can be served from, plus changes; an
// empty value removes a key.
func complete(t *testing.T, changes map[string]string) map[string]string {
	t.Helper()
	key := secrettest.Given(filepath.Join(secrettest.Dir(t), "app.pem"))
	if err := os.WriteFile(key, privateKey(t), 0o600); err != nil {
		t.Fatal(err)
	}
	env := map[string]string{
		"IDP_GITHUB_APP_ID": "42", "IDP_GITHUB_PRIVATE_KEY_FILE": key, "IDP_GITHUB_WEBHOOK_SECRET": webhookSecret,
		"IDP_GITOPS_URL": "https://github.com/acme/gitops.git", "IDP_PREVIEW_DOMAIN": "preview.example.com",
	}
	for k, v := range changes {
		env[k] = v
	}
	return env
}

func TestPrecedence(t *testing.T) {
	t.Parallel()
	env := map[string]string{"IDP_GITOPS_BRANCH": "from-env", "IDP_LISTEN": ":2", "IDP_LOG_FORMAT": ""}
	cfg, _, err := load(t, forReading, "gitops_branch: from-file\nlisten: ':3'\nmetrics_listen: ':4'\n", env, "--gitops-branch=from-flag")
	if err != nil {
		t.Fatal(err)
	}
	got := []string{cfg.GitOpsBranch, cfg.Listen, cfg.MetricsListen, cfg.LogFormat}
	if diff := cmp.Diff([]string{"from-flag", ":2", ":4", "text"}, got); diff != "" {
		t.Errorf("flag, environment, file, default (-want +got):\n%s", diff)
	}
}

func TestValues(t *testing.T) {
	t.Parallel()
	cfg, warnings, err := load(t, forServing, `
preview_ttl: 2d
github_webhook_secret:
  - `+webhookSecret+`
  - `+strings.ToUpper(webhookSecret)+`
egress_cidrs: [203.0.113.0/24, "2001:db8::/32"]
log_level: warn
gitops_pushes_per_minute: 0
database_url: sqlite://`+secrettest.Dir(t)+`/idp.db
preview_bots: auto
`, complete(t, map[string]string{"IDP_GITHUB_WEBHOOK_SECRET": ""}))
	if err != nil {
		t.Fatal(err)
	}
	if warnings != "" {
		t.Errorf("warnings of a sound configuration: %s", warnings)
	}
	if cfg.PreviewTTL != 48*time.Hour || cfg.GitOpsPushesPerMinute != 0 || cfg.GitHubAppID != 42 || cfg.LogLevel.String() != "WARN" {
		t.Errorf("scalars: %+v", cfg)
	}
	if len(cfg.GitHubWebhookSecret) != 2 || cfg.GitHubWebhookSecret[1].Reveal() != strings.ToUpper(webhookSecret) {
		t.Errorf("secrets: %d of them", len(cfg.GitHubWebhookSecret))
	}
	if filepath.Base(cfg.StateDir) != "idp-state" || filepath.Dir(cfg.StateDir) != filepath.Dir(strings.TrimPrefix(cfg.DatabaseURL.Reveal(), "sqlite://")) {
		t.Errorf("state dir %q is not beside the database", cfg.StateDir)
	}
	class := cfg.Class()
	if class.RepoURL != "https://github.com/acme/gitops.git" || class.Zone != "preview.example.com" || !class.BotPreviews ||
		class.Routing.TrafficNamespace() != "gateway" || class.Routing.Kind != platform.HTTPRoute || len(class.EgressCIDRs) != 2 {
		t.Errorf("class: %+v", class)
	}
}

// TestDefaultClass holds the two places where defaults stand against each other.
func TestDefaultClass(t *testing.T) {
	t.Parallel()
	cfg, _, err := load(t, forReading, "", nil)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(platform.Default(), cfg.Class()); diff != "" {
		t.Errorf("the class of an empty configuration is not the default one (-default +configuration):\n%s", diff)
	}
}

// TestMistakes has one row per rule; each begins with a sound configuration and
// wants exactly one mistake, whose line starts as given.
func TestMistakes(t *testing.T) {
	t.Parallel()
	dir := secrettest.Dir(t)
	write := func(name, content string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	empty, notKey := write("empty", " \n"), write("notkey", "-----BEGIN CERTIFICATE-----\n")
	for _, c := range []struct{ key, value, want string }{
		{"metrics_listen", ":8080", "it is the same as listen"},
		{"listen", "localhost:http2", `"localhost:http2" is not HOST:PORT`},
		{"database_url", "sqlite://", "this is not the URL of a database"},
		{"database_url", "sqlite:///no/such/folder/idp.db", "there is no folder /no/such/folder"},
		{"database_url", "sqlite://" + dir, "is a folder"},
		{"database_url", "sqlite://" + empty + "/idp.db", "there is no folder " + empty},
		{"database_url", "sqlite:////srv/idp.db", "has a slash too many"},
		{"database_url", "mysql://idp@db/idp", "this is not the URL of a database"},
		{"database_url", "postgres://idp:pass@db:port/idp", "this is not a URL"},
		{"database_url", "postgres:///idp", "it names no server"},
		{"database_url", "postgresql://idp@db:5432", "it names no database"},
		{"database_url", "postgres://idp:pa#ss@db/idp", "this is not a URL"},
		{"database_url", "postgres://idp:pass@db/idp#pa", "it has a #"},
		{"state_dir", empty, empty + " is not a folder"},
		{"state_dir", empty + "/state", empty + " is not a folder"},
		{"rollout_timeout", "0s", "it must be longer than nothing"},
		{"gitops_branch", "-f", `"-f" is not the name of a branch`},
		{"gitops_branch", "a..b", `"a..b" is not the name of a branch`},
		{"gitops_url", "https://git.example.com/acme/gitops.git", "is not the GitHub of the API at api.github.com"},
		{"gitops_url", "https://github.com/gitops.git", "names no owner and repository"},
		{"log_level", "verbose", `"verbose" is not one of its values`},
		{"github_api_url", "api.github.com", "this is not an http or https URL"},
		{"github_api_url", "https://u:p@api.github.com/", "the URL holds credentials"},
		{"github_app_id", "0", "it is not an App id"},
		{"github_app_id", "1e3", `"1e3" is not a whole number`},
		{"github_private_key_file", filepath.Join(dir, "absent"), "cannot read " + filepath.Join(dir, "absent") + ": no such file"},
		{"github_private_key_file", notKey, "it holds no RSA private key"},
		{"github_webhook_secret", ",", "it holds no secret"},
		{"github_webhook_secret", "short", "secret 1 of 1 has 5 bytes"},
		{"gitops_url", "ftp://x/y", "this is not an http, https, ssh or file URL"},
		{"gitops_url", "file:gitops.git", "the file URL has no absolute path"},
		{"gitops_url", "https://token@git.example.com/x", "the URL holds credentials"},
		{"gitops_url", "/srv/gitops.git", "this is not an http, https, ssh or file URL"},
		{"gitops_pushes_per_minute", "-1", "-1 is too small"},
		{"gitops_token_file", empty, "it is empty"},
		{"gitops_token_files", "https://github.com/acme/production.git=" + empty, empty + " is empty"},
		{"gitops_token_files", "https://github.com/acme/production.git", "an item is not of the form URL=FILE"},
		{"gitops_token_files", "https://x:y@github.com/acme/production.git=" + empty, "the URL holds credentials"},
		{"gitops_app_id", "7", "it is missing, and gitops_app_id is set"},
		{"gitops_app_id", "-7", "it is not an App id"},
		{"gitops_private_key_file", notKey, "it is missing, and gitops_private_key_file is set"},
		{"gitops_apps", "https://github.com/acme/production.git=" + notKey, "an item is not of the form URL=ID=FILE"},
		{"gitops_apps", "ssh://git@github.com/acme/production.git=7=" + notKey, "an item is not of the form URL=ID=FILE"},
		{"gitops_apps", "https://x:y@github.com/acme/production.git=7=" + notKey, "the URL holds credentials"},
		{"gitops_apps", "https://git.example.com/acme/production.git=7=" + notKey, "is not the GitHub of the API at api.github.com"},
		{"gitops_apps", "https://github.com/acme/production.git=7=" + notKey, notKey + " holds no RSA private key"},
		{"platform_token_file", empty, "it is empty"},
		{"github_client_id", "Iv1.0123", "it is missing, and github_client_id is set"},
		{"github_client_secret_file", empty, "it is missing, and github_client_secret_file is set"},
		{"platform_url", "https://token@git.example.com/x", "the URL holds credentials"},
		{"mode", "watch", `"watch" is not one of its values`},
		{"images_docker_config_file", empty, "it is not a Docker config.json"},
		{"argocd_token", "x", "argocd_token is set and this is not"},
		{"argocd_token_files", "https://argocd.example.com=" + empty, "argocd_token_files is set and this is not"},
		{"argocd_token_files", "argocd.example.com=" + empty, "an item is not of the form URL=FILE"},
		{"argocd_token_files", "https://x:y@argocd.example.com=" + empty, "the URL holds credentials"},
		{"argocd_url", "https://argocd.example.com", "argocd_url is set and this is not"},
		{"preview_domain", "*.example.com", `"*.example.com" is not a domain`},
		{"preview_host", "{hash}.{zone}", "it does without {service}"},
		{"preview_host", "{service}-{env}.{zone}", "it does without {hash}"},
		{"preview_host", "{service}-{hash}.{zon}", "unknown placeholder {zon}"},
		{"preview_image", "x/{sha", "image template \"x/{sha\""},
		{"preview_host", "{service}-{hash}.{zone", "a brace stands alone"},
		{"preview_host", "x.{service}.{hash}.{zone}x", "what previews get"},
		{"egress_cidrs", "169.254.169.254/32", "hands out credentials"},
		{"preview_ttl", "0s", "it must be longer than nothing"},
		{"preview_ttl", "15d", "it is longer than preview_max_ttl"},
		{"preview_ttl", "3 fortnights", `"3 fortnights" is not a duration`},
		{"preview_warn_before", "4d", "it is not shorter than preview_ttl"},
		{"reap_schedule", "@evry 1m", `"@evry 1m" is not a schedule`},
		{"routing", "Ingress", "routing is Ingress and this is not set"},
		{"gateway_name", "My_Gateway", `"My_Gateway" is not the name of a Kubernetes object`},
		{"egress_cidrs", "10.0.0.0/8,nowhere", `"nowhere" is not an address range`},
		{"node_platforms", "linux/amd64,arm64", `"arm64" is not OS/ARCHITECTURE`},
		{"quota_cpu", "lots", `"lots" is not a quantity`},
		{"quota_pods", "0", "0 is too small"},
		{"quota_default_memory", "9Gi", "9Gi is more than 8Gi of quota_memory"},
	} {
		t.Run(c.key+"="+c.value, func(t *testing.T) {
			t.Parallel()
			_, _, err := load(t, forServing, "", complete(t, map[string]string{"IDP_" + strings.ToUpper(c.key): c.value}))
			if fault.CodeOf(err) != fault.Invalid {
				t.Fatalf("got %v, want an invalid configuration", err)
			}
			out := newWatchedLog(t)
			printError(out, false, err)
			lines := strings.Split(out.String(), "\n")
			if lines[0] != "error: 1 mistake in the configuration" || !strings.Contains(lines[1], c.want) {
				t.Errorf("got\n%swant one mistake: %s", out.String(), c.want)
			}
		})
	}
}

func TestWarnings(t *testing.T) {
	t.Parallel()
	env := complete(t, map[string]string{
		"IDP_GITOPS_URL": "http://github.example.com/acme/gitops.git", "IDP_GITHUB_API_URL": "http://github.example.com/api/v3/",
		"IDP_PREVIEW_DOMAIN": "", "IDP_SERVICE_HOST": "10.0.0.1", "IDP_PORT_8080_TCP": "tcp://10.0.0.1:8080", "IDP_LISTN": ":1",
	})
	if err := os.Chmod(env["IDP_GITHUB_PRIVATE_KEY_FILE"], 0o644); err != nil {
		t.Fatal(err)
	}
	_, stderr, err := load(t, forServing, "", env)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"IDP_LISTN is not read: did you mean IDP_LISTEN?", "has mode 0644: chmod 600 it", "gitops_url (environment IDP_GITOPS_URL): the token goes",
		"github_api_url (environment IDP_GITHUB_API_URL): tokens go", "hosts end in preview.localhost",
	} {
		if !strings.Contains(stderr, want) {
			t.Errorf("no warning %q in:\n%s", want, stderr)
		}
	}
	if n := strings.Count(stderr, "warning:"); n != 5 {
		t.Errorf("%d warnings, want 5:\n%s", n, stderr)
	}
}

func TestSecretsAreNeverShown(t *testing.T) {
	t.Parallel()
	canary := secrettest.New("config")
	env := complete(t, map[string]string{
		"IDP_GITHUB_WEBHOOK_SECRET": "short," + canary, "IDP_ARGOCD_TOKEN": canary, "IDP_DATABASE_URL": "postgres://u:" + canary + "@db:%zz/idp",
		"IDP_GITOPS_URL": "https://u:" + canary + "@git.example.com/%zz", "IDP_GITHUB_API_URL": "https://u:" + canary + "@h/%zz",
	})
	cfg, stderr, err := load(t, forServing, "", env)
	if err == nil {
		t.Fatalf("accepted: %+v", cfg)
	}
	out := newWatchedLog(t)
	printError(out, false, err)
	if strings.Contains(out.String()+stderr+err.Error(), canary) {
		t.Errorf("a secret is shown:\n%s%s", stderr, out.String())
	}
}

// TestConfigFields holds what config_fields.go assumes of config.go.
func TestConfigFields(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, f := range configFields() {
		if f.Key == "" || seen[f.Key] || f.Section == "" {
			t.Errorf("key %q, section %q: empty or repeated", f.Key, f.Section)
		}
		seen[f.Key] = true
		if len(f.Help) < 20 || !strings.HasSuffix(f.Help, ".") || strings.HasPrefix(f.Help, strings.Fields(f.Help)[0]+" is") {
			t.Errorf("%s: the doc comment makes no help: %q", f.Key, f.Help)
		}
		if _, known := rules[f.check]; f.check != "" && !known {
			t.Errorf("%s: unknown rule %q", f.Key, f.check)
		}
		if f.Default != "" {
			if err := f.set(&Config{}, f.Default); err != nil {
				t.Errorf("%s: the default is refused: %v", f.Key, err)
			}
		}
	}
}

// TestConfigSchemaAgrees holds the JSON Schema against the reader, wherever a
// schema can tell.
func TestConfigSchemaAgrees(t *testing.T) {
	t.Parallel()
	text, err := configSchema()
	if err != nil {
		t.Fatal(err)
	}
	var document any
	if err := json.Unmarshal(text, &document); err != nil {
		t.Fatal(err)
	}
	compiler := jsonschema.NewCompiler()
	if err := compiler.AddResource("config.json", document); err != nil {
		t.Fatal(err)
	}
	schema, err := compiler.Compile("config.json")
	if err != nil {
		t.Fatal(err)
	}
	for file, want := range map[string]bool{
		"listen: ':1'\ngithub_app_id: 1\n":         true,
		"egress_cidrs: [203.0.113.0/24]\n":         true,
		"egress_cidrs: 203.0.113.0/24\n":           true,
		"lissen: ':1'\n":                           false,
		"image_check: never\n":                     false,
		"listen: [':1']\n":                         false,
		"github_app_id: twelve\n":                  false,
		"routing:\n":                               false,
		"github: {app_id: 1}\n":                    false,
		"log_level: debug\npreview_comment: off\n": true,
	} {
		asJSON, err := sigsyaml.YAMLToJSON([]byte(strings.ReplaceAll(file, "off", `"off"`)))
		if err != nil {
			t.Fatal(err)
		}
		value, err := jsonschema.UnmarshalJSON(bytes.NewReader(asJSON))
		if err != nil {
			t.Fatal(err)
		}
		bySchema := schema.Validate(value)
		_, _, byReader := load(t, forReading, file, nil)
		if (bySchema == nil) != want || (byReader == nil) != want {
			t.Errorf("%q: want valid %t; schema says %v, the reader %v", file, want, bySchema, byReader)
		}
	}
}
