# METADATA
# title: not too many previews
# description: A repository, a team and an author have at most as many previews at a time as "max_previews" of the settings says, 0 being no limit. What runs stays, and a further one waits until another is gone. With "take_oldest" it takes the place of the longest idle, where that has been idle for "idle_after".
package starter.max_previews

deny contains object.union({"msg": message(scope)}, take(scope)) if {
	input.kind == "Request"
	input.environment.preview
	some scope in ["repository", "team", "author"]
	data.settings.max_previews[scope] > 0
	input.previews[scope].count >= data.settings.max_previews[scope]
}

named := {
	"repository": input.repository.full_name,
	"team": sprintf("team %s", [input.team]),
	"author": input.pull_request.author.login,
}

message(scope) := sprintf("%s has %d of at most %d previews%s", [named[scope], input.previews[scope].count, data.settings.max_previews[scope], offer(scope)])

# What makes room, and by whose hand.
offer(scope) := sprintf("; %s, idle for %s, may be taken", [one(takeable[scope]), takeable[scope].idle]) if takeable[scope]

offer(scope) := sprintf("; the one longest idle is that of %s#%d, where \"/idp destroy\" makes room", [oldest.repository, oldest.pull_request]) if {
	not takeable[scope]
	oldest := input.previews[scope].oldest
}

offer(scope) := "" if {
	not takeable[scope]
	not input.previews[scope].oldest
}

one(preview) := sprintf("that of %s#%d", [preview.preview.repository, preview.preview.pull_request]) if preview.preview

one(preview) := "one of another repository" if not preview.preview

# Without one there is room for one more: beyond the limit one that goes makes none.
takeable[scope] := preview if {
	data.settings.max_previews.take_oldest
	some scope, live in input.previews
	live.count == data.settings.max_previews[scope]
	preview := live.takeable
	preview.idle_seconds >= data.settings.max_previews.idle_after_seconds
}

take(scope) := {"take": {"scope": scope, "repository_id": takeable[scope].repository_id, "environment": takeable[scope].environment}} if takeable[scope]

take(scope) := {} if not takeable[scope]
