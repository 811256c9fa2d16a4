package bot

import "github.com/idp-bot/idp/bot/report"

// status says how the preview is, or why there is none.
func status(r *run) answer {
	if a, ok := r.noArguments(); !ok {
		return a
	}
	return said("told", r.describe())
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
