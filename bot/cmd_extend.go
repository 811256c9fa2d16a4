package bot

import (
	"fmt"
	"time"

	"github.com/idp-bot/idp/bot/report"
	"github.com/idp-bot/idp/gitops/spec"
)

// unlimited stands for a class without a limit: farther than any duration that
// can be asked for.
const unlimited = 100 * 365 * 24 * time.Hour

// extend moves the expiry on, to the maximum where more is asked for.
func extend(r *run) answer {
	if len(r.args) != 1 {
		return r.misused("takes one duration, such as 24h or 3d")
	}
	by, err := spec.ParseDuration(r.args[0])
	if err != nil {
		return r.misused("could not read its duration: " + report.Text(err.Error()))
	}
	if by <= 0 {
		return r.misused("takes a duration longer than nothing")
	}
	if a, ok := r.present(); !ok {
		return a
	}
	if r.env.Pinned {
		return sorry("it is pinned", "The preview is pinned and does not expire. "+report.Code("/idp unpin")+" gives it its time to live again.")
	}
	limit := r.Class.MaxTTL
	if limit <= 0 {
		limit = unlimited
	}
	before := r.env.ExpiresAt
	expires, capped := r.env.Extend(by, limit, r.Now)
	until := report.Until(expires, r.Now)
	switch {
	case expires.Equal(before):
		return sorry("it already lives for the maximum", fmt.Sprintf("The preview already lives as long as is allowed, until %s. At most %s from now is allowed.",
			report.Text(until), spec.FormatDuration(limit)))
	case capped:
		return said("extended to the maximum, until "+until, fmt.Sprintf("Extended to the maximum: the preview expires %s. At most %s from now is allowed.",
			report.Text(until), spec.FormatDuration(limit)))
	default:
		return done("extended until " + until)
	}
}
