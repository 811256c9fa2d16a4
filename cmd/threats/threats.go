package main

import "strings"

// proof is a test, or a subtest, that shows that a threat is met.
type proof struct {
	// Package is relative to the module, Test the name as -run takes it.
	Package, Test string
}

// cluster says that it takes a Kubernetes and an Argo CD.
func (p proof) cluster() bool { return strings.HasPrefix(p.Test, "TestEndToEnd/") }

// threat is one row of the table: what somebody could try, what idp promises, and the
// tests that show it.
type threat struct {
	Name, Promise string
	Proofs        []proof
}

// threats is the table. A threat without a proof is one that is not shown to be met.
var threats = []threat{
	{"forged webhook", "no start without a secret of 32 bytes; SHA-256 over the raw bytes, two secrets while one is rotated", []proof{
		{"webhooks", "TestForgedAreRefused"}, {"webhooks", "FuzzSignature"}, {"webhooks", "FuzzEnvelope"}, {"webhooks", "TestNoStartWithoutSecret"}, {"webhooks", "TestRotation"},
	}},
	{"memory bomb before authentication", "connections and bodies are capped, bodies share a bounded memory, and are read before they are parsed; while 200 connections send without an end, memory grows by less than 256 MiB and every question for /healthz is answered, 99 of 100 within 100 ms (which `go run ./cmd/threats` holds it to, and `go test` does not)", []proof{
		{"webhooks", "TestBodiesShareMemory"}, {"webhooks", "TestOverTCP"}, {"cmd/idp", "TestManyEndlessBodies"}, {"cmd/idp", "TestConnectionCap"},
	}},
	{"flood of requests", "an address that forges is refused unread, an installation has its limit, and GitHub's own bursts are taken", []proof{
		{"webhooks", "TestForgedFlood"}, {"webhooks", "TestForgedThenSigned"}, {"webhooks", "TestInstallationFlood"}, {"webhooks", "TestSources"},
	}},
	{"replay", "one effect, however often and under whatever GUID it is sent again", []proof{
		{"bot", "TestHandleReplayedComment"}, {"bot", "TestHandleManyTimes"}, scenario("duplicate-delivery"),
	}},
	{"outsider's comment", "the permission is read live for each command; any doubt denies, and says who may", []proof{
		{"bot", "TestMatrix"}, {"bot", "TestEveryWay"}, {"bot", "TestErrorsDeny"}, {"bot/access", "TestDoubt"}, {"bot/access", "TestNarrowing"}, {"bot/access", "TestFactsOnlyNarrow"}, {"bot/access", "TestAnyErrorDenies"}, scenario("command-refused"), scenario("command-permission-now"), scenario("command-permission-unknown"),
	}},
	{"orders through the API", "whoever asks is whom GitHub says that the token is of, and it has to be one of idp's own App; what they may is what a comment of theirs may; it is stored before it is answered", []proof{
		{"bot", "TestEveryWay"}, {"webhooks/api", "TestRefused"}, {"webhooks/api", "TestTold"}, {"webhooks/api", "TestTokensAreBounded"}, {"webhooks/api", "TestRequestReplayed"}, {"webhooks/api", "TestPaces"}, {"webhooks/api", "FuzzOrder"}, {"bot/github", "TestPerson"}, {"cmd/idp", "TestRunMistakes"}, scenario("api-commands"),
	}},
	{"images that another workflow claims", "a run of a workflow, by GitHub's signature, reports images of the commit that it ran at or of the head that this would merge, in its own repository", []proof{
		{"webhooks/api", "TestReported"}, {"bot/github", "TestWorkflow"}, scenario("image-reported"),
	}},
	{"a fork's code and spec", "a fork's commit runs once somebody with write permission approved it; its spec is the base branch's, but for bounded values", []proof{
		{"bot", "TestForks"}, {"bot", "TestHostileSpecs"}, {"gitops/spec", "TestUntrustedOnlyNarrows"}, scenario("fork-asked-for"), scenario("fork-approved"), scenario("fork-hostile-spec"), scenario("fork-approved-by-outsider"),
	}},
	{"secrets to unreviewed code", "secrets go by trust class: to commits of the default branch and to members' pull requests, never to bots and forks, whoever approves them", []proof{
		{"gitops/render", "TestSecretsByTrust"}, {"bot", "TestTrust"}, {"bot", "TestPreviewsAreTrusted"}, {"bot", "TestReleasesAreTrusted"}, {"gitops/platform", "TestLoad/objects-refused.txtar"}, {"gitops/argocd", "TestBaseObjectsAreAllowed"}, scenario("secrets-by-trust"),
	}},
	{"approve, then push", "an approval is of 40 hexadecimal digits and the digests found for them, and asked for again in the transaction that commits", []proof{
		{"bot", "TestPushWhileApproved"}, {"previews", "TestApprovalHoldsToDigests"}, scenario("fork-pushed-after-approval"), scenario("fork-retagged"), {"previews", "TestHeldName"}, scenario("fork-merge"),
	}},
	{"self-declared team", "a repository's team is the platform team's word, by the repository's id", []proof{
		{"gitops/platform", "TestTeamsOfRepositories"}, scenario("team-mismatch"), scenario("deploy-by-team"),
	}},
	{"self-approval", "who asked or wrote it, by GitHub's id, does not approve it", []proof{
		{"bot", "TestNobodyApprovesTheirOwn"}, {"bot", "TestEveryWay"}, {"bot", "TestApprovalByID"}, {"bot/access", "TestOwn"},
	}},
	{"more previews than the limits allow", "counted by repository, team and author, by GitHub's id, and again in the transaction that lets one more come", []proof{
		{"previews/store", "TestSQLite/RoomAtOnce"}, {"previews/store", "TestSQLite/Room"}, {"previews/store", "TestSQLite/LiveByAuthorID"}, {"bot", "TestHandleTogether"}, {"gitops/policy", "TestRoom"},
		scenario("policy-limits"), scenario("policy-limits-team"), scenario("policy-limits-author"),
	}},
	{"taking others' previews", "only where policy says so, in the scope that is full, the longest idle, and together with what comes in its place", []proof{
		{"bot", "TestTakes"}, {"bot", "TestTakesOnlyWhatMayBeTaken"}, {"gitops/policy", "TestTake"}, {"previews/store", "TestSQLite/TakenAtOnce"}, {"previews/store", "TestSQLite/Taken"}, scenario("policy-limits-taken"),
	}},
	{"a policy that takes all there is", "time, steps and memory of an evaluation are bounded, and what one call of a function makes is measured before it is called", []proof{
		{"gitops/policy", "TestBounds"}, {"gitops/policy", "TestCalls"},
	}},
	{"host stealing", "a host is computed, with a hash of the repository's id in it", []proof{
		{"gitops", "TestNamesAreUnique"}, {"gitops", "FuzzHost"}, {"gitops/render", "TestEveryRendering"}, {"gitops/render", "TestLongServiceNamesKeepTheirOwnHosts"},
	}},
	{"privilege or secrets in manifests", "only kinds that are listed, in the environment's own namespace, without privilege", []proof{
		{"gitops/render", "TestEveryRendering"}, {"gitops/argocd", "TestEveryKindIsAllowed"},
	}},
	{"a chart or overlay as attacker", "it comes from the base branch, or from a commit that somebody else approved, is rendered without files, network or programs, and what it renders to is filtered", []proof{
		{"gitops/source", "TestHostile"}, {"gitops/source", "TestNothingGetsOut"}, {"gitops/adopt", "FuzzObjects"}, {"gitops/adopt", "TestHostile"}, {"bot", "TestSource"}, {"bot", "TestApproveSource"}, {"bot/github", "TestUnpack"}, scenario("source-hostile"), scenario("source-approved"),
	}},
	{"a chart of the platform's that was exchanged", "what is rendered is what platform/charts.yaml pins by digest at the same commit, plain files alone; any other denies what is new and takes nothing away, and a repository names a chart, never a path", []proof{
		{"gitops/platform", "TestChartHold"}, {"gitops/platform", "TestCheckCharts"}, {"gitops/source", "TestPlatformChartRefused"}, {"cmd/idp", "TestChartsFor"}, {"cmd/idp", "TestChartsRefused"}, {"bot", "TestHandleCharts"}, scenario("source-platform-chart"),
	}},
	{"template injection by names", "what users write is data in every template", []proof{
		{"gitops/argocd", "FuzzNames"}, {"gitops/render", "FuzzRecordText"}, {"bot", "TestHostileBranches"}, {"webhooks", "TestTitlesAreNotRead"}, scenario("hostile-names"),
	}},
	{"git argument injection", "commits are 40 hexadecimal digits, options end before names, there is no shell", []proof{
		{"gitops/repo", "TestBranchesAndURLs"}, {"gitops/repo", "TestReadRefuses"}, {"gitops/repo", "FuzzPath"}, {"gitops/repo", "FuzzEdits"},
	}},
	{"YAML abuse", "64 KiB, one document, 20 levels; no anchors, aliases, merge keys, unknown or repeated keys", []proof{
		{"gitops/spec", "TestParseInvalid"}, {"gitops/spec", "TestParseBoundsHostileFiles"}, {"gitops/spec", "FuzzParse"}, {"gitops/spec", "TestKubernetesReadsTheSameValues"},
	}},
	{"traversal and symbolic links", "trees are built in the object database, below one prefix", []proof{
		{"gitops/repo", "TestValidPath"}, {"gitops/repo", "TestLinkedParents"}, scenario("planted-link"), scenario("planted-link-inside"),
	}},
	{"another team's files", "values in files of teams are changed where the platform team lists file and field, by the repository's id; a deploy.yaml has no say in it, no other byte differs, and what others wrote is not overwritten unasked", []proof{
		{"gitops/inplace", "TestEditReplacesNothingElse"}, {"gitops/inplace", "TestEditRefuses"}, {"gitops/inplace", "TestEditsOfDrawnFiles"}, {"gitops/inplace", "FuzzEdit"}, {"gitops/platform", "TestLoad/updates-wrong.txtar"},
		{"gitops/repo", "TestEditsRefused"}, {"previews", "TestUpdates"}, {"cmd/idp", "TestUpdateOf"}, scenario("update-refused"), scenario("update-converted"),
	}},
	{"name collision", "names carry a hash of the repository's id and are unique in the store; a collision is refused", []proof{
		{"gitops", "TestNamesAreLabels"}, {"gitops", "TestNamesAreUnique"}, {"gitops", "FuzzNames"}, {"bot", "TestHandleNameTaken"}, scenario("names-taken-over"),
	}},
	{"Markdown, HTML and link injection", "what others wrote becomes no tag, link, mention, reference or command", []proof{
		{"bot/report", "TestPayloads"}, {"bot/report", "TestEscaping"}, {"bot/report", "FuzzEscape"},
	}},
	{"requests to inside addresses", "only the class's gateway, without redirects, and registries are dialled; one that only a repository names at public addresses alone, wherever it leads", []proof{
		{"previews/serving", "TestDialsNothingElse"}, {"previews/images", "TestForbiddenAddresses"}, {"previews/images", "TestInsideAddresses"}, {"previews/images", "TestNamesThatMove"}, {"previews/images", "TestLedInside"}, scenario("image-inside"),
	}},
	{"idp itself stolen", "what its credentials may do ends at its own namespaces: on the API server, in Argo CD and in the GitOps repository", []proof{
		{"cmd/idp", "TestEndToEnd/fence"}, {"cmd/idp", "TestWritersAreSeparate"}, {"gitops/argocd", "TestEveryKindIsAllowed"}, scenario("platform-apart"),
	}},
	{"a preview's code as attacker", "egress to DNS, its own namespace and what is listed; private ranges and metadata denied; no route leads into a preview but behind what the platform team put there, or where somebody said the word public", []proof{
		{"gitops/render", "TestEgressAddresses"}, {"gitops/render", "TestMetadataIsNeverPublic"}, {"cmd/idp", "TestNoRouteUnguarded"}, scenario("preview-unguarded"),
	}},
	{"previews found by search engines", "every route of a preview, a chart's too, has its answers say noindex; where a class routes by Ingress that is the controller's to add", []proof{
		{"gitops/render", "TestNoIndex"}, {"gitops/render", "TestGolden/minimal"}, {"gitops/adopt", "TestHostile/httproute"}, scenario("source-helm"),
	}},
	{"a preview open to strangers", "every route of a preview, a chart's too and a fork's, is behind what the platform team's class puts there, and nothing a repository writes takes it away; where there is nothing, there is no route, and idp doctor says so", []proof{
		{"gitops/render", "TestGate"}, {"gitops/render", "TestGateIsTheClasss"}, {"gitops/adopt", "TestGate"}, {"gitops/render", "TestClosed"}, {"gitops/adopt", "TestClosed"}, {"gitops/platform", "TestClosed"}, {"gitops/platform", "TestLoad/gate-wrong.txtar"}, {"cmd/idp", "TestAccessOnPurpose"}, scenario("preview-guarded"),
	}},
	{"tokens in logs, URLs, comments", "secrets have a type that prints as [redacted]; all that idp wrote is searched for them after every scenario and every round of `cmd/faulttest`, and all that the tests of every package write, what commands print and webhooks are answered included; tokens are scoped and never in a URL", []proof{
		{"cmd/idp", "TestNoSecretIsTold"}, {"cmd/idp", "TestLeaksAreFound"}, {"cmd/idp", "TestCrashTellsNoSecret"}, {"cmd/idp", "TestTestsAreSearched"}, {"gitops/secret/secrettest", "TestEveryChannel"}, {"cmd/faulttest/campaign", "TestSecretsAreFound"}, {"gitops/secret", "TestNothingPrintsTheValue"}, {"bot/github", "TestErrorsShowNoSecrets"}, {"bot/github", "TestTokensReachOnlyWhatTheyAreFor"}, {"gitops/repo", "TestAskpassAnswersOnlyTheRemote"},
	}},
	{"metrics and debugging exposed", "metrics have a listener of their own; the public one has four routes, and the API, which names nothing to whoever is not signed in", []proof{
		{"cmd/idp", "TestPublicRoutes"},
	}},
	{"edited comment", "commands are read from new comments only", []proof{
		{"webhooks", "TestOnlyNewCommentsAreRead"}, scenario("comment-edited"), scenario("comment-edited-by-author"), scenario("comment-deleted"), scenario("comment-command-deleted"),
	}},
	{"bot loop", "comments of bots, and idp's own, are no commands; bots' pull requests are followed all the same", []proof{
		{"bot", "TestOwnOutput"}, {"bot", "TestIgnoredComments"}, scenario("dependabot"), scenario("comment-of-ours"),
	}},
	{"unreviewed production deployment", "the protected branch, green checks, and an approval by somebody else", []proof{
		{"bot", "TestProductionConditions"}, {"previews", "TestApprove"}, scenario("deploy-production"),
	}},
	{"an image from elsewhere in production", "where its class asks, an attestation of the image's digest names repository, workflow, default branch and commit; it is verified offline, and again before the commit", []proof{
		{"gitops/provenance", "TestVerify"}, {"gitops/provenance", "FuzzBundle"}, {"bot", "TestProver"}, {"bot", "TestUnprovenIsNotDeployed"}, {"previews", "TestUnprovenIsNotCommitted"},
		scenario("provenance-missing"), scenario("provenance-wrong-workflow"), scenario("provenance-verified"),
	}},
	{"a changed audit log", "entries are a chain, whose end stands in commits and copies", []proof{
		{"previews", "TestAuditChainBreaks"}, {"previews/store", "TestAuditTampered"}, {"cmd/idp", "TestAuditVerify"},
	}},
}

// scenario is a story of testdata/scenarios.
func scenario(name string) proof { return proof{"cmd/idp", "TestScenarios/" + name} }
