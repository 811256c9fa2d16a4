package bot

import (
	"fmt"
	"time"

	"github.com/idp-bot/idp/bot/report"
	"github.com/idp-bot/idp/gitops/policy"
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
	limit, most := r.longest()
	before := r.env.ExpiresAt
	expires, capped := r.env.Extend(by, limit, r.Now)
	until := report.Until(expires, r.Now)
	switch {
	case expires.Equal(before):
		return sorry("it already lives for the maximum", fmt.Sprintf("The preview already lives as long as is allowed, until %s. %s",
			report.Text(until), most))
	case capped:
		return said("extended to the maximum, until "+until, fmt.Sprintf("Extended to the maximum: the preview expires %s. %s", report.Text(until), most))
	default:
		return said("extended until "+until, r.beyond(expires))
	}
}

// longest is how long from now the preview may live at most, by its class and by the
// policies, and that in a sentence.
func (r *run) longest() (limit time.Duration, most string) {
	if limit = r.Class.MaxTTL; limit <= 0 {
		limit = unlimited
	}
	most = fmt.Sprintf("At most %s from now is allowed.", spec.FormatDuration(limit))
	l := r.lifetimePolicy()
	if left := r.env.PushedAt.Add(l.Max).Sub(r.Now); l.Max > 0 && !l.Warns && left < limit {
		limit, most = left, fmt.Sprintf("At most %s from the last push is allowed, by policy %s; a new commit starts its time anew.",
			spec.FormatDuration(l.Max), report.Text(l.Policy))
	}
	return limit, most
}

// beyond is what a policy tells, and lets pass, of a preview that lives longer than it has
// it; "" where it tells nothing.
func (r *run) beyond(expires time.Time) string {
	l := r.lifetimePolicy()
	if l.Max <= 0 || !l.Warns || !expires.After(r.env.PushedAt.Add(l.Max)) {
		return ""
	}
	return fmt.Sprintf("Policies let it pass and say:\n\n- %s: at most %s from the last push.", capitalised(report.Text(l.Policy)), spec.FormatDuration(l.Max))
}

// lifetimePolicy is what policies have of how long previews live on.
func (r *run) lifetimePolicy() policy.Lifetime {
	if r.Guard == nil {
		return policy.Lifetime{}
	}
	return r.Guard.Lifetime()
}
