package bot

import "github.com/idp-bot/idp/bot/report"

// unlock gives an environment free: what waits goes on.
func unlock(r *run) answer {
	if len(r.args) != 1 {
		return r.misused("takes one environment")
	}
	env, a, ok := r.declared(r.args[0])
	if !ok {
		return a
	}
	if shared, ok := r.existing(r.refOf(env.Name)); !ok || shared.Deployed.Lock == nil {
		return said("it is not locked", report.Code(env.Name)+" is not locked.")
	}
	for _, part := range r.allParts(env.Name) {
		part.SetLock(nil, r.Now)
	}
	r.auditOf(r.refOf(env.Name), "unlock "+env.Name, "", true, "")
	return done("unlocked")
}
