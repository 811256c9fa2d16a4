package main

import (
	"cmp"
	"context"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/sirupsen/logrus"
	"github.com/spf13/cobra"

	"github.com/idp-bot/idp/gitops/fault"
	"github.com/idp-bot/idp/gitops/onboard"
	"github.com/idp-bot/idp/gitops/platform"
	"github.com/idp-bot/idp/gitops/spec"
)

// schemaFile is what lies beside a deploy.yaml for editors.
const schemaFile = "deploy.schema.json"

func newInit(p *program) *cobra.Command {
	var force, show bool
	var pr onboardFlags
	cmd := &cobra.Command{
		Use:   "init [DIR]",
		Short: "Write a repository's first deploy.yaml, from what it has",
		Long: `Looks at the repository at DIR, by default here, and writes its first .idp/deploy.yaml: from its
Dockerfiles, compose file, charts, overlays, manifests and GitHub Actions workflows, with the
place beside each line that it comes from. What they do not say stands there as a TODO. The
file's JSON Schema is written beside it, for editors.

Nothing of the repository is run, and nothing is overwritten without --force. What is written
is valid, and a preview of it has been rendered once, from the repository's chart, overlay or
manifests where those make it, confined as with the bot. What keeps that from being done is a
TODO, too; what it drops or changes of them is said. Where two services or more have a chart or
an overlay of their own, by its folder (charts/NAME, NAME/chart or one in the service's), each is
rendered from that, and the others by idp; else one is taken for all.

With --pr it also opens the pull request that adds it to the default branch: it commits those
two files on top of that branch as GitHub has it, pushes the commit as branch ` + onboardBranch + ` and opens
the pull request with the token of --token-file, else of GITHUB_TOKEN or GH_TOKEN (for another
GitHub than github.com GH_ENTERPRISE_TOKEN or GITHUB_ENTERPRISE_TOKEN). The branch that is
checked out, the index and what is not committed stay as they are. A deploy.yaml that is there
already is proposed as it stands, and a pull request that is open already is told. At a
terminal it asks whether to.`,
		Example: "  idp init\n  idp init --print path/to/repository\n  GITHUB_TOKEN=$(gh auth token) idp init --pr",
		Args:    atMostOneArg,
	}
	cmd.Flags().BoolVar(&force, "force", false, "write over a deploy.yaml that is there")
	cmd.Flags().BoolVar(&show, "print", false, "print the file, and write nothing")
	cmd.Flags().BoolVar(&pr.open, "pr", false, "open the pull request that adds it")
	cmd.Flags().StringVar(&pr.tokenFile, "token-file", "", "file with a token that may push to the repository and open pull requests")
	cmd.Flags().StringVar(&pr.github, "github-url", "", "root of GitHub's pages (default that of the remote)")
	cmd.MarkFlagsMutuallyExclusive("pr", "print")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		dir := "."
		if len(args) > 0 {
			dir = args[0]
		}
		first, err := p.lookAt(cmd.Context(), dir)
		if err != nil {
			return err
		}
		file := filepath.Join(dir, filepath.FromSlash(spec.Path))
		if _, err := os.Lstat(file); err == nil && !force && !show {
			if pr.open {
				return p.onboard(cmd.Context(), dir, pr, nil)
			}
			return fault.Newf(fault.Conflict, "%s is there already", file).WithHint(`"idp validate" checks it; --force writes over it, --print shows what would be written, --pr proposes it as it is`)
		}
		if err := first.try(cmd.Context()); err != nil {
			return fault.Wrap(err, fault.Failure, "what was found makes no deploy.yaml that can be rendered", "write one by hand: \"idp schema\" prints what is allowed; and please report this")
		}
		if show {
			_, err := p.stdout.Write(first.text)
			return wrapOutput(err)
		}
		if err := p.writeFirst(dir, first.text); err != nil {
			return err
		}
		if err := p.tellFirst(first); err != nil {
			return err
		}
		if pr.open = pr.open || first.owner != "" && p.confirms("Open a pull request that adds it?"); !pr.open {
			return p.tellHow(first)
		}
		return p.onboard(cmd.Context(), dir, pr, first)
	}
	return cmd
}

// firstSpec is the deploy.yaml of a repository that has none.
type firstSpec struct {
	dir, owner, name string // the repository's folder, and what its remote is called
	found            onboard.Found
	text             []byte
	outcome          outcome
}

// lookAt finds what a deploy.yaml is to say.
func (p *program) lookAt(ctx context.Context, dir string) (*firstSpec, error) {
	if !isDir(dir) {
		return nil, fault.Newf(fault.Usage, "%s is not a folder", dir).WithHint("name a checkout of the repository")
	}
	full, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("find %s: %w", dir, err)
	}
	first := &firstSpec{dir: dir}
	first.owner, first.name = originOf(ctx, dir)
	logrus.SetOutput(p.stderr)
	logrus.SetLevel(logrus.ErrorLevel) // the compose library warns of what is of no matter here
	if first.found, err = onboard.Look(os.DirFS(dir), cmp.Or(first.name, filepath.Base(full))); err != nil {
		return nil, fmt.Errorf("look at %s: %w", dir, err)
	}
	return first, nil
}

// try writes the text and renders a preview of it, by the default class. What keeps one from
// being rendered from the repository's source becomes something to do.
func (f *firstSpec) try(ctx context.Context) (err error) {
	f.text = onboard.Write(f.found, schemaFile)
	class := platform.Default()
	class.Gate = &platform.Gate{Public: true} // what guards the route is the server's to say
	t := trial{dir: f.dir, class: class, owner: f.owner, repo: cmp.Or(f.name, f.found.Services[0].Name)}
	if f.outcome, err = t.run(ctx, f.text); err != nil {
		return err
	}
	todo := f.outcome.Unsure
	if failed := f.outcome.Failed; failed != nil {
		todo = append(todo, fmt.Sprintf("No preview can be rendered yet: %s. %s", strings.TrimSuffix(failed.Message, "."), sentence(failed.Hint)))
	}
	for _, note := range todo {
		f.found.Notes = append(f.found.Notes, sentence(note))
	}
	f.text = onboard.Write(f.found, schemaFile)
	return nil
}

// sentence begins with a capital letter and ends with a full stop.
func sentence(text string) string {
	text = strings.TrimSpace(text)
	if text == "" {
		return ""
	}
	first, size := utf8.DecodeRuneInString(text)
	return strings.TrimSuffix(string(unicode.ToUpper(first))+text[size:], ".") + "."
}

var originURL = regexp.MustCompile(`[/:]([A-Za-z0-9-]+)/([A-Za-z0-9._-]+?)(?:\.git)?/?$`)

// originOf is the repository's owner and name by its remote, "" where there is none.
func originOf(ctx context.Context, dir string) (owner, name string) {
	out, err := exec.CommandContext(ctx, "git", "-C", dir, "config", "--get", "remote.origin.url").Output()
	if err != nil {
		return "", ""
	}
	if found := originURL.FindStringSubmatch(strings.TrimSpace(string(out))); found != nil {
		return found[1], found[2]
	}
	return "", ""
}

// writeFirst writes the file and its schema.
func (p *program) writeFirst(dir string, text []byte) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return fmt.Errorf("open %s: %w", dir, err)
	}
	defer root.Close()
	for name, content := range map[string][]byte{spec.Path: text, path.Join(path.Dir(spec.Path), schemaFile): spec.Schema()} {
		if err := root.MkdirAll(path.Dir(name), 0o755); err != nil {
			return fault.New(fault.Failure, fmt.Sprintf("cannot make %s: %s", path.Dir(name), reason(err)), "let this user write the repository's folder")
		}
		if err := root.WriteFile(name, content, fs.FileMode(0o644)); err != nil {
			return fault.New(fault.Failure, fmt.Sprintf("cannot write %s: %s", name, reason(err)), "let this user write the repository's folder")
		}
	}
	return nil
}

// rendersFrom are the folders of what renders the services, in words; "" where idp does.
func (f *firstSpec) rendersFrom() string {
	paths := f.sourcePaths()
	if len(paths) < 2 {
		return strings.Join(paths, "")
	}
	return inWords(paths)
}

func (f *firstSpec) sourcePaths() (paths []string) {
	for _, source := range f.found.Sources() {
		paths = append(paths, source.Path)
	}
	return paths
}

// tellFirst says what was written, and what is left to do.
func (p *program) tellFirst(f *firstSpec) error {
	var b strings.Builder
	fmt.Fprintf(&b, "Wrote %s with %s, and %s for editors.\n", spec.Path, plural(len(f.found.Services), "service"), schemaFile)
	objects := strings.Join(f.outcome.Objects, ", ")
	switch from := f.rendersFrom(); {
	case from == "":
		fmt.Fprintf(&b, "It is valid; a preview of it is %s.\n", objects)
	case objects == "":
		fmt.Fprintf(&b, "It is valid, and nothing could be rendered from %s; the bot renders from the base branch.\n", from)
	default:
		fmt.Fprintf(&b, "It is valid; a preview of it is rendered from %s, as that is on the base branch: %s.\n", from, objects)
	}
	for _, note := range f.found.Notes {
		fmt.Fprintf(&b, "  TODO: %s\n", printable(note))
	}
	for _, note := range f.outcome.Notes {
		fmt.Fprintf(&b, "  - %s\n", printable(note))
	}
	_, err := p.stdout.Write([]byte(b.String()))
	return wrapOutput(err)
}

// tellHow says how what was written gets into the repository.
func (p *program) tellHow(f *firstSpec) error {
	full := "OWNER/NAME"
	if f.owner != "" {
		full = f.owner + "/" + f.name
	}
	_, err := fmt.Fprintf(p.stdout, `Look at it, then:
  idp render --repo %s --pr 1 --sha "$(git rev-parse HEAD)"
  idp init --pr
`, full)
	return wrapOutput(err)
}
