# METADATA
# title: production has an owner
# description: A team owns what runs in production, the one that platform/teams.yaml says or that the spec names. The policy "owner" holds previews to it as well.
package starter.production_owner

deny contains violation if {
	input.kind == "Request"
	data.idp.environment.production
	some service in input.spec.services
	service.team == ""
	input.team == ""
	violation := {
		"msg": sprintf("service %s has no team", [service.name]),
		"path": sprintf("%s.team", [service.field]),
	}
}
