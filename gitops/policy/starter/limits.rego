# METADATA
# title: resource limits present and bounded
# description: Each container has a limit of CPU and of memory, its own or its namespace's default, at most "max_cpu" and "max_memory" of the settings.
package starter.limits

import data.starter.lib

deny contains violation if {
	some container in lib.containers
	some resource in ["cpu", "memory"]
	not limit(container, resource)
	violation := {
		"msg": sprintf("container %s has no limit of %s", [container.name, named[resource]]),
		"service": lib.service,
		"path": sprintf("resources.limits.%s", [resource]),
	}
}

deny contains violation if {
	some container in lib.containers
	amount := limit(container, "cpu")
	units.parse(amount) > units.parse(data.settings.max_cpu)
	violation := {
		"msg": sprintf("container %s may use %s of CPU, and the most allowed is %s", [container.name, amount, data.settings.max_cpu]),
		"service": lib.service,
		"path": "resources.limits.cpu",
	}
}

deny contains violation if {
	some container in lib.containers
	amount := limit(container, "memory")
	units.parse_bytes(amount) > units.parse_bytes(data.settings.max_memory)
	violation := {
		"msg": sprintf("container %s may use %s of memory, and the most allowed is %s", [container.name, amount, data.settings.max_memory]),
		"service": lib.service,
		"path": "resources.limits.memory",
	}
}

named := {"cpu": "CPU", "memory": "memory"}

limit(container, resource) := container.resources.limits[resource]

limit(container, resource) := data.idp.environment.limits[resource] if not container.resources.limits[resource]
