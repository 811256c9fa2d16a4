# METADATA
# title: production has an owner
# description: A team owns what runs in production. Only told unless the settings say otherwise; owner holds previews to it as well.
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
