# METADATA
# title: not too many previews
# description: A repository, a team and an author have at most as many previews at a time as "max_previews" of the settings says. What runs stays; a further one waits until another is gone.
package starter.max_previews

deny contains violation if {
	input.kind == "Request"
	input.environment.preview
	some scope in ["repository", "team", "author"]
	most := data.settings.max_previews[scope]
	most > 0
	live := input.previews[scope]
	live.count >= most
	violation := {"msg": sprintf("%s has %d of at most %d previews%s", [named[scope], live.count, most, offer(live)])}
}

named := {
	"repository": input.repository.full_name,
	"team": sprintf("team %s", [input.team]),
	"author": input.pull_request.author.login,
}

offer(live) := sprintf("; the one longest idle is that of %s#%d, where \"/idp destroy\" makes room", [live.oldest.repository, live.oldest.pull_request]) if live.oldest

offer(live) := "" if not live.oldest
