# METADATA
# title: probes outside previews
# description: Outside previews each container that takes traffic says when it is ready.
package starter.probes

import data.starter.lib

deny contains violation if {
	not data.idp.environment.preview
	input.kind in {"Deployment", "Rollout"}
	some container in lib.containers
	count(object.get(container, "ports", [])) > 0
	not container.readinessProbe
	violation := {
		"msg": sprintf("container %s has no readiness probe, which it needs in %s", [container.name, lib.environment]),
		"service": lib.service,
		"path": "healthcheck",
	}
}
