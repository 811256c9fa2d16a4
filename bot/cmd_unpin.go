package bot

import "github.com/idp-bot/idp/bot/report"

// unpin gives a pinned preview its time to live again, from now.
func unpin(r *run) answer {
	if a, ok := r.noArguments(); !ok {
		return a
	}
	if a, ok := r.present(); !ok {
		return a
	}
	if !r.env.Unpin(r.Now) {
		return said("it is not pinned", "The preview is not pinned; it expires "+report.Text(report.Until(r.env.ExpiresAt, r.Now))+".")
	}
	return done("unpinned, expires " + report.Until(r.env.ExpiresAt, r.Now))
}
