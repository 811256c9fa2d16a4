package campaign

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"path"
	"slices"
	"strconv"
	"strings"

	"sigs.k8s.io/yaml"

	"github.com/idp-bot/idp/bot/github/githubtest"
	"github.com/idp-bot/idp/bot/report"
	"github.com/idp-bot/idp/gitops"
	"github.com/idp-bot/idp/gitops/render"
	"github.com/idp-bot/idp/previews/store"
)

// mostDeliveries is more than a round has.
const mostDeliveries = 1_000_000

// look gathers the facts of a round.
func (r *round) look(ctx context.Context) (Facts, error) {
	f := Facts{Sent: r.edge.ledger(), Kept: map[string]Kept{}}
	err := r.WithStore(ctx, func(s *store.Store) error {
		all, err := s.Deliveries(ctx, "", mostDeliveries)
		for _, d := range all {
			f.Kept[d.GUID] = Kept{string(d.State), d.Error}
		}
		return err
	})
	if err != nil {
		return f, err
	}
	f.Pulls = r.history.facts(r.App)
	if f.Followed = r.argocd != nil; f.Followed {
		f.Applications = slices.DeleteFunc(r.argocd.Applications(), func(name string) bool { return name == argoRoot })
	}
	if err := r.lookAtGit(ctx, &f); err != nil {
		return f, err
	}
	// Another process each time: it is asked once the rest holds.
	if len(Judge(f)) > 0 {
		return f, nil
	}
	if _, err := r.run(ctx, "audit", "verify", "--clone", r.GitOps.Path); err != nil {
		f.Audit = err.Error()
	}
	return f, nil
}

func (r *round) lookAtGit(ctx context.Context, f *Facts) error {
	stood := r.tips() // before the tip, which goes on
	tip, err := r.GitOps.Tip(ctx, branch)
	if err != nil {
		return err
	}
	if f.Commits, err = r.commits(ctx, tip); err != nil {
		return err
	}
	reached := map[string]bool{}
	for _, c := range f.Commits {
		reached[c.SHA] = true
	}
	for _, sha := range stood {
		if !reached[sha] {
			f.Lost = append(f.Lost, sha)
		}
	}
	return r.lookAtTip(ctx, tip, f)
}

// git runs git on the GitOps repository itself.
func (r *round) git(ctx context.Context, args ...string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, "git", append([]string{"--git-dir", r.GitOps.Path}, args...)...)
	cmd.Env = []string{"HOME=" + r.Dir, "PATH=/usr/local/bin:/usr/bin:/bin", "GIT_CONFIG_NOSYSTEM=1", "GIT_OPTIONAL_LOCKS=0"}
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("git %s: %w: %s", args[0], err, stderr.Bytes())
	}
	return out, nil
}

// commits returns those that a tip reaches, the oldest first.
func (r *round) commits(ctx context.Context, tip string) ([]Commit, error) {
	out, err := r.git(ctx, "log", "--reverse", "--topo-order", "-m", "--no-renames", "--name-only", "-z", "--format=%x01%H%x02%B%x02", tip)
	if err != nil {
		return nil, err
	}
	by := map[string]string{}
	for _, d := range r.doors {
		for sha, life := range d.commits() {
			by[sha] = life
		}
	}
	return parseCommits(string(out), by), nil
}

// parseCommits reads what git log wrote: after a \x01 each commit's SHA, its message and
// the paths that it changes.
func parseCommits(out string, by map[string]string) []Commit {
	var commits []Commit
	for record := range strings.SplitSeq(out, "\x01") {
		fields := strings.Split(record, "\x02")
		if len(fields) != 3 {
			continue
		}
		c := Commit{SHA: fields[0], By: by[fields[0]]}
		for p := range strings.SplitSeq(fields[2], "\x00") {
			if p = strings.TrimSpace(p); p != "" {
				c.Paths = append(c.Paths, p)
			}
		}
		c.read(fields[1])
		commits = append(commits, c)
	}
	return commits
}

// read reads idp's trailers; those of a change follow its key.
func (c *Commit) read(message string) {
	for line := range strings.Lines(message) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
		switch name {
		case "Idp-Epoch":
			c.Epoch = value
		case "Idp-Change":
			env, generation, _ := strings.Cut(value, "@")
			n, _ := strconv.ParseInt(generation, 10, 64) // 0 is none
			c.Changes = append(c.Changes, Change{Key: value, Environment: env, Generation: n})
		case "Idp-Revision":
			if n := len(c.Changes); n > 0 {
				c.Changes[n-1].Revision = value
			}
		}
	}
}

// lookAtTip reads what stands in the repository now.
func (r *round) lookAtTip(ctx context.Context, tip string, f *Facts) error {
	out, err := r.git(ctx, "ls-tree", "-r", "-z", "--name-only", "--full-tree", tip)
	if err != nil {
		return err
	}
	f.Environments, f.Foreign, f.Files = map[string]Environment{}, r.written(), map[string]string{}
	for p := range strings.SplitSeq(strings.TrimSuffix(string(out), "\x00"), "\x00") {
		_, foreign := f.Foreign[p]
		record := strings.HasPrefix(p, gitops.EnvironmentsDir+"/") && path.Base(p) == "environment.yaml"
		list := strings.HasPrefix(p, gitops.ApplicationSetsDir+"/")
		if strings.HasPrefix(p, gitops.EnvironmentsDir+"/") && !record {
			folder := strings.Join(strings.Split(p, "/")[:min(4, strings.Count(p, "/"))], "/")
			if _, known := f.Environments[folder]; !known {
				f.Environments[folder] = Environment{} // the folder is there, and perhaps no record
			}
			continue
		}
		if !foreign && !record && !list {
			continue
		}
		content, err := r.GitOps.Content(ctx, tip, p)
		if err != nil {
			return err
		}
		switch {
		case foreign:
			f.Files[p] = content
		case record:
			e, err := render.ParseRecord([]byte(content))
			if err != nil {
				return err
			}
			f.Environments[path.Dir(p)] = Environment{SHA: e.SHA, Pinned: e.ExpiresAt == nil}
		default:
			folders, err := listedIn(content)
			if err != nil {
				return fmt.Errorf("%s: %w", p, err)
			}
			f.Lists = append(f.Lists, folders...)
		}
	}
	return nil
}

// listedIn are the folders of an ApplicationSet's elements.
func listedIn(content string) (folders []string, err error) {
	var set struct {
		Spec struct {
			Generators []struct {
				List struct {
					Elements []struct {
						Path string `json:"path"`
					} `json:"elements"`
				} `json:"list"`
			} `json:"generators"`
		} `json:"spec"`
	}
	if err := yaml.Unmarshal([]byte(content), &set); err != nil {
		return nil, err
	}
	for _, generator := range set.Spec.Generators {
		for _, element := range generator.List.Elements {
			folders = append(folders, strings.TrimSuffix(element.Path, "/manifests"))
		}
	}
	return folders, nil
}

// facts are the pull requests as GitHub has them.
func (h *history) facts(app *githubtest.App) []Pull {
	var out []Pull
	for _, r := range h.repositories {
		deployments := map[string]map[string]int{}
		for _, d := range r.repo.Deployments() {
			if deployments[d.SHA] == nil {
				deployments[d.SHA] = map[string]int{}
			}
			deployments[d.SHA][d.Environment]++
		}
		runs := r.repo.CheckRuns()
		for _, p := range r.pulls {
			out = append(out, p.facts(r, runs, deployments))
		}
	}
	return out
}

func (p *pull) facts(r *repository, runs []githubtest.CheckRun, deployments map[string]map[string]int) Pull {
	id := gitops.PreviewID(p.pr.Number())
	f := Pull{
		Folder: path.Join(gitops.EnvironmentsDir, r.repo.FullName(), id), Key: fmt.Sprintf("%d/%s", r.repo.ID(), id),
		Open: p.pr.State() == "open", Reopened: p.reopened, Heads: p.heads, Deployments: map[string]int{},
	}
	mine := map[string]bool{}
	for _, sha := range p.heads {
		mine[sha] = true
		for _, n := range deployments[sha] {
			f.Deployments[sha] += n
		}
	}
	for _, run := range runs {
		if mine[run.HeadSHA] && run.Name == report.CheckName {
			f.Checks = append(f.Checks, Check{run.HeadSHA, run.Status, run.Conclusion, run.Title})
		}
	}
	replies := map[string]int{}
	for _, c := range p.pr.Comments() {
		if c.App == "" {
			continue
		}
		if strings.HasPrefix(c.Body, report.Marker) {
			f.Comments++
		} else if at := strings.LastIndex(c.Body, "<!-- idp:reply "); at >= 0 {
			replies[c.Body[at:]]++
		}
	}
	for _, c := range p.pr.Comments() {
		if c.App != "" {
			continue
		}
		command := Command{ID: c.ID, Verb: strings.Fields(c.Body)[1]}
		for _, reaction := range c.Reactions {
			switch reaction.Content {
			case "rocket":
				command.Done++
			case "confused":
				command.Sorry++
			}
		}
		f.Commands = append(f.Commands, command)
	}
	for marker, n := range replies {
		if n > 1 {
			f.Commands = append(f.Commands, Command{Verb: "(the reply " + marker + ")", Done: 1, Replies: n})
		}
	}
	return f
}
