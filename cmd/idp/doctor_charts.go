package main

import (
	"context"
	"os"
	"strings"

	"github.com/idp-bot/idp/bot/github"
	"github.com/idp-bot/idp/gitops/platform"
	"github.com/idp-bot/idp/gitops/repo"
)

// checkCharts is of the charts that the platform team keeps for repositories.
const checkCharts = "platform charts"

// platformCharts asks whether each chart is what it is pinned as. Where none is declared there
// is nothing to say.
func (x *examination) platformCharts(ctx context.Context, app *github.App) {
	names := x.declared.ChartNames()
	if len(names) == 0 {
		return
	}
	o, _ := x.platformRepository(app)
	var err error
	if o.Dir, err = os.MkdirTemp("", "idp-doctor-"); err != nil {
		x.skip(checkCharts, err.Error(), "")
		return
	}
	defer func() { _ = os.RemoveAll(o.Dir) }() // the system clears what stays
	var wrong []string
	_, err = asked(ctx, o, func(r *repo.Repo, ctx context.Context) (string, error) {
		tip, err := r.Tip(ctx)
		for _, name := range names {
			if err != nil {
				break
			}
			if _, unfit := readCharts(ctx, r, tip, []string{name}); unfit != nil {
				wrong = append(wrong, "chart "+name+": "+messageOf(unfit))
			}
		}
		return tip, err
	})
	switch {
	case err != nil:
		x.skip(checkCharts, "the platform folder has to be readable first", "")
	case len(wrong) > 0:
		x.fail(checkCharts, strings.Join(wrong, "; "), `mend the chart, or its digest in `+platform.ChartsPath+`: "idp platform validate" says which it is; until then no new preview is made of it, and those there are stay`)
	default:
		x.ok(checkCharts, "%s as pinned in %s: %s", plural(len(names), "chart"), platform.ChartsPath, strings.Join(names, ", "))
	}
}
