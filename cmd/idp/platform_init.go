package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	kubenames "k8s.io/apimachinery/pkg/util/validation"

	"github.com/idp-bot/idp/gitops"
	"github.com/idp-bot/idp/gitops/fault"
	"github.com/idp-bot/idp/gitops/platform"
)

// The gateways that the first platform folder can be written for.
const (
	traefik      = "traefik"
	ingressNginx = "ingress-nginx"
)

// guarding is how the first platform folder is to guard previews.
type guarding struct {
	gateway, authURL, signInURL, secret string
	show                                bool
}

func newPlatformInit(p *program) *cobra.Command {
	var g guarding
	cmd := &cobra.Command{
		Use:   "init [DIR] --gateway NAME",
		Short: "Write a first platform folder, with authentication in front of previews",
		Long: `Writes the class of previews into the platform folder of a checkout of the GitOps repository,
by default here, so that your gateway asks who somebody is before a preview answers: for the
kind of gateway that --gateway names, by the service at --auth-url (forward authentication,
such as oauth2-proxy's or Authelia's) or, with traefik, by the users of a Secret (basic
authentication), which is what it does where nothing else is said. What a preview runs never
gets to see a password: that is why ingress-nginx, which hands it on, takes --auth-url alone.

traefik is for the Gateway API (routing: HTTPRoute), ingress-nginx for routing: Ingress. Of
any other gateway the README says what to write. Nothing that is there is written over;
--print prints the files instead. What is left to do is said: commit them, and it holds for
each preview with its next commit.`,
		Example: `  idp platform init --gateway traefik --auth-url http://oauth2-proxy.auth.svc.cluster.local/ ../gitops
  idp platform init --gateway traefik --basic-auth preview-users ../gitops
  idp platform init --gateway ingress-nginx --auth-url https://auth.acme.dev/oauth2/auth --sign-in-url https://auth.acme.dev/oauth2/start ../gitops`,
		Args: atMostOneArg,
	}
	cmd.Flags().StringVar(&g.gateway, "gateway", "", "what leads to previews: "+traefik+" or "+ingressNginx)
	cmd.Flags().StringVar(&g.authURL, "auth-url", "", "where the gateway asks, for each request, whether to let it through")
	cmd.Flags().StringVar(&g.signInURL, "sign-in-url", "", "where "+ingressNginx+" sends whoever is not let through")
	cmd.Flags().StringVar(&g.secret, "basic-auth", "preview-users", "name of the Secret with the users, in each preview's namespace")
	cmd.Flags().BoolVar(&g.show, "print", false, "print the files, and write nothing")
	cmd.MarkFlagsMutuallyExclusive("auth-url", "basic-auth")
	// The flag was just defined: the only error there is cannot be.
	_ = cmd.RegisterFlagCompletionFunc("gateway", cobra.FixedCompletions([]string{traefik, ingressNginx}, cobra.ShellCompDirectiveNoFileComp))
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := g.check(cmd); err != nil {
			return err
		}
		files := g.files()
		if g.show {
			_, err := p.stdout.Write(together(files))
			return wrapOutput(err)
		}
		dir := "."
		if len(args) > 0 {
			dir = args[0]
		}
		if err := writePlatform(dir, files); err != nil {
			return err
		}
		_, err := fmt.Fprint(p.stdout, g.written(files))
		return wrapOutput(err)
	}
	return cmd
}

// askable is a URL that a gateway can be told: nothing in it has a meaning to the gateway's own
// configuration.
var askable = regexp.MustCompile(`^https?://[A-Za-z0-9.-]+(:[0-9]{1,5})?(/[A-Za-z0-9._~/-]*)?(\?[A-Za-z0-9._~/=&%-]*)?$`)

func (g guarding) check(cmd *cobra.Command) error {
	switch {
	case g.gateway == "":
		return misused(cmd, "--gateway is missing")
	case g.gateway != traefik && g.gateway != ingressNginx:
		return fault.Newf(fault.Usage, "--gateway %q: expected %s or %s", g.gateway, traefik, ingressNginx).
			WithHint(`of another gateway write access in %s yourself: the README's "Who gets to see previews"`, previewClassFile)
	case g.gateway == ingressNginx && g.authURL == "":
		return fault.Newf(fault.Usage, "--auth-url is missing: %s would hand the passwords of basic authentication on to what a preview runs", ingressNginx).
			WithHint("name the service that says who is let through, such as oauth2-proxy's /oauth2/auth")
	case g.gateway != ingressNginx && g.signInURL != "":
		return misused(cmd, "--sign-in-url goes with --gateway "+ingressNginx+": "+g.gateway+" hands on what the service at --auth-url answers")
	case g.authURL != "" && !askable.MatchString(g.authURL):
		return fault.Newf(fault.Usage, "--auth-url %q is no URL that a gateway can ask", g.authURL).WithHint("expected http or https, a host, and letters of a path and a query")
	case g.signInURL != "" && !askable.MatchString(g.signInURL):
		return fault.Newf(fault.Usage, "--sign-in-url %q is no URL that people can be sent to", g.signInURL).WithHint("expected http or https, a host, and letters of a path and a query")
	case len(kubenames.IsDNS1123Subdomain(g.secret)) > 0:
		return fault.Newf(fault.Usage, "--basic-auth %q is no name of a Secret", g.secret)
	}
	return nil
}

var (
	previewClassFile = path.Join(platform.ClassesDir, previewClass+".yaml")
	previewGateFile  = path.Join(platform.ObjectsDir, "preview-auth.yaml")
)

// noIndexed is the ConfigMap by which ingress-nginx tells search engines to stay away, as
// namespace and name.
const noIndexed = "idp/noindex"

// files are those that guard previews so.
func (g guarding) files() []gitops.File {
	if g.gateway == ingressNginx {
		text := "# Who gets to see previews: ingress-nginx asks there before it lets a request through.\naccess:\n  annotations:\n" +
			"    nginx.ingress.kubernetes.io/auth-url: \"" + g.authURL + "\"\n"
		if g.signInURL != "" {
			text += "    nginx.ingress.kubernetes.io/auth-signin: \"" + g.signInURL + "\"\n"
		}
		text += "    nginx.ingress.kubernetes.io/custom-headers: " + noIndexed + " # X-Robots-Tag, which every HTTPRoute has by itself\n"
		return []gitops.File{{Path: previewClassFile, Content: []byte(text)}}
	}
	asks := "forwardAuth: {address: \"" + g.authURL + "\"}"
	if g.authURL == "" {
		// Without removeHeader the preview's code would be handed its visitors' passwords.
		asks = "basicAuth: {secret: " + g.secret + ", realm: previews, removeHeader: true}"
	}
	return []gitops.File{
		{Path: previewClassFile, Content: []byte(`# Who gets to see previews: Traefik asks before it lets a request through, on every route.
access:
  filters:
    - {group: traefik.io, kind: Middleware, name: preview-auth}
objects:
  - file: ` + previewGateFile + `
    for: [member, bot, fork] # without it the gateway answers nothing
`)},
		{Path: previewGateFile, Content: []byte("apiVersion: traefik.io/v1alpha1\nkind: Middleware\nmetadata: {name: preview-auth}\nspec:\n  " + asks + "\n")},
	}
}

// together are files one behind the other.
func together(files []gitops.File) []byte {
	var out bytes.Buffer
	for i, file := range files {
		if i > 0 {
			out.WriteString("---\n")
		}
		fmt.Fprintf(&out, "# %s\n%s", file.Path, file.Content)
	}
	return out.Bytes()
}

// writePlatform writes files that are not there yet, all or none of them.
func writePlatform(dir string, files []gitops.File) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return fault.Newf(fault.Usage, "%s is not a folder that can be read: %s", dir, reason(err)).WithHint("name a checkout of the GitOps repository")
	}
	defer root.Close()
	for _, file := range files {
		if _, err := root.Lstat(file.Path); !errors.Is(err, fs.ErrNotExist) {
			return fault.Newf(fault.Conflict, "%s is there already in %s", file.Path, dir).WithHint("--print shows what would be written, for you to put it in")
		}
	}
	for _, file := range files {
		if err := root.MkdirAll(path.Dir(file.Path), 0o755); err != nil {
			return fault.Newf(fault.Failure, "cannot make %s: %s", path.Dir(file.Path), reason(err)).WithHint("let this user write the checkout")
		}
		if err := root.WriteFile(file.Path, file.Content, fs.FileMode(0o644)); err != nil {
			return fault.Newf(fault.Failure, "cannot write %s: %s", file.Path, reason(err)).WithHint("let this user write the checkout")
		}
	}
	return nil
}

// written says what was written and is left to do.
func (g guarding) written(files []gitops.File) string {
	var b strings.Builder
	for _, file := range files {
		fmt.Fprintf(&b, "Wrote %s.\n", file.Path)
	}
	b.WriteString("Commit and push it: then previews are behind it, each with its next commit. Before that:\n")
	for _, step := range g.left() {
		b.WriteString("  - " + step + "\n")
	}
	return b.String()
}

// left are the things that are not idp's to do.
func (g guarding) left() []string {
	bootstrap := "idp bootstrap --platform DIR lets Argo CD sync a Middleware: apply it again"
	switch {
	case g.gateway == ingressNginx:
		namespace, name, _ := strings.Cut(noIndexed, "/")
		return []string{
			"set routing: Ingress and routing_namespace, the controller's, in idp's configuration",
			fmt.Sprintf("kubectl -n %s create configmap %s --from-literal=X-Robots-Tag='noindex, nofollow'", namespace, name),
			"global-allowed-response-headers: X-Robots-Tag in the ConfigMap of ingress-nginx itself",
		}
	case g.authURL == "":
		return slices.Concat([]string{
			"have Secret " + g.secret + " copied into every namespace with label " + gitops.LabelManagedBy + "=" + gitops.ManagedBy + ", with the key users: lines of htpasswd -nB NAME",
			"until it is there, Traefik lets nobody in",
		}, []string{bootstrap})
	}
	return []string{bootstrap}
}
