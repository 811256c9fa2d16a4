package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/idp-bot/idp/gitops/platform"
	"github.com/idp-bot/idp/gitops/secret/secrettest"
)

// prints runs a command that is to end so.
func prints(t *testing.T, want int, args ...string) (stdout, stderr string) {
	t.Helper()
	var out, told strings.Builder
	if status := searchedRun(t.Context(), t, args, nil, &out, &told, os.Environ()); status != want {
		t.Fatalf("idp %s ended with %d: %s%s", strings.Join(args, " "), status, out.String(), told.String())
	}
	return out.String(), told.String()
}

// A platform folder that was just written is valid, and has the gateway ask who somebody is on
// every route of every preview, a fork's too.
func TestPlatformInit(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		args    []string
		routing platform.RoutingKind
		route   string
		has     []string
	}{
		"forward, by traefik": {[]string{"--gateway", "traefik", "--auth-url", "http://auth.auth.svc/verify"}, platform.HTTPRoute, "web-httproute.yaml",
			[]string{"type: ExtensionRef", "kind: Middleware", "forwardAuth:\n    address: http://auth.auth.svc/verify", "X-Robots-Tag"}},
		"basic, by traefik": {[]string{"--gateway", "traefik"}, platform.HTTPRoute, "web-httproute.yaml",
			[]string{"type: ExtensionRef", "basicAuth:\n    realm: previews\n    removeHeader: true\n    secret: preview-users", "X-Robots-Tag"}},
		"forward, by ingress-nginx": {[]string{"--gateway", "ingress-nginx", "--auth-url", "https://auth.acme.dev/oauth2/auth", "--sign-in-url", "https://auth.acme.dev/oauth2/start"}, platform.Ingress, "web-ingress.yaml",
			[]string{"nginx.ingress.kubernetes.io/auth-url: https://auth.acme.dev/oauth2/auth", "nginx.ingress.kubernetes.io/auth-signin: https://auth.acme.dev/oauth2/start", "nginx.ingress.kubernetes.io/custom-headers: idp/noindex"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := secrettest.Dir(t)
			checkout, repo, config := filepath.Join(dir, "gitops"), filepath.Join(dir, "web"), filepath.Join(dir, "idp.yaml")
			for file, content := range map[string]string{
				filepath.Join(checkout, "README.md"): "", filepath.Join(repo, ".idp", "deploy.yaml"): "service: {name: web}\n", config: "routing: " + string(c.routing) + "\nrouting_namespace: gateway\n",
			} {
				if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			args := append([]string{"platform", "init", checkout}, c.args...)
			shown, _ := prints(t, exitOK, append(args, "--print")...)
			if _, err := os.Stat(filepath.Join(checkout, platform.Dir)); !os.IsNotExist(err) {
				t.Errorf("--print wrote: %v", err)
			}
			prints(t, exitOK, args...)
			class, err := os.ReadFile(filepath.Join(checkout, filepath.FromSlash(previewClassFile)))
			if err != nil || !strings.Contains(shown, string(class)) {
				t.Errorf("it printed\n%s\nand wrote\n%s (%v)", shown, class, err)
			}
			if valid, _ := prints(t, exitOK, "platform", "validate", checkout); !strings.Contains(valid, "platform is valid") {
				t.Errorf("it is not valid: %s", valid)
			}
			base := platform.Default()
			base.Routing.Kind = c.routing
			declared, err := loadPlatform(checkout, base)
			if err != nil {
				t.Fatal(err)
			}
			if of := declared.OfPreviews(base); of.Closed() || !of.Guarded() || of.Gate.Public {
				t.Errorf("previews are not behind it: %+v", of.Gate)
			}
			rendered, told := prints(t, exitOK, "render", repo, "--config", config, "--platform", checkout, "--trust", "fork", "--repo", "acme/web", "--pr", "1", "--sha", strings.Repeat("a", 40))
			if !strings.Contains(rendered, c.route) || strings.Contains(told, "nobody has said") {
				t.Errorf("there is no route: %s", told)
			}
			for _, part := range c.has {
				if !strings.Contains(rendered, part) {
					t.Errorf("nothing rendered has %q:\n%s", part, rendered)
				}
			}
			// Nothing that is there is written over.
			if _, told := prints(t, exitFailure, args...); !strings.Contains(told, "is there already in "+checkout) {
				t.Errorf("again: %s", told)
			}
			if again, err := os.ReadFile(filepath.Join(checkout, filepath.FromSlash(previewClassFile))); err != nil || string(again) != string(class) {
				t.Errorf("it was written over: %s, %v", again, err)
			}
		})
	}
}

// What guards nothing, or would hand passwords or configuration on, is refused.
func TestPlatformInitRefuses(t *testing.T) {
	t.Parallel()
	dir := secrettest.Dir(t)
	for name, c := range map[string]struct {
		args []string
		want string
	}{
		"no gateway":      {nil, "error: --gateway is missing\nhint: \"idp platform init --help\" shows how it is called\n"},
		"another gateway": {[]string{"--gateway", "kong"}, "error: --gateway \"kong\": expected traefik or ingress-nginx\nhint: of another gateway write access in platform/classes/preview.yaml yourself: the README's \"Who gets to see previews\"\n"},
		"passwords":       {[]string{"--gateway", "ingress-nginx"}, "error: --auth-url is missing: ingress-nginx would hand the passwords of basic authentication on to what a preview runs\nhint: name the service that says who is let through, such as oauth2-proxy's /oauth2/auth\n"},
		"sign-in":         {[]string{"--gateway", "traefik", "--auth-url", "https://a.dev", "--sign-in-url", "https://a.dev"}, "error: --sign-in-url goes with --gateway ingress-nginx: traefik hands on what the service at --auth-url answers\nhint: \"idp platform init --help\" shows how it is called\n"},
		"configuration":   {[]string{"--gateway", "ingress-nginx", "--auth-url", "https://a.dev/;return 200"}, "error: --auth-url \"https://a.dev/;return 200\" is no URL that a gateway can ask\nhint: expected http or https, a host, and letters of a path and a query\n"},
		"a variable":      {[]string{"--gateway", "ingress-nginx", "--auth-url", "https://a.dev", "--sign-in-url", "https://a.dev/$host"}, "error: --sign-in-url \"https://a.dev/$host\" is no URL that people can be sent to\nhint: expected http or https, a host, and letters of a path and a query\n"},
		"no secret":       {[]string{"--gateway", "traefik", "--basic-auth", "A b"}, "error: --basic-auth \"A b\" is no name of a Secret\n"},
		"no folder":       {[]string{"--gateway", "traefik", filepath.Join(dir, "absent")}, ""},
	} {
		if _, told := prints(t, exitUsage, append([]string{"platform", "init"}, c.args...)...); c.want != "" && told != c.want {
			t.Errorf("%s (-want +got):\n%s", name, cmp.Diff(c.want, told))
		}
	}
}

// guardedPicture is the README's part on a first platform folder.
func guardedPicture(t *testing.T) string {
	t.Helper()
	dir := secrettest.Dir(t)
	args := []string{"platform", "init", "--gateway", "traefik", "--auth-url", "http://oauth2-proxy.auth.svc.cluster.local/", dir}
	written := readmePrints(t, exitOK, args...)
	return "```console\n$ idp platform init --gateway traefik --auth-url http://oauth2-proxy.auth.svc.cluster.local/ ../gitops\n" + written + "```"
}
