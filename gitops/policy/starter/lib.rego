# What the policies of the starter set share: where the pod of an object is, whatever its
# kind. A policy of your own may import it: import data.starter.lib
package starter.lib

pod := input.spec if input.kind == "Pod"

pod := input.spec.template.spec if input.kind in {"Deployment", "Rollout", "Job", "StatefulSet", "DaemonSet"}

pod := input.spec.jobTemplate.spec.template.spec if input.kind == "CronJob"

containers contains container if {
	some field in ["containers", "initContainers", "ephemeralContainers"]
	some container in pod[field]
}

# The service of .idp/deploy.yaml that the object is of, "" for what services share.
service := object.get(input, ["metadata", "labels", "app.kubernetes.io/name"], "")

# The name of the environment in a sentence.
environment := sprintf("%s (class %s)", [data.idp.environment.name, data.idp.environment.class])
