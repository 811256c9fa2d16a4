# METADATA
# title: no mutable tags in production
# description: In production an image is named by its digest, as idp names each that its registry shows it or CI reports. With "commit_tags" of the settings a tag that has the whole commit in it will do. What "production" is, the settings say.
package starter.mutable_tags

import data.starter.lib

deny contains violation if {
	data.idp.environment.production
	some container in lib.containers
	not fixed(container.image)
	violation := {
		"msg": sprintf("image %s may become another one while it runs in %s: name it by digest%s", [container.image, lib.environment, by_commit]),
		"service": lib.service,
		"path": "image",
	}
}

fixed(image) if regex.match(`@sha256:[0-9a-f]{64}$`, image)

fixed(image) if {
	data.settings.commit_tags
	tag := regex.find_n(`:[A-Za-z0-9_][A-Za-z0-9_.-]*$`, image, 1)[0]
	contains(tag, data.idp.revision.sha)
	count(data.idp.revision.sha) == 40
}

by_commit := " or by {sha}" if data.settings.commit_tags

by_commit := ", or let its registry or CI tell idp the digest" if not data.settings.commit_tags
