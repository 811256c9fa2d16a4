package main

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/idp-bot/idp/bot"
	"github.com/idp-bot/idp/bot/access"
	"github.com/idp-bot/idp/bot/github"
	"github.com/idp-bot/idp/bot/report"
	"github.com/idp-bot/idp/gitops"
	"github.com/idp-bot/idp/gitops/fault"
	"github.com/idp-bot/idp/gitops/platform"
	"github.com/idp-bot/idp/gitops/render"
	"github.com/idp-bot/idp/gitops/spec"
	"github.com/idp-bot/idp/previews"
	"github.com/idp-bot/idp/webhooks"
)

// maxEventFile is the most that is read of an event, in bytes: GitHub sends no more.
const maxEventFile = 25 << 20

// exampleRepoURL stands for a GitOps repository that is not configured.
const exampleRepoURL = "https://git.example.com/gitops.git"

// replayFlags are the flags of "idp replay", as given.
type replayFlags struct {
	event, spec, permission, now string
	changed                      []string
	existing                     bool
}

func newReplay(p *program) *cobra.Command {
	var f replayFlags
	cmd := &cobra.Command{
		Use:   "replay EVENT.json --event NAME",
		Short: "Print what the bot would do about a webhook",
		Long: `Takes a webhook's payload ("-" for standard input) to what the bot would decide,
commit and say, offline and without any effect. What the bot would read live is taken
from the payload where it is there, and otherwise assumed; each assumption is told.

The spec is that of --spec, else the .idp/deploy.yaml here.`,
		Example: `  idp replay opened.json --event pull_request
  idp replay comment.json --event issue_comment --permission read --existing
  gh api /app/hook/deliveries/123 -q .request.payload | idp replay - --event pull_request -o json`,
		Args: oneArg("the event's file (or - for standard input)"),
	}
	flags := cmd.Flags()
	flags.StringVar(&f.event, "event", "", "event's name, as in the header X-GitHub-Event")
	flags.StringVar(&f.spec, "spec", "", "deploy.yaml of the pull request's head (default the one here)")
	flags.StringVar(&f.permission, "permission", string(access.Write), "what a comment's author may do: "+strings.Join(permissions(), ", "))
	flags.StringSliceVar(&f.changed, "changed", nil, "file that the pull request changes, for preview.paths; may be repeated")
	flags.BoolVar(&f.existing, "existing", false, "assume that the pull request's preview is there already")
	flags.StringVar(&f.now, "now", "", "time of the event, as 2006-01-02T15:04:05Z (default the present)")
	// The flag was just defined: the only error there is cannot be.
	_ = cmd.RegisterFlagCompletionFunc("event", cobra.FixedCompletions(github.Events(), cobra.ShellCompDirectiveNoFileComp))
	output := addOutputFlag(cmd)
	config := addConfigFlags(cmd, append(renderKeys(), "argocd_url", "argocd_token", "preview_comment", "preview_bots")...)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := required(cmd, "event"); err != nil {
			return err
		}
		cfg, err := p.loadConfig(config, forReading)
		if err != nil {
			return err
		}
		out, err := p.replay(cfg, f, args[0])
		if err != nil {
			return err
		}
		if *output != formatTable {
			return output.print(p.stdout, false, out, table{})
		}
		_, err = io.WriteString(p.stdout, out.text(p.styled(p.stdout)))
		return wrapOutput(err)
	}
	return cmd
}

func permissions() []string {
	return []string{string(access.None), string(access.Read), string(access.Triage), string(access.Write), string(access.Maintain), string(access.Admin)}
}

// check holds the flags against what they may be and returns the time they name.
func (f replayFlags) check() (time.Time, error) {
	if !slices.Contains(github.Events(), f.event) {
		err := fault.Newf(fault.Usage, "--event %q is not the name of an event", f.event)
		if near := nearest(f.event, github.Events()); near != "" {
			return time.Time{}, err.WithHint("did you mean %q?", near)
		}
		return time.Time{}, err.WithHint("use the delivery's X-GitHub-Event, such as pull_request or issue_comment")
	}
	if !slices.Contains(permissions(), f.permission) {
		return time.Time{}, fault.Newf(fault.Usage, "--permission %q is not one of GitHub's", f.permission).WithHint("use one of %s", strings.Join(permissions(), ", "))
	}
	if f.now == "" {
		return time.Now().UTC(), nil
	}
	now, err := time.Parse(time.RFC3339, f.now)
	if err != nil {
		return now, fault.Newf(fault.Usage, "--now %q is not a time", f.now).WithHint("write it like 2026-11-22T15:04:05Z")
	}
	return now.UTC(), nil
}

// replay takes the event in the file to what follows from it.
func (p *program) replay(cfg *Config, f replayFlags, file string) (*replayed, error) {
	now, err := f.check()
	if err != nil {
		return nil, err
	}
	payload, err := p.readEvent(file)
	if err != nil {
		return nil, err
	}
	event, err := webhooks.Decode(f.event, "replay", payload)
	if err == nil {
		err = hasSubject(f.event, payload)
	}
	if err != nil {
		return nil, fault.Wrap(err, fault.Invalid, "cannot decode "+file, "give the payload of a webhook as GitHub sent it, and its event's name")
	}
	out := &replayed{Event: strings.Trim(event.Name+"."+event.Action, "."), class: cfg.Class(), web: htmlURL(cfg.GitHubAPIURL), now: now}
	if event.Kind != bot.EventPullRequest && event.Kind != bot.EventComment && event.Kind != bot.EventRerequest {
		out.Reasons = []string{"no decision follows from it: " + notDecided(event)}
		return out, nil
	}
	facts, err := newFacts(payload, event)
	if err != nil {
		return nil, err
	}
	if facts.Spec, err = p.replaySpec(f, facts); err != nil {
		return nil, err
	}
	if err := facts.assume(event, f, now, out.class); err != nil {
		return nil, err
	}
	out.Subject = fmt.Sprintf("%s/%s#%d", facts.PR.Repository.Owner, facts.PR.Repository.Name, facts.PR.Number)
	decision := bot.Decide(facts.Snapshot, event)
	out.Assumptions = facts.assumptions
	return out, out.follow(facts.Snapshot, decision)
}

func notDecided(event bot.Event) string {
	switch event.Kind {
	case bot.EventBuild:
		return "images that environments at its commit wait for are looked up again"
	case bot.EventRequest:
		return "it came in through the API; replay a comment with its command instead"
	case bot.EventButton:
		return "which environment the check is of stands in the bot's database"
	case bot.EventRepository:
		return "the repository's names are brought up to date, and where it was deleted its previews go and its declared environments say so"
	case bot.EventInstallation:
		return "reports wait while idp has no access, and go on when it has"
	default:
		return "idp does not act on this event"
	}
}

func (p *program) readEvent(file string) ([]byte, error) {
	from := p.stdin
	if file != "-" {
		f, err := os.Open(file)
		if err != nil {
			return nil, fault.New(fault.Invalid, fmt.Sprintf("cannot read %s: %s", file, reason(err)), "")
		}
		defer f.Close()
		from = f
	}
	payload, err := io.ReadAll(io.LimitReader(from, maxEventFile+1))
	if err != nil {
		return nil, fault.New(fault.Invalid, fmt.Sprintf("cannot read %s: %s", file, reason(err)), "")
	}
	if len(payload) > maxEventFile {
		return nil, fault.Newf(fault.Invalid, "%s is over 25 MiB, more than GitHub sends", file)
	}
	return payload, nil
}

// replaySpec reads the spec of the head. A file that was named must be there; the
// one of this folder may be missing, as in a repository that idp has no part in.
func (p *program) replaySpec(f replayFlags, facts *facts) (bot.SpecAt, error) {
	path := f.spec
	if path == "" {
		path = "."
		if _, err := os.Stat(spec.Path); os.IsNotExist(err) {
			facts.assumed("the commit has no %s, as this folder", spec.Path)
			return bot.SpecAt{}, nil
		}
	}
	name, raw, err := p.readSpec([]string{path})
	if err != nil {
		return bot.SpecAt{}, err
	}
	facts.assumed("the commit's spec is that of %s here", name)
	parsed, errs := spec.Parse(spec.Path, raw)
	return bot.SpecAt{Found: true, Raw: raw, Spec: parsed, Errors: errs}, nil
}

// follow takes the decision on to the commit and to what is said of it.
func (r *replayed) follow(s bot.Snapshot, d bot.Decision) error {
	r.Reasons = d.Reasons
	for _, e := range d.Effects {
		if e.Kind == bot.EffectReaction {
			r.Reactions = append(r.Reactions, e.Content)
		} else {
			r.Replies = append(r.Replies, e.Content)
		}
	}
	for _, a := range d.Audit {
		r.Audit = append(r.Audit, replayedAudit{Actor: a.Actor.Login, Action: a.Action, Allowed: a.Allowed, Reason: a.Reason})
	}
	if d.Environment == nil {
		return nil
	}
	row := *d.Environment
	if err := r.commit(&row, s.Environment); err != nil {
		return err
	}
	in := report.Input{Environment: row, Class: r.class, Now: r.now}
	if report.CommentWanted(in, s.Environment != nil) {
		r.Comment = report.Comment(in)
	}
	check := report.CheckOf(in)
	r.Check = &replayedCheck{
		Name: check.Name, SHA: check.HeadSHA, Status: check.Status, Conclusion: check.Conclusion,
		Title: check.Title, Summary: check.Summary, Annotations: check.Annotations,
	}
	if deployment, ok := report.DeploymentOf(in); ok {
		r.Deployment = &replayedDeployment{State: deployment.State, SHA: deployment.SHA, URL: deployment.URL, Description: deployment.Description}
	}
	return nil
}

// commit renders what the row asks for, images being there, and records it in the
// row as the committer would. before is the row of the preview that is there, nil
// for none.
func (r *replayed) commit(row, before *previews.Environment) error {
	if row.NeedsImages() {
		if err := r.resolve(row); err != nil {
			return err
		}
	}
	if !row.NeedsCommit() {
		return nil
	}
	c := &replayedCommit{Environment: row.Ref.String(), Generation: row.Generation, Wanted: row.Wanted}
	done := previews.Applied{Generation: row.Generation, At: r.now}
	if row.Wanted == previews.Present {
		class := r.class
		if class.RepoURL == "" {
			class.RepoURL = exampleRepoURL
			r.assumed("gitops_url, which is not set, is %s", class.RepoURL)
		}
		files, err := renderTree{class: class, row: *row, web: r.web}.files(nil)
		if err != nil {
			return err
		}
		there, err := contents(renderTree{class: class, web: r.web}, before)
		if err != nil {
			return err
		}
		if c.Element, err = elementOf(files[0].Content); err != nil {
			return err
		}
		for _, file := range files {
			c.Files = append(c.Files, replayedFile{Path: file.Path, Change: changeOf(there, file), Content: string(file.Content)})
		}
		done.SHA, done.Tree = row.SHA, "replay"
	} else {
		c.Removed = []string{row.Ref.Dir() + "/"}
	}
	row.Commit(done)
	r.Commit = c
	return nil
}

// contents are the files of a preview that is there, by path.
func contents(t renderTree, row *previews.Environment) (map[string]string, error) {
	there := map[string]string{}
	if row == nil || row.Wanted != previews.Present {
		return there, nil
	}
	t.row = *row
	files, err := t.files(nil)
	if err != nil {
		return nil, err
	}
	for _, file := range files {
		there[file.Path] = string(file.Content)
	}
	return there, nil
}

// changeOf says what the commit does to a file.
func changeOf(there map[string]string, file gitops.File) string {
	switch content, ok := there[file.Path]; {
	case !ok:
		return fileNew
	case content != string(file.Content):
		return fileChanged
	default:
		return fileSame
	}
}

func (r *replayed) resolve(row *previews.Environment) error {
	images, err := templateImages(r.class, *row)
	if err != nil {
		return err
	}
	r.assumed("every image is in its registry, which would give its digest to commit")
	if parsed, _ := spec.Parse(spec.Path, row.Spec); parsed != nil && slices.ContainsFunc(parsed.Services, func(s spec.Service) bool {
		return spec.OfMerge(render.ImageTemplate(r.class, s))
	}) {
		r.assumed("{merge_sha} is the head itself: which merge of it GitHub tried is not known here")
	}
	row.Resolve(images, r.now)
	return nil
}

// templateImages are the images of the row's services as their templates name them.
func templateImages(class platform.Class, row previews.Environment) ([]previews.Image, error) {
	parsed, errs := spec.Parse(spec.Path, row.Spec)
	if err := errs.Err(); err != nil {
		return nil, err
	}
	images := make([]previews.Image, len(parsed.Services))
	for i, service := range parsed.Services {
		reference, err := imageReference(oneClass(class))(row, service, previews.Build{SHA: row.SHA, Merge: row.SHA})
		if err != nil {
			return nil, err
		}
		images[i] = previews.Image{Service: service.Name, Reference: reference}
	}
	return images, nil
}
