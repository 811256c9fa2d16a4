# METADATA
# title: no privileges and no access to the host
# description: No pod is privileged, adds capabilities of the kernel or reaches into its node. This one cannot be switched off.
package starter.privileged

import data.starter.lib

deny contains violation if {
	some field in ["hostNetwork", "hostPID", "hostIPC"]
	lib.pod[field] == true
	violation := {"msg": sprintf("%s is never allowed", [field]), "service": lib.service}
}

deny contains violation if {
	some volume in lib.pod.volumes
	volume.hostPath
	violation := {"msg": sprintf("volume %s is a hostPath, which is never allowed", [volume.name]), "service": lib.service, "path": "volumes"}
}

deny contains violation if {
	some container in lib.containers
	some field in ["privileged", "allowPrivilegeEscalation"]
	container.securityContext[field] == true
	violation := {"msg": sprintf("container %s sets %s, which is never allowed", [container.name, field]), "service": lib.service}
}

deny contains violation if {
	some container in lib.containers
	some capability in container.securityContext.capabilities.add
	capability != "NET_BIND_SERVICE"
	violation := {"msg": sprintf("container %s adds capability %s, which is never allowed", [container.name, capability]), "service": lib.service}
}

deny contains violation if {
	some container in lib.containers
	some port in container.ports
	object.get(port, "hostPort", 0) != 0
	violation := {"msg": sprintf("container %s takes a port of its node, which is never allowed", [container.name]), "service": lib.service, "path": "port"}
}
