# METADATA
# title: allowed registries
# description: Images come only from the registries, or folders of them, that "registries" of the settings lists. Without that list previews take them from any, and production is refused.
package starter.registries

import data.starter.lib

deny contains violation if {
	count(data.settings.registries) > 0
	some container in lib.containers
	not allowed(container.image)
	violation := {
		"msg": sprintf("image %s is not from %s", [container.image, concat(" or ", sort(data.settings.registries))]),
		"service": lib.service,
		"path": "image",
	}
}

deny contains {"msg": msg} if {
	count(data.settings.registries) == 0
	input.kind == "Request"
	data.idp.environment.production
	msg := sprintf("nothing says which registries %s may run images of: list them as registries in platform/policies/settings.yaml", [data.idp.environment.name])
}

allowed(image) if {
	some registry in data.settings.registries
	startswith(image, sprintf("%s/", [trim_suffix(registry, "/")]))
}
