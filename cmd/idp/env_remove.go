package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/cobra"

	"github.com/idp-bot/idp/gitops/fault"
	"github.com/idp-bot/idp/previews"
	"github.com/idp-bot/idp/previews/store"
)

// removal is what "idp env remove" is asked to take away.
type removal struct {
	repo, id     string
	repositoryID int64
	confirm      bool
}

func newEnvRemove(p *program) *cobra.Command {
	var r removal
	cmd := &cobra.Command{
		Use:   "remove OWNER/REPO ENVIRONMENT",
		Short: "Take an environment away, on your word",
		Long: `Takes an environment out of the GitOps repository: a declared one such as staging with all of
its services, or a preview such as pr-12. Nothing else takes a declared environment away, so
this is also how one goes whose repository was deleted, or that idp has no access to any more.
Without --confirm it only shows what would go.

The running "idp serve" commits it, and the audit log has your name. What a declared
environment ran stays on the cluster until you delete it there; a file and an Application of a
team's own are left as they are. A deployment brings a declared environment back, and so does
a merge where platform/environments.yaml says auto_deploy: take it out of there first.

One that is locked is not removed while its repository is within reach. Where somebody else
changed a folder the removal stops, and "idp env list" says so: removed once more, it goes.`,
		Example: `  idp env remove acme/web staging
  idp env remove acme/web staging --confirm`,
		Args:              twoArgs("the repository", "the environment"),
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	cmd.Flags().BoolVar(&r.confirm, "confirm", false, "remove it; without, only show what would go")
	cmd.Flags().Int64Var(&r.repositoryID, "repo-id", 0, "GitHub's id of the repository, where one has taken the name of another")
	output := addOutputFlag(cmd)
	config := addConfigFlags(cmd, databaseKey)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		r.repo, r.id = args[0], args[1]
		if !repository.MatchString(r.repo) {
			return fault.Newf(fault.Usage, "%q is not OWNER/REPO", r.repo)
		}
		return p.withStore(cmd.Context(), config, func(s *store.Store) error {
			facts, err := r.run(cmd.Context(), s, p.operator(), time.Now())
			if err != nil {
				return err
			}
			if err := output.print(p.stdout, p.styled(p.stdout), facts, facts.lines()); err != nil {
				return err
			}
			return p.tell("%s", facts.next())
		})
	}
	return cmd
}

// removedFacts is what was removed or would be; its names are a contract.
type removedFacts struct {
	// Removed is false where it was only looked at.
	Removed bool          `json:"removed"`
	Parts   []removedPart `json:"parts"`
}

// removedPart is a preview, or a part of a declared environment.
type removedPart struct {
	Name       string         `json:"name"`
	Repository string         `json:"repository"`
	State      string         `json:"state"`
	Folder     string         `json:"folder"`
	Namespace  string         `json:"namespace,omitempty"`
	Lost       *previews.Lost `json:"lost,omitempty"`
	// Application is what is to be deleted in Argo CD by hand, with the namespace; "" where
	// that is a team's own, or goes by itself.
	Application string `json:"application,omitempty"`
}

// run finds the parts of the environment and, once that is confirmed, removes all of them in
// one transaction, or none.
func (r removal) run(ctx context.Context, s *store.Store, by string, now time.Time) (removedFacts, error) {
	facts := removedFacts{Removed: r.confirm}
	if r.confirm {
		if err := notPaused(ctx, s); err != nil {
			return facts, err
		}
	}
	parts, err := r.parts(ctx, s)
	if err != nil {
		return facts, err
	}
	ids := make([]int64, 0, len(parts))
	for _, part := range parts {
		if err := r.held(part); err != nil {
			return facts, err
		}
		ids, facts.Parts = append(ids, part.RowID), append(facts.Parts, removedPartOf(part))
	}
	if !r.confirm {
		return facts, nil
	}
	return facts, s.UpdateAll(ctx, ids, func(e *previews.Environment) error {
		if err := r.held(*e); err != nil {
			return err // it was locked meanwhile
		}
		if !e.Dismiss(by, now.UTC()) {
			return previews.ErrUnchanged
		}
		return nil
	})
}

// parts are those of the environment that are still there, or whose removal was given up.
func (r removal) parts(ctx context.Context, s *store.Store) ([]previews.Environment, error) {
	rows, err := s.Environments(ctx, store.Filter{RepositoryID: r.repositoryID})
	if err != nil {
		return nil, err
	}
	var parts []previews.Environment
	var ids []string
	for _, row := range rows {
		if !strings.EqualFold(r.repo, row.Owner+"/"+row.Repo) || row.Ref.ID != r.id || row.Wanted == previews.Absent && (row.Generation == 0 || row.Blocked != row.Generation) {
			continue
		}
		parts = append(parts, row)
		if id := fmt.Sprint(row.Ref.RepositoryID); !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	if len(ids) > 1 {
		return nil, fault.Newf(fault.Usage, "several repositories were called %s: those with the ids %s", r.repo, strings.Join(ids, " and ")).
			WithHint("say which by --repo-id; idp env list -o json has when each was lost")
	}
	if len(parts) == 0 {
		return nil, fault.Newf(fault.NotFound, "%s has no environment %s that is there", r.repo, r.id).WithHint("idp env list --repo %s --all shows what there is, and was", r.repo)
	}
	slices.SortFunc(parts, func(a, b previews.Environment) int { return strings.Compare(a.Ref.Key(), b.Ref.Key()) })
	return parts, nil
}

// held refuses what somebody locked who can still unlock it.
func (r removal) held(e previews.Environment) error {
	if !e.Declared() || e.Deployed.Lock == nil || e.Lost != nil {
		return nil
	}
	return fault.Newf(fault.Conflict, "%s of %s is locked by %s", r.id, r.repo, e.Deployed.Lock.By).
		WithHint("/idp unlock %s in a pull request gives it free", r.id)
}

func removedPartOf(e previews.Environment) removedPart {
	part := removedPart{Name: e.Ref.Key(), Repository: e.Owner + "/" + e.Repo, State: string(e.State()), Folder: e.Ref.Dir(), Lost: e.Lost}
	if e.Update == nil {
		part.Namespace = e.NamespaceName()
	}
	if e.Declared() && e.Update == nil {
		part.Application = e.Ref.Name()
	}
	return part
}

func (f removedFacts) lines() table {
	lines := table{header: []string{"NAME", "REPOSITORY", "STATE", "FOLDER"}}
	for _, part := range f.Parts {
		lines.rows = append(lines.rows, []string{part.Name, part.Repository, part.State, part.Folder})
	}
	return lines
}

// next says what is left to do.
func (f removedFacts) next() string {
	if !f.Removed {
		return "Nothing is changed: --confirm removes this from the GitOps repository."
	}
	var applications []string
	for _, part := range f.Parts {
		if part.Application != "" {
			applications = append(applications, part.Application)
		}
	}
	text := "The running idp serve commits this within seconds, or proposes it where people merge."
	if len(applications) == 0 {
		return text
	}
	return text + " What ran stays on the cluster until you delete it:\n  argocd app delete " + strings.Join(applications, " ") +
		"\n  kubectl delete namespace " + f.Parts[0].Namespace
}

// countLost returns what shows how many environments there are of whose repositories nothing
// more is heard.
func countLost(in prometheus.Registerer) func(map[previews.LossReason]int) {
	gauge := prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "idp_environments_lost",
		Help: "Environments that are wanted and of whose repository nothing more is heard, by why (deleted, uninstalled, suspended, archived, unreadable), as the last sweep found them.",
	}, []string{"reason"})
	in.MustRegister(gauge)
	return func(counts map[previews.LossReason]int) {
		for _, reason := range previews.LossReasons {
			gauge.WithLabelValues(string(reason)).Set(float64(counts[reason]))
		}
	}
}
