package bot

import (
	"strings"

	"github.com/idp-bot/idp/bot/report"
)

// status says how the preview is, or why there is none; of an environment that is
// named, how each of its services is, and what waits.
func status(r *run) answer {
	switch len(r.args) {
	case 0:
		return said("told", r.describe())
	case 1:
		return r.statusOf(r.args[0])
	}
	return r.misused("takes at most the name of one environment")
}

func (r *run) statusOf(name string) answer {
	env, a, ok := r.known(name)
	if !ok {
		return a
	}
	parts := r.servicesOf(env.Name)
	if len(parts) == 0 {
		return said("told", "Nothing was deployed to "+report.Code(env.Name)+" from this repository yet. "+
			report.Code("/idp deploy "+env.Name)+" deploys there.")
	}
	var texts []string
	for _, part := range parts {
		texts = append(texts, report.Status(report.Input{Environment: *part, Class: r.classOf(*part), Now: r.Now}))
	}
	return said("told", strings.Join(texts, "\n\n"))
}

// describe words the row, or, where there is none, what the rules make of the
// pull request.
func (d *deciding) describe() string {
	if d.env != nil {
		return report.Status(report.Input{Environment: *d.env, Class: d.Class, Now: d.Now})
	}
	w := d.wish()
	if w.problem != nil {
		return "There is no preview: " + report.Text(w.problem.Message) + "."
	}
	if w.wanted {
		return "There is no preview yet. " + report.Code("/idp preview") + " brings it up."
	}
	return "There is no preview: " + report.Text(w.why) + "."
}
