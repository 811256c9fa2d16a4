package bot

import "github.com/idp-bot/idp/previews"

// abort stops what is under way by going back, in Git, to the last healthy release.
func abort(r *run) answer {
	if len(r.args) != 1 {
		return r.misused("takes one environment")
	}
	env, a, ok := r.declared(r.args[0])
	if !ok {
		return a
	}
	return r.goBack(env.Name, previews.ReleaseAbort, "", (*previews.Environment).Moving)
}
