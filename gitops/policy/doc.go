// Package policy holds what people ask for, and what is made of it, to the platform
// team's guardrails: policies in Rego, by conftest's conventions, and a starter set.
//
// # Policies
//
// A policy is a rule named deny, violation or warn, or one of these with a suffix, such
// as deny_images, in a file platform/policies/*.rego. Its results are texts or objects
// with a text "msg"; deny and violation refuse, warn is told and passes. An annotation
// "# METADATA" with a title, on the rule or the package, names it to people.
//
// A result may have beside msg, or in an object "metadata", "path", such as
// "service.replicas", and with "service", a service's name, it is below that: the denial
// then points at this line of .idp/deploy.yaml, or at the nearest block around it.
//
// A result about a request for a preview that has no room may have "take", with scope
// (repository, team or author), repository_id and environment: the takeable preview of that scope
// of input.previews. Where every denial has one, these previews are removed and the one that
// is asked for comes, in one step; nothing that is not takeable is ever removed for it.
//
// # Input
//
// Each policy is asked about the request before it is decided, and about each Kubernetes
// object before it is committed; input.kind tells them apart.
//
// The request (see Request) is
//
//	apiVersion: idp/v1
//	kind: Request
//	action: preview, deploy, promote or merge
//	actor: {id, login, bot, permission}   # permission only of commands, else ""
//	pull_request: {number, author: {id, login, bot}, fork, draft, labels, base, head}
//	environment: {name, class, preview, production, protected, limits: {cpu, memory}, ttl, ttl_seconds}
//	repository: {id, owner, name, full_name, private}
//	revision: {sha, on_default}
//	team: the owner, "" where none is named
//	services: [the names of those asked for]
//	spec: {services: [{field, name, team, kind, image, port, replicas, env, …}], preview}
//	places: {"service.replicas": {line, column}, …}   # where the file says it
//	previews: {repository, team, author}   # each {count, oldest, takeable}
//	  oldest: {repository, pull_request}
//	  takeable: {repository_id, environment, idle, idle_seconds, preview: {repository, pull_request}}
//
// where limits are those of containers that name none, and previews counts those that live
// beside the one that is asked for. Their oldest is the one that nothing new was asked of for
// longest; takeable is the one that may make room: unpinned, nothing of it under way or
// waiting for an approval, and longest idle of these. What must not be named in this
// repository, a private one's preview, has no oldest and no preview. An object is as
// Kubernetes will get it. For both there is
//
//	data.idp: {environment, repository, revision, now}
//	data.settings: platform/policies/settings.yaml with its defaults
//
// # Bounds
//
// Evaluation is pure: there is no network, no environment, no random number, and
// time.now_ns is the time of the decision. One document is at most MaxInput long, all of
// a Set's evaluation of one request or one environment takes at most Timeout and MaxSteps
// steps, the heap may grow by MaxHeap meanwhile, and one evaluation runs at a time, so
// that this is the bound of the process. The heap is looked at between steps, so what one
// call of a function would take and make is measured before it is called, and is at most
// 2 MiB of text or as many elements. A policy that errs, or goes beyond, breaks the
// Set: its Verdict says so, and whoever asks has to refuse what is new. Nothing here is
// ever asked about what runs.
//
// A Set may be used concurrently. The package is the only importer of OPA.
package policy
