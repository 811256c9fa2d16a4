# What each policy of the starter set refuses, and what it lets pass.
package starter.starter_test

import data.starter.limits
import data.starter.max_previews
import data.starter.max_ttl
import data.starter.mutable_tags
import data.starter.owner
import data.starter.privileged
import data.starter.probes
import data.starter.production_owner
import data.starter.registries

deployment(container) := {
	"kind": "Deployment",
	"metadata": {"name": "web", "labels": {"app.kubernetes.io/name": "web"}},
	"spec": {"template": {"spec": {"containers": [object.union({"name": "web"}, container)]}}},
}

limited := {"resources": {"limits": {"cpu": "500m", "memory": "512Mi"}}}

named := {"name": "staging", "class": "durable", "preview": false, "production": false, "limits": {}}

test_limits_missing if {
	count(limits.deny) == 2 with input as deployment({}) with data.idp.environment as named
}

test_limits_beyond if {
	some violation in limits.deny with input as deployment({"resources": {"limits": {"cpu": "32", "memory": "512Mi"}}})
		with data.idp.environment as named
		with data.settings as {"max_cpu": "16", "max_memory": "64Gi"}
	violation.path == "resources.limits.cpu"
}

test_limits_within if {
	count(limits.deny) == 0 with input as deployment(limited)
		with data.idp.environment as named
		with data.settings as {"max_cpu": "16", "max_memory": "64Gi"}
}

test_limits_of_the_namespace if {
	count(limits.deny) == 0 with input as deployment({})
		with data.idp.environment as object.union(named, {"limits": {"cpu": "1", "memory": "1Gi"}})
		with data.settings as {"max_cpu": "16", "max_memory": "64Gi"}
}

request := {
	"kind": "Request",
	"team": "",
	"environment": {"preview": true, "ttl": "7d", "ttl_seconds": 604800},
	"repository": {"full_name": "acme/web"},
	"pull_request": {"author": {"login": "ann"}},
	"spec": {"services": [{"field": "service", "name": "web", "team": ""}]},
	"previews": {
		"repository": {"count": 3, "oldest": {"repository": "acme/web", "pull_request": 7}},
		"team": {"count": 0},
		"author": {"count": 1},
	},
}

test_max_previews_reached if {
	some violation in max_previews.deny with input as request with data.settings.max_previews as {"repository": 3, "team": 0, "author": 0}
	contains(violation.msg, "acme/web has 3 of at most 3 previews")
	contains(violation.msg, "acme/web#7")
}

test_max_previews_left if {
	count(max_previews.deny) == 0 with input as request with data.settings.max_previews as {"repository": 4, "team": 1, "author": 2}
}

test_max_previews_unlimited if {
	count(max_previews.deny) == 0 with input as request with data.settings.max_previews as {"repository": 0, "team": 0, "author": 0}
}

taking := {"repository": 3, "team": 0, "author": 0, "take_oldest": true, "idle_after_seconds": 3600}

idle(seconds) := {"repository_id": 9, "environment": "pr-7", "idle": "2h", "idle_seconds": seconds, "preview": {"repository": "acme/web", "pull_request": 7}}

full(takeable) := object.union(request, {"previews": {"repository": {"count": 3, "takeable": takeable}}})

test_max_previews_takes if {
	some violation in max_previews.deny with input as full(idle(3600)) with data.settings.max_previews as taking
	violation.take == {"scope": "repository", "repository_id": 9, "environment": "pr-7"}
	contains(violation.msg, "that of acme/web#7, idle for 2h, may be taken")
	not contains(violation.msg, "destroy")
}

test_max_previews_takes_what_it_may_not_name if {
	some violation in max_previews.deny with input as full(object.remove(idle(3600), ["preview"])) with data.settings.max_previews as taking
	violation.take.environment == "pr-7"
	contains(violation.msg, "one of another repository")
}

not_taken(violations) if {
	some violation in violations
	not violation.take
	contains(violation.msg, "\"/idp destroy\" makes room")
}

test_max_previews_takes_nothing_busy if {
	not_taken(max_previews.deny) with input as full(idle(3599)) with data.settings.max_previews as taking
}

test_max_previews_takes_nothing_unless_told if {
	not_taken(max_previews.deny) with input as full(idle(3600)) with data.settings.max_previews as object.union(taking, {"take_oldest": false})
}

test_max_previews_takes_nothing_beyond_the_limit if {
	not_taken(max_previews.deny) with input as full(idle(3600)) with data.settings.max_previews as object.union(taking, {"repository": 2})
}

test_max_previews_takes_by_scope if {
	previews := {"team": {"count": 1}, "author": {"count": 1, "takeable": idle(7200)}}
	violations := max_previews.deny with input as object.union(request, {"team": "payments", "previews": previews})
		with data.settings.max_previews as {"repository": 0, "team": 1, "author": 1, "take_oldest": true, "idle_after_seconds": 3600}
	{violation.take.scope | some violation in violations} == {"author"}
	count(violations) == 2
}

test_max_ttl_beyond if {
	some violation in max_ttl.deny with input as request with data.settings as {"max_ttl": "3d", "max_ttl_seconds": 259200}
	violation.path == "preview.ttl"
}

test_max_ttl_within if {
	count(max_ttl.deny) == 0 with input as request with data.settings as {"max_ttl": "14d", "max_ttl_seconds": 1209600}
}

test_owner_missing if {
	some violation in owner.deny with input as request
	violation.path == "service.team"
}

test_owner_of_the_platform if {
	count(owner.deny) == 0 with input as object.union(request, {"team": "payments"})
}

test_production_owner_missing if {
	some violation in production_owner.deny with input as request
		with data.idp as {"environment": production}
	violation.path == "service.team"
}

test_production_owner_of_the_platform if {
	count(production_owner.deny) == 0 with input as object.union(request, {"team": "payments"})
		with data.idp as {"environment": production}
}

test_production_owner_elsewhere if {
	count(production_owner.deny) == 0 with input as request
		with data.idp as {"environment": named}
}

production := object.union(named, {"name": "production", "production": true})

test_mutable_tag if {
	count(mutable_tags.deny) == 1 with input as deployment({"image": "ghcr.io/acme/web:latest"})
		with data.idp as {"environment": production, "revision": {"sha": "0123456789abcdef0123456789abcdef01234567"}}
}

test_tag_of_the_commit if {
	some violation in mutable_tags.deny with input as deployment({"image": "ghcr.io/acme/web:v1-0123456789abcdef0123456789abcdef01234567"})
		with data.idp as {"environment": production, "revision": {"sha": "0123456789abcdef0123456789abcdef01234567"}}
		with data.settings as {"commit_tags": false}
	endswith(violation.msg, "name it by digest, or let its registry or CI tell idp the digest")
}

test_tag_of_the_commit_where_that_will_do if {
	count(mutable_tags.deny) == 0 with input as deployment({"image": "ghcr.io/acme/web:v1-0123456789abcdef0123456789abcdef01234567"})
		with data.idp as {"environment": production, "revision": {"sha": "0123456789abcdef0123456789abcdef01234567"}}
		with data.settings as {"commit_tags": true}
}

test_tag_with_a_part_of_the_commit if {
	count(mutable_tags.deny) == 1 with input as deployment({"image": "ghcr.io/acme/web:latest-0123456"})
		with data.idp as {"environment": production, "revision": {"sha": "0123456789abcdef0123456789abcdef01234567"}}
		with data.settings as {"commit_tags": true}
}

test_digest if {
	image := concat("", ["ghcr.io/acme/web@sha256:", "0123456789abcdef0123456789abcdef", "0123456789abcdef0123456789abcdef"])
	count(mutable_tags.deny) == 0 with input as deployment({"image": image})
		with data.idp as {"environment": production, "revision": {"sha": "f"}}
}

test_mutable_tag_elsewhere if {
	count(mutable_tags.deny) == 0 with input as deployment({"image": "ghcr.io/acme/web:latest"})
		with data.idp as {"environment": named, "revision": {"sha": "f"}}
}

test_privileged_container if {
	count(privileged.deny) == 1 with input as deployment({"securityContext": {"privileged": true}})
}

test_capability if {
	count(privileged.deny) == 1 with input as deployment({"securityContext": {"capabilities": {"add": ["SYS_ADMIN", "NET_BIND_SERVICE"]}}})
}

test_host_port if {
	count(privileged.deny) == 1 with input as deployment({"ports": [{"containerPort": 80, "hostPort": 80}]})
}

test_host_of_a_pod if {
	count(privileged.deny) == 2 with input as {"kind": "Pod", "spec": {"hostNetwork": true, "containers": [], "volumes": [{"name": "host", "hostPath": {"path": "/"}}]}}
}

test_unprivileged if {
	count(privileged.deny) == 0 with input as deployment({"securityContext": {"privileged": false, "capabilities": {"drop": ["ALL"]}}})
}

test_probe_missing if {
	count(probes.deny) == 1 with input as deployment({"ports": [{"containerPort": 80}]}) with data.idp.environment as named
}

test_probe_of_a_preview if {
	count(probes.deny) == 0 with input as deployment({"ports": [{"containerPort": 80}]})
		with data.idp.environment as object.union(named, {"preview": true})
}

test_probe_without_a_port if {
	count(probes.deny) == 0 with input as deployment({}) with data.idp.environment as named
}

test_registry_of_another if {
	count(registries.deny) == 1 with input as deployment({"image": "docker.io/library/nginx:1"}) with data.settings.registries as ["ghcr.io/acme"]
}

test_registry_that_begins_alike if {
	count(registries.deny) == 1 with input as deployment({"image": "ghcr.io/acme-evil/web:1"}) with data.settings.registries as ["ghcr.io/acme"]
}

test_registry_allowed if {
	count(registries.deny) == 0 with input as deployment({"image": "ghcr.io/acme/web:1"}) with data.settings.registries as ["ghcr.io/acme"]
}

test_any_registry if {
	count(registries.deny) == 0 with input as deployment({"image": "docker.io/library/nginx:1"}) with data.settings.registries as []
}

test_no_registries_of_a_preview if {
	count(registries.deny) == 0 with input as request with data.settings.registries as []
		with data.idp.environment as named
}

test_no_registries_of_production if {
	some violation in registries.deny with input as request
		with data.settings.registries as []
		with data.idp.environment as production
	contains(violation.msg, "platform/policies/settings.yaml")
}

test_registries_of_production if {
	count(registries.deny) == 0 with input as request
		with data.settings.registries as ["ghcr.io/acme"]
		with data.idp.environment as production
}
