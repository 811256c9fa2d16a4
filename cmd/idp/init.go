package main

import (
	"cmp"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/sirupsen/logrus"
	"github.com/spf13/cobra"

	"github.com/idp-bot/idp/gitops"
	"github.com/idp-bot/idp/gitops/fault"
	"github.com/idp-bot/idp/gitops/manifests"
	"github.com/idp-bot/idp/gitops/onboard"
	"github.com/idp-bot/idp/gitops/platform"
	"github.com/idp-bot/idp/gitops/spec"
	"github.com/idp-bot/idp/previews"
)

// schemaFile is what lies beside a deploy.yaml for editors.
const schemaFile = "deploy.schema.json"

func newInit(p *program) *cobra.Command {
	var force, show bool
	cmd := &cobra.Command{
		Use:   "init [DIR]",
		Short: "Write a repository's first deploy.yaml, from what it has",
		Long: `Looks at the repository at DIR, by default here, and writes its first .idp/deploy.yaml: from its
Dockerfiles, compose file, charts, overlays, manifests and GitHub Actions workflows, with the
place beside each line that it comes from. What they do not say stands there as a TODO. The
file's JSON Schema is written beside it, for editors.

Nothing of the repository is run, and nothing is overwritten without --force. What is written
is valid, and has been rendered once.`,
		Example: "  idp init\n  idp init --print path/to/repository",
		Args:    atMostOneArg,
	}
	cmd.Flags().BoolVar(&force, "force", false, "write over a deploy.yaml that is there")
	cmd.Flags().BoolVar(&show, "print", false, "print the file, and write nothing")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		dir := "."
		if len(args) > 0 {
			dir = args[0]
		}
		if !isDir(dir) {
			return fault.Newf(fault.Usage, "%s is not a folder", dir).WithHint("name a checkout of the repository")
		}
		full, err := filepath.Abs(dir)
		if err != nil {
			return fmt.Errorf("find %s: %w", dir, err)
		}
		file := filepath.Join(dir, filepath.FromSlash(spec.Path))
		if _, err := os.Lstat(file); err == nil && !force && !show {
			return fault.Newf(fault.Conflict, "%s is there already", file).WithHint(`"idp validate" checks it; --force writes over it, --print shows what would be written`)
		}
		owner, name := originOf(cmd, dir)
		logrus.SetOutput(p.stderr)
		logrus.SetLevel(logrus.ErrorLevel) // the compose library warns of what is of no matter here
		found, err := onboard.Look(os.DirFS(dir), cmp.Or(name, filepath.Base(full)))
		if err != nil {
			return fmt.Errorf("look at %s: %w", dir, err)
		}
		text := onboard.Write(found, schemaFile)
		objects, err := trial(text)
		if err != nil {
			return fault.Wrap(err, fault.Failure, "what was found makes no deploy.yaml that can be rendered", "write one by hand: \"idp schema\" prints what is allowed; and please report this")
		}
		if show {
			_, err := p.stdout.Write(text)
			return wrapOutput(err)
		}
		if err := p.writeFirst(dir, text); err != nil {
			return err
		}
		return p.tellFirst(found, objects, owner, name)
	}
	return cmd
}

var originURL = regexp.MustCompile(`[/:]([A-Za-z0-9-]+)/([A-Za-z0-9._-]+?)(?:\.git)?/?$`)

// originOf is the repository's owner and name by its remote, "" where there is none.
func originOf(cmd *cobra.Command, dir string) (owner, name string) {
	out, err := exec.CommandContext(cmd.Context(), "git", "-C", dir, "config", "--get", "remote.origin.url").Output()
	if err != nil {
		return "", ""
	}
	if found := originURL.FindStringSubmatch(strings.TrimSpace(string(out))); found != nil {
		return found[1], found[2]
	}
	return "", ""
}

// trial renders a preview of what is about to be written, by the default class, and
// returns the objects that come of it.
func trial(text []byte) ([]string, error) {
	parsed, errs := spec.Parse(spec.Path, text)
	if err := errs.Err(); err != nil {
		return nil, err
	}
	row := previews.Environment{
		Ref:   gitops.EnvironmentRef{RepositoryID: 1, Owner: "owner", Repo: "repo", ID: gitops.PreviewID(1)},
		Owner: "owner", Repo: "repo", PR: 1,
	}
	row.Want(previews.Revision{SHA: strings.Repeat("0", 40), Spec: text, TTL: time.Hour}, time.Now())
	class := platform.Default()
	class.Gate = &platform.Gate{Public: true} // what guards the route is the server's to say
	for _, service := range parsed.Services {
		row.Images = append(row.Images, previews.Image{Service: service.Name, Reference: "registry.example.com/" + service.Name + ":" + row.SHA})
	}
	files, err := renderer(oneClass(class))(row)
	if err != nil {
		return nil, err
	}
	var objects []string
	for _, added := range manifests.Compare(nil, below(files, row.Ref.ManifestsDir())) {
		objects = append(objects, added.Object)
	}
	return objects, nil
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

// tellFirst says what was written, what is left to do, and how it gets into the repository.
func (p *program) tellFirst(found onboard.Found, objects []string, owner, name string) error {
	var b strings.Builder
	fmt.Fprintf(&b, "Wrote %s with %s, and %s for editors.\n", spec.Path, plural(len(found.Services), "service"), schemaFile)
	if found.Source == nil {
		fmt.Fprintf(&b, "It is valid; a preview of it is %s.\n", strings.Join(objects, ", "))
	} else {
		fmt.Fprintf(&b, "It is valid; previews are rendered from %s, as it is on the base branch.\n", found.Source.Path)
	}
	for _, note := range found.Notes {
		fmt.Fprintf(&b, "  - %s\n", note)
	}
	full := "OWNER/NAME"
	if owner != "" {
		full = owner + "/" + name
	}
	fmt.Fprintf(&b, `Look at it, then:
  idp render --repo %s --pr 1 --sha "$(git rev-parse HEAD)"
  git switch -c idp && git add .idp && git commit -m "Deploy with idp" && git push -u origin idp
  gh pr create --fill
`, full)
	_, err := p.stdout.Write([]byte(b.String()))
	return wrapOutput(err)
}
