package bot

import (
	"strings"

	"github.com/idp-bot/idp/bot/report"
	"github.com/idp-bot/idp/previews"
)

// lock keeps an environment as it is: what is asked for meanwhile is refused, and what
// waits goes on waiting. Going back stays possible.
func lock(r *run) answer {
	if len(r.args) == 0 {
		return r.misused("takes an environment and, if you like, the reason")
	}
	env, a, ok := r.declared(r.args[0])
	if !ok {
		return a
	}
	if a, ok := r.unlocked(env); !ok {
		return a
	}
	const most = 200
	reason := strings.Join(r.args[1:], " ")
	if len(reason) > most {
		return r.misused("takes a reason of at most 200 characters")
	}
	held := &previews.Lock{By: r.event.Actor.Login, Reason: reason, At: r.Now}
	r.part(env, "")
	for _, part := range r.allParts(env.Name) {
		part.SetLock(held, r.Now)
	}
	r.auditOf(r.refOf(env.Name), "lock "+env.Name, "", true, reason)
	return said("locked", "Locked "+report.Code(env.Name)+". "+report.Code("/idp unlock "+env.Name)+" gives it free.")
}

// allParts are the parts there are, with those that this decision makes.
func (r *run) allParts(env string) []*previews.Environment {
	r.partsOf(env)
	var out []*previews.Environment
	for _, part := range r.parts {
		if part.Ref.ID == env {
			out = append(out, part)
		}
	}
	return out
}
