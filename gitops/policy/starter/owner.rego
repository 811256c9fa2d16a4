# METADATA
# title: an owner is named
# description: A team owns what is deployed. Off until "rules" of the settings has it deny or warn.
package starter.owner

deny contains violation if {
	input.kind == "Request"
	some service in input.spec.services
	service.team == ""
	input.team == ""
	violation := {
		"msg": sprintf("service %s has no team", [service.name]),
		"path": sprintf("%s.team", [service.field]),
	}
}
