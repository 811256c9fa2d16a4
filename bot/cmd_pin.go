package bot

import (
	"fmt"

	"github.com/idp-bot/idp/bot/report"
)

// pin takes the expiry away.
func pin(r *run) answer {
	if a, ok := r.noArguments(); !ok {
		return a
	}
	if a, ok := r.present(); !ok {
		return a
	}
	l := r.lifetimePolicy()
	if l.NoPin && !l.Warns && !r.env.Pinned {
		return sorry("refused by policy", fmt.Sprintf("Previews are not pinned here, by policy %s. %s moves the expiry on.", report.Text(l.Policy), report.Code("/idp extend 24h")))
	}
	if !r.env.Pin(r.Now) {
		return said("it is pinned already", "The preview is pinned already.")
	}
	if l.NoPin {
		return said("pinned", fmt.Sprintf("Policies let it pass and say:\n\n- %s: previews are not pinned here.", capitalised(report.Text(l.Policy))))
	}
	return done("pinned")
}
