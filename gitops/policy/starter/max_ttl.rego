# METADATA
# title: previews do not live too long
# description: A preview lives at most "max_ttl" of the settings from its last push, extensions included. Without that as long as its class allows. One that is pinned lives until its pull request is closed, unless "pin" of the settings is false.
package starter.max_ttl

deny contains violation if {
	input.kind == "Request"
	input.environment.preview
	data.settings.max_ttl_seconds > 0
	input.environment.ttl_seconds > data.settings.max_ttl_seconds
	violation := {
		"msg": sprintf("the preview would live %s from its last push, and the most allowed is %s", [input.environment.ttl, data.settings.max_ttl]),
		"path": "preview.ttl",
	}
}
