package report

import (
	"fmt"
	"strings"
	"time"

	"github.com/idp-bot/idp/gitops"
	"github.com/idp-bot/idp/gitops/platform"
	"github.com/idp-bot/idp/gitops/spec"
	"github.com/idp-bot/idp/previews"
)

const (
	oldSHA = "9f8e7d6c5b4a39281706f5e4d3c2b1a098765432"
	newSHA = "a1b2c3d4e5f60718293a4b5c6d7e8f9001122334"

	deploySpec = `services:
  - name: payments-api
    team: payments
    port: 8080
  - name: worker
    kind: worker
    image: ghcr.io/acme/worker:{sha}
`
)

var pushed = time.Date(2026, 11, 21, 18, 0, 0, 0, time.UTC)

// state is one row in one situation, with a name for its golden.
type state struct {
	name string
	in   Input
}

// waits has an environment wait for its images while CI runs so.
func waits(late bool, runs ...previews.CIRun) func(*Input) {
	return func(in *Input) {
		runs[0].Late = late
		in.Environment.CI = &previews.CI{SHA: newSHA, Runs: runs}
		in.Environment.Missing(images(true, true), in.Now.Add(20*time.Second))
	}
}

func runOf(name string, state previews.RunState, usual time.Duration) previews.CIRun {
	return previews.CIRun{Name: name, State: state, Usual: usual, Since: pushed.Add(5 * time.Second), URL: "https://github.com/acme/payments-api/actions/runs/7"}
}

// newState returns the row of acme/payments-api#42 that wants newSHA since a push, ago
// before now, with changes applied in order.
func newState(name string, ago time.Duration, changes ...func(*Input)) state {
	now := pushed.Add(ago)
	in := Input{
		Now: now,
		Class: platform.Class{
			Name: "preview", RepoURL: "https://github.com/acme/gitops.git", Zone: "preview.example.com", HostTemplate: "{service}-{env}-{hash}.{zone}",
			TTL: 72 * time.Hour, MaxTTL: 14 * day, WarnBefore: time.Hour, Logs: platform.ShowPrivate, Diffs: platform.ShowAlways,
			Gate: &platform.Gate{Public: true},
		},
		Environment: previews.Environment{
			RowID: 1, Version: 3, PR: 42, Owner: "acme", Repo: "payments-api", Author: "ann",
			Ref:     gitops.EnvironmentRef{RepositoryID: 1296269, Owner: "acme", Repo: "payments-api", ID: "pr-42"},
			HeadSHA: newSHA, HeadRef: "faster", SHA: newSHA, Spec: []byte(deploySpec), Team: "payments",
			Wanted: previews.Present, Generation: 1, WantedAt: pushed, PushedAt: pushed,
			TTL: 72 * time.Hour, ExpiresAt: pushed.Add(72 * time.Hour), NextImageCheck: pushed,
		},
	}
	for _, change := range changes {
		change(&in)
	}
	return state{name: name, in: in}
}

// noted has the spec ask for what it does not get.
func noted(in *Input) {
	in.Notes = []string{
		"rollback.on_error_rate of payments-api has no effect in staging: class durable has no prometheus_address",
		"rollback.on_error_rate of worker has no effect in staging: class <durable> has no error_rate_query",
	}
}

func images(digests, missing bool) []previews.Image {
	out := []previews.Image{
		{Service: "payments-api", Reference: "ghcr.io/acme/payments-api:" + newSHA[:7]},
		{Service: "worker", Reference: "ghcr.io/acme/worker:" + newSHA[:7]},
	}
	for i := range out {
		if digests {
			out[i].Digest = "sha256:" + strings.Repeat(fmt.Sprint(i+1, "f"), 32)
		}
	}
	if missing {
		out[0].Missing, out[0].Digest = "ghcr.io answers that there is no such tag", ""
	}
	return out
}

func resolved(in *Input) {
	e := &in.Environment
	e.Resolve(images(true, false), pushed.Add(91*time.Second))
}

func applied(in *Input) {
	e := &in.Environment
	e.Commit(previews.Applied{
		Generation: e.Generation, SHA: e.SHA, Commit: "5c0ffee000000000000000000000000000000000",
		Tree: "77", Diff: sampleDiff, At: pushed.Add(91*time.Second + 400*time.Millisecond),
	})
}

// closedClass has nobody say how previews are guarded.
func closedClass(in *Input) { in.Class.Gate = nil }

func observe(sync, health, message string) func(*Input) {
	return func(in *Input) {
		e := &in.Environment
		e.Observed = &previews.Observation{
			Generation: e.AppliedGeneration, Revision: e.AppliedCommit, Sync: sync, Health: health, Message: message,
			At: pushed.Add(112 * time.Second),
		}
		c := &e.Observed.Chain
		if sync == "Synced" {
			c.Synced = e.AppliedAt.Add(3 * time.Second)
		}
		if health == "Healthy" {
			c.Healthy = c.Synced.Add(14 * time.Second)
			c.Served = c.Healthy.Add(3 * time.Second)
			c.Ready = c.Served
		}
	}
}

// seen changes what is observed.
func seen(change func(*previews.Observation)) func(*Input) {
	return func(in *Input) { change(in.Environment.Observed) }
}

// faulty is an object that is not well.
func faulty(f previews.Fault) func(*Input) {
	return seen(func(o *previews.Observation) { o.Fault = &f })
}

func private(in *Input) { in.Environment.Private = true }

// crash is a container that ends by itself.
func crash() previews.Fault {
	return previews.Fault{
		Object: "Pod payments-api-7d9f4c8b6-x2x1z", Service: "payments-api", Message: "container app ended with exit code 1",
		Short: "its process crashes (exit 1, 3 restarts)", Cause: "Its process ends with an error soon after it starts.", Next: "Fix it and push.",
		Events: []previews.Event{
			{At: pushed.Add(95 * time.Second), Reason: "Pulled", Message: `Successfully pulled image "ghcr.io/acme/payments-api@sha256:1f1f" in 1.2s`, Count: 1},
			{At: pushed.Add(110 * time.Second), Reason: "BackOff", Message: "Back-off restarting failed container app", Count: 4},
		},
		Ran: true,
		Logs: []string{
			"starting payments-api", "  \x60\x60\x60 @everyone <b>not bold</b>", "panic: no DATABASE_URL", "",
			"goroutine 1 [running]:", "\tmain.main()", "\t\t/src/main.go:12 +0x1d",
		},
	}
}

// older makes the state one where oldSHA runs and newSHA was pushed later.
func older(in *Input) {
	e := &in.Environment
	e.SHA, e.HeadSHA, e.PushedAt, e.WantedAt = oldSHA, oldSHA, pushed.Add(-time.Hour), pushed.Add(-time.Hour)
	e.ExpiresAt = e.PushedAt.Add(e.TTL)
	resolved(in)
	applied(in)
	observe("Synced", "Healthy", "")(in)
	e.AppliedAt, e.ResolvedAt, e.Observed.At = pushed.Add(-50*time.Minute), pushed.Add(-51*time.Minute), pushed.Add(-49*time.Minute)
	e.Observed.Chain = previews.Chain{Synced: e.AppliedAt, Healthy: e.Observed.At, Ready: e.Observed.At}
}

func push(in *Input) {
	in.Environment.Want(previews.Revision{SHA: newSHA, Ref: "faster", Spec: []byte(deploySpec), Team: "payments", TTL: 72 * time.Hour}, pushed)
}

func refused(p previews.Problem) func(*Input) {
	return func(in *Input) {
		e := &in.Environment
		in.Environment = previews.Environment{
			RowID: 1, Version: 1, Ref: e.Ref, PR: e.PR, Owner: e.Owner, Repo: e.Repo, Author: "mallory", Wanted: previews.Absent,
		}
		in.Environment.SeeHead(newSHA, "faster", pushed)
		p.SHA = newSHA
		in.Environment.Refuse(p, pushed.Add(time.Second))
	}
}

// leaving is what Argo CD says of an environment that has left Git.
func leaving(message string, gone bool) func(*Input) {
	return func(in *Input) {
		e := &in.Environment
		e.Observed = &previews.Observation{Generation: e.AppliedGeneration, Message: message, Gone: gone, At: e.AppliedAt.Add(41 * time.Second)}
	}
}

func removed(r previews.Removal, gone bool) func(*Input) {
	return func(in *Input) {
		e := &in.Environment
		e.Remove(r, pushed.Add(time.Hour))
		if gone {
			e.Commit(previews.Applied{Generation: e.Generation, Commit: "0ddba11000000000000000000000000000000000", At: pushed.Add(time.Hour + 41*time.Second)})
		}
	}
}

func fail(kind previews.ProblemKind, message, hint string) func(*Input) {
	return func(in *Input) {
		in.Environment.Fail(previews.Problem{Kind: kind, Message: message, Hint: hint}, pushed.Add(15*time.Minute))
	}
}

var specProblem = previews.Problem{
	Kind: previews.ProblemSpec, Message: "2 errors in .idp/deploy.yaml",
	Errors: []spec.Error{
		{Path: ".idp/deploy.yaml", Line: 3, Column: 3, EndLine: 3, Message: `unknown key "taem" in service: did you mean "team"?`},
		{Path: ".idp/deploy.yaml", Line: 6, Column: 13, EndLine: 8, Message: `unknown strategy "canry": did you mean "canary"? (rolling, canary, blueGreen)`},
	},
}

var forkProblem = previews.Problem{
	Kind: previews.ProblemFork, Message: "this pull request comes from a fork, and its code waits for approval",
}

// trusted gives its class a secret for some, and its code a trust.
func trusted(t platform.Trust, whose ...platform.Trust) func(*Input) {
	return func(in *Input) {
		in.Environment.Trust = t
		in.Class.Objects = []platform.BaseObjects{{File: "platform/objects/secrets.yaml", For: whose, EnvFrom: platform.EnvFrom{Name: "application", Secret: true}}}
	}
}

// ofFork makes it a fork's, of which a commit was approved.
func ofFork(approved string) func(*Input) {
	return func(in *Input) {
		in.Environment.Author = "mallory"
		in.Environment.Fork = &previews.Fork{Approved: previews.Approval{SHA: approved, By: "alice", ByID: 2, At: pushed}, Base: oldSHA}
	}
}

// states is every situation that people see.
func states() []state {
	ready := func(in *Input) { resolved(in); applied(in); observe("Synced", "Healthy", "")(in) }
	extended := func(in *Input) {
		in.Environment.Extend(day, in.Class.MaxTTL, in.Now)
		in.Environment.AppliedGeneration, in.Environment.Observed.Generation = in.Environment.Generation, in.Environment.Generation
	}
	return []state{
		newState("looking", time.Second),
		newState("waiting", 190*time.Second, func(in *Input) { in.Environment.Missing(images(true, true), in.Now.Add(20*time.Second)) }),
		newState("waiting-for-ci", 190*time.Second, waits(false, runOf("ci", previews.RunRunning, 6*time.Minute), runOf("lint", previews.RunFailed, 0))),
		newState("waiting-for-ci-late", 12*time.Minute, waits(true, runOf("ci", previews.RunRunning, 6*time.Minute))),
		newState("waiting-for-ci-queued", 190*time.Second, waits(false, runOf("ci", previews.RunQueued, 0))),
		newState("waiting-ci-failed", 190*time.Second, waits(false, runOf("ci](x) @ops", previews.RunFailed, 0), runOf("lint", previews.RunPassed, 0))),
		newState("waiting-ci-passed", 190*time.Second, waits(false, runOf("ci", previews.RunPassed, 0))),
		newState("waiting-for-merge", 190*time.Second, func(in *Input) {
			out := images(true, true)
			out[0] = previews.Image{Service: "payments-api", Reference: "ghcr.io/acme/payments-api:{merge_sha}", Missing: "the pull request conflicts with its base branch, so GitHub makes no merge commit for CI to build"}
			in.Environment.Missing(out, in.Now.Add(20*time.Second))
		}),
		newState("ready-unchanged", 112*time.Second, resolved, func(in *Input) {
			in.Environment.Images[0].Commit = oldSHA
			in.Environment.Images[1].Commit, in.Environment.Images[1].Branch = oldSHA, "main"
		}, applied, observe("Synced", "Healthy", "")),
		newState("waiting-previous-serves", 190*time.Second, older, push,
			func(in *Input) { in.Environment.Missing(images(true, true), in.Now.Add(20*time.Second)) }),
		newState("committing", 92*time.Second, resolved),
		newState("committed", 10*time.Minute, resolved, applied),
		newState("committed-unchecked-images", time.Minute, func(in *Input) {
			in.Environment.Resolve(images(false, false), pushed.Add(100*time.Millisecond))
		}, applied),
		newState("syncing", 100*time.Second, resolved, applied, observe("OutOfSync", "Progressing", "waiting for rollout to finish: 0 of 1 updated replicas are available")),
		newState("ready", 10*time.Minute, ready),
		newState("dismissed", 10*time.Minute, ready, dismissedBy("ops")),
		newState("deployed-dismissed", 2*time.Hour, declared, ready, dismissedBy("ops")),
		newState("deployed-dismissed-update", 2*time.Hour, declared, ready, func(in *Input) { in.Environment.Update = &previews.Update{} }, dismissedBy("ops")),
		newState("ready-public", 10*time.Minute, ready, func(in *Input) { in.Class.Diffs = platform.ShowPrivate }),
		newState("unrouted-committing", 5*time.Second, resolved, closedClass),
		newState("unrouted", 10*time.Minute, ready, func(in *Input) { in.Environment.Unrouted = true }),
		newState("unrouted-guarded-since", 10*time.Minute, ready, closedClass),
		newState("extended", 10*time.Minute, ready, extended),
		newState("pinned", 10*time.Minute, ready, func(in *Input) { in.Environment.Pin(in.Now) },
			func(in *Input) {
				in.Environment.AppliedGeneration, in.Environment.Observed.Generation = in.Environment.Generation, in.Environment.Generation
			}),
		newState("expiring", 71*time.Hour, ready, func(in *Input) { in.Environment.WarnedAt = in.Now }),
		newState("degraded", 10*time.Minute, resolved, applied, observe("Synced", "Degraded", "Deployment payments-api: pod crashes on start (exit 1, 3 restarts)")),
		newState("timed-out", 15*time.Minute, resolved, applied, observe("OutOfSync", "Degraded", "not healthy after 15m0s: waiting for Argo CD to make the Application"),
			func(in *Input) { in.Environment.Observed.TimedOut = true }),
		newState("canary", 5*time.Minute, resolved, applied, observe("Synced", "Suspended", ""),
			seen(func(o *previews.Observation) {
				o.Progress = &previews.Progress{Service: "payments-api", Canary: true, Step: 1, Steps: 5, Weight: 10, Left: 4 * time.Minute}
			})),
		newState("canary-waits", 5*time.Minute, resolved, applied, observe("Synced", "Suspended", ""),
			seen(func(o *previews.Observation) {
				o.Progress = &previews.Progress{Service: "payments-api", Canary: true, Step: 2, Steps: 3, Weight: 50, Waits: true, Message: "paused: the analysis is inconclusive"}
			})),
		newState("blue-green", 5*time.Minute, resolved, applied, observe("Synced", "Progressing", ""),
			seen(func(o *previews.Observation) {
				o.Progress = &previews.Progress{Service: "payments-api", Message: "active service cutover pending"}
			})),
		newState("not-serving-yet", 3*time.Minute, resolved, applied, observe("Synced", "Healthy", ""),
			seen(func(o *previews.Observation) {
				o.Chain.Served, o.Chain.Ready, o.Unserved = time.Time{}, time.Time{}, "service payments-api answers 503 on /health at its host"
			})),
		newState("never-serves", 15*time.Minute, resolved, applied, observe("Synced", "Healthy", ""),
			seen(func(o *previews.Observation) {
				o.Chain.Served, o.Chain.Ready, o.Unserved = time.Time{}, time.Time{}, "service payments-api answers 503 on /health at its host"
				o.Health, o.TimedOut, o.Message = "Degraded", true, "healthy, and does not serve after 15m0s: service payments-api answers 503 on /health at its host"
			})),
		newState("image-pull-while-moving", 3*time.Minute, resolved, applied, observe("Synced", "Progressing", "Deployment payments-api: 0 of 1 updated replicas are available"),
			faulty(previews.Fault{
				Object: "Pod payments-api-7d9f4c8b6-x2x1z", Service: "payments-api", Message: `Back-off pulling image "ghcr.io/acme/payments-api@sha256:1f1f": not found`,
				Short: "the image cannot be pulled", Cause: "The registry has no such image.", Next: "Check what CI pushed and what the image is called in .idp/deploy.yaml, and push.",
			})),
		newState("crash-private", 10*time.Minute, private, resolved, applied, observe("Synced", "Degraded", "Deployment payments-api: exceeded its progress deadline"), faulty(crash())),
		newState("crash-public", 10*time.Minute, resolved, applied, observe("Synced", "Degraded", "Deployment payments-api: exceeded its progress deadline"), faulty(crash())),
		newState("crash-logs-denied", 10*time.Minute, private, resolved, applied, observe("Synced", "Degraded", "Deployment payments-api: exceeded its progress deadline"),
			func(in *Input) {
				f := crash()
				f.Logs, f.Events, f.LogsMissing = nil, nil, "there are no log lines here, for in Argo CD idp may not read them; the platform team can let it, with what idp bootstrap --logs prints"
				faulty(f)(in)
			}),
		newState("quota", 10*time.Minute, resolved, applied, observe("Synced", "Degraded", "Deployment payments-api: exceeded its progress deadline"),
			faulty(previews.Fault{
				Object: "ReplicaSet payments-api-7d9f4c8b6", Service: "payments-api",
				Message: `pods "payments-api-7d9f4c8b6-" is forbidden: exceeded quota: idp, requested: limits.cpu=3, used: limits.cpu=2, limited: limits.cpu=4`,
				Short:   "the quota is used up", Cause: "Together, its services ask for more than the environment may have.",
				Next: "Ask for less, or for fewer replicas, in .idp/deploy.yaml and push. The platform team sets the quota.",
			})),
		newState("deployed", 10*time.Minute, ready, declared),
		newState("deployed-with-notes", 10*time.Minute, ready, declared, noted),
		newState("ready-with-notes", 10*time.Minute, ready, noted),
		newState("gone-with-notes", 2*time.Hour, ready, noted, removed(previews.Removal{Reason: previews.RemovedMerged}, true)),
		newState("deployed-rolled-back", 10*time.Minute, ready, declared, wentBack("", "error-rate 4.7% > 1%")),
		newState("deployed-rolling-back", 2*time.Minute, resolved, applied, declared, observe("Synced", "Progressing", ""), wentBack("", "error-rate 4.7% > 1%")),
		newState("deployed-back-by-command", 10*time.Minute, ready, declared, wentBack("carol", "rollback by carol")),
		newState("deployed-of-source", 10*time.Minute, ready, declared, ofSource, func(in *Input) {
			in.Environment.Source.From[0].Service = "payments-api"
			in.Environment.Source.Taken = []string{"payments-api.source.helm.values.greeting"}
			in.Environment.Source.Notes = []string{"Secret <b>db</b>: dropped: idp commits no secrets"}
		}),
		newState("deployed-of-own-source", 10*time.Minute, ready, declared, ofSource, func(in *Input) { in.Environment.Source.Base = in.Environment.SHA }),
		newState("deployed-source-fails", 10*time.Minute, resolved, declared, ofSource, func(in *Input) {
			in.Environment.Fail(previews.Problem{Kind: previews.ProblemSpec, Message: "the helm source in deploy/chart: set database.password"}, pushed)
		}),
		newState("deployed-with-queue", 10*time.Minute, ready, declared, queued),
		newState("deployed-waiting-for-approval", time.Minute, declared, queued, func(in *Input) {
			e := &in.Environment
			e.Wanted, e.Generation, e.SHA, e.Spec = previews.Absent, 0, "", nil
		}),
		newState("deployed-degraded", 10*time.Minute, resolved, applied, declared, observe("Synced", "Degraded", "")),
		newState("aborted", 10*time.Minute, resolved, applied, declared, observe("Synced", "Degraded", "Rollout payments-api: RolloutAborted: Rollout aborted update to revision 2"),
			faulty(previews.Fault{
				Object: "AnalysisRun payments-api-6c54544bf9-2", Service: "payments-api", Message: `Metric "error-rate" assessed Failed due to failed (2) > failureLimit (1)`,
				Short: "the rollout was aborted: error-rate 4.7% > 1%", Cause: "That is what the analysis measured. The revision before serves everybody again.",
				Next: "Fix it and push.", Measured: "error-rate 4.7% > 1%",
			})),
		newState("refused-sync", 10*time.Minute, resolved, applied, observe("OutOfSync", "Degraded", "one or more objects failed to apply, reason: admission webhook denied the request"),
			faulty(previews.Fault{
				Message: `one or more objects failed to apply, reason: admission webhook "policy.acme.dev" denied the request: image is not signed`,
				Short:   "the cluster refuses what is in Git", Cause: "A policy of the cluster does not let it through.", Next: "Do as it says and push, or ask the platform team.",
			})),
		newState("timed-out-with-fault", 15*time.Minute, resolved, applied, observe("Synced", "Degraded", "not healthy after 15m0s: Deployment payments-api: 0 of 1 updated replicas are available"),
			seen(func(o *previews.Observation) { o.TimedOut = true }),
			faulty(previews.Fault{
				Object: "Pod payments-api-7d9f4c8b6-x2x1z", Service: "payments-api", Message: "0/3 nodes are available: 3 Insufficient memory.",
				Short: "no node has room for it", Cause: "It asks for more CPU or memory than any node has left.", Next: "It starts by itself once there is room.",
			})),
		newState("drifted", 10*time.Minute, ready, seen(func(o *previews.Observation) {
			o.Drift = &previews.Drift{Objects: "Deployment payments-api", At: pushed.Add(9 * time.Minute)}
		})),
		newState("silent", 3*time.Minute, resolved, applied, observe("", "", "Argo CD does not answer")),
		newState("image-never-came", 16*time.Minute, older, push,
			func(in *Input) { in.Environment.Missing(images(true, true), in.Now) },
			fail(previews.ProblemImage, "image ghcr.io/acme/payments-api:a1b2c3d did not appear within 15m0s: ghcr.io answers that there is no such tag", "Check that CI builds and pushes this tag, then push again or comment /idp preview.")),
		newState("folder-changed", 16*time.Minute, resolved,
			fail(previews.ProblemChanged, "environments/acme/payments-api/pr-42 was changed in the GitOps repository by Eve <eve@example.com> in commit 0123456, so idp left it alone", "Comment /idp preview to go on and replace that change.")),
		newState("push-refused", 16*time.Minute, resolved,
			fail(previews.ProblemPush, "the GitOps repository refuses the push: protected branch", "The platform team has to mend that; then comment /idp preview.")),
		newState("paused", 3*time.Minute, resolved, func(in *Input) {
			in.Environment.Refuse(previews.Problem{
				Kind: previews.ProblemPaused, SHA: in.Environment.SHA, Message: "paused by the platform team since 12:00 UTC on 1 November: the cluster is being upgraded",
				Hint: "Nothing is lost: it goes on by itself once they let idp go on.",
			}, in.Now)
		}),
		newState("spec-errors", time.Minute, refused(specProblem)),
		newState("spec-errors-previous-serves", time.Minute, older, func(in *Input) {
			in.Environment.SeeHead(newSHA, "faster", pushed)
			p := specProblem
			p.SHA = newSHA
			in.Environment.Refuse(p, pushed.Add(time.Second))
		}),
		newState("fork", time.Minute, refused(forkProblem), ofFork(oldSHA)),
		newState("fork-previous-serves", time.Minute, older, ofFork(oldSHA), func(in *Input) {
			in.Environment.SeeHead(newSHA, "faster", pushed)
			p := forkProblem
			p.SHA = newSHA
			in.Environment.Refuse(p, pushed.Add(time.Second))
		}),
		newState("fork-retagged", 3*time.Minute, ofFork(newSHA), resolved, func(in *Input) {
			const reference = "ghcr.io/acme/payments-api:a1b2c3d"
			in.Environment.Fork.Approved, in.Environment.Fork.Withdrawn = previews.Approval{}, "image "+reference+" was pushed again after it was approved: it was sha256:1f1f and is sha256:2e2e"
			in.Environment.Fail(previews.Problem{Kind: previews.ProblemFork, Message: in.Environment.Fork.Withdrawn}, in.Now)
		}),
		newState("fork-waiting", 3*time.Minute, ofFork(newSHA), func(in *Input) { in.Environment.Missing(images(true, true), in.Now.Add(time.Minute)) }),
		newState("secretless-fork", 10*time.Minute, ready, ofFork(newSHA), trusted(platform.TrustFork, platform.TrustDefaultBranch, platform.TrustMember)),
		newState("secretless-bot", 3*time.Minute, func(in *Input) { in.Environment.Missing(images(true, true), in.Now.Add(time.Minute)) }, trusted(platform.TrustBot, platform.TrustMember)),
		newState("secretless-unknown", 10*time.Minute, ready, trusted(platform.TrustUnknown, platform.TrustMember)),
		newState("secretless-staging", 10*time.Minute, declared, ready, trusted(platform.TrustMember, platform.TrustDefaultBranch)),
		newState("secrets-of-a-member", 10*time.Minute, ready, trusted(platform.TrustMember, platform.TrustMember)),
		newState("fork-ready", 10*time.Minute, ready, ofFork(newSHA), func(in *Input) {
			f := in.Environment.Fork
			f.Taken = []string{"payments-api.replicas", "payments-api.env.LOG_LEVEL"}
			f.Left = []spec.Untaken{{Key: "payments-api.image"}, {Key: "payments-api.env.DB", Why: "it holds a placeholder or refers to another variable"}}
		}),
		newState("source-ready", 10*time.Minute, ready, ofSource, func(in *Input) {
			in.Environment.Source.Taken = []string{"preview.source.helm.values.greeting"}
			in.Environment.Source.Left = []spec.Untaken{{Key: "preview.source.helm.path", Why: "the base branch's counts"}}
			in.Environment.Source.Notes = []string{"Deployment web: hostNetwork left out", "Secret <b>db</b>: dropped: idp commits no secrets"}
		}),
		newState("source-noted", 10*time.Minute, ready, ofSource, func(in *Input) {
			for i := range maxDropped + 3 {
				in.Environment.Source.Notes = append(in.Environment.Source.Notes, fmt.Sprintf("Deployment web-%d: hostNetwork left out", i))
			}
		}),
		newState("source-new", 10*time.Minute, ready, ofSource, func(in *Input) {
			in.Environment.Source.Base, in.Environment.Source.Head = "", spec.Sources{{Source: spec.Source{Kind: spec.Kustomize}}}
			in.Environment.Source.Left = []spec.Untaken{{Key: "preview.source"}}
		}),
		newState("source-of-services", 10*time.Minute, ready, func(in *Input) {
			in.Environment.Source = &previews.Source{Base: oldSHA, Branch: "main", From: spec.Sources{
				{Service: "payments-api", Source: spec.Source{Kind: spec.Helm, Path: "api/chart"}},
			}}
			in.Environment.Source.Left = []spec.Untaken{{Key: "worker.source", Why: "the base branch's counts"}}
			in.Environment.Source.Head = spec.Sources{
				{Service: "payments-api", Source: spec.Source{Kind: spec.Helm, Path: "api/chart"}}, {Service: "worker", Source: spec.Source{Kind: spec.Manifests}},
			}
		}),
		newState("source-of-services-new", 10*time.Minute, ready, func(in *Input) {
			in.Environment.Source = &previews.Source{Branch: "main", Left: []spec.Untaken{{Key: "payments-api.source"}, {Key: "worker.source"}}, Head: spec.Sources{
				{Service: "payments-api", Source: spec.Source{Kind: spec.Helm, Path: "api/chart"}}, {Service: "worker", Source: spec.Source{Kind: spec.Manifests}},
			}}
		}),
		newState("source-proposed", 10*time.Minute, ready, ofSource, proposing()),
		newState("source-proposed-public", 10*time.Minute, ready, ofSource, proposing(), func(in *Input) { in.Class.Diffs = platform.ShowPrivate }),
		newState("source-proposed-fails", 10*time.Minute, ready, ofSource, proposing(), func(in *Input) {
			in.Environment.Source.Would = &previews.Proposed{Failed: "the helm source in chart: `{{`<b> is not closed"}
		}),
		newState("source-proposed-given-up", 10*time.Minute, ready, ofSource, proposing(), func(in *Input) {
			in.Environment.Source.Would, in.Environment.Blocked = nil, in.Environment.Generation
			in.Environment.Problem = &previews.Problem{Kind: previews.ProblemSpec, Message: "the helm source in deploy/chart: set database.password"}
		}),
		newState("source-proposed-same", 10*time.Minute, ready, ofSource, proposing(), func(in *Input) { in.Environment.Source.Would = &previews.Proposed{} }),
		newState("no-preview", time.Minute, refused(specProblem), func(in *Input) {
			in.Environment.Problem = nil
			in.Environment.Removal = previews.Removal{Reason: previews.RemovedUntriggered, Detail: "there is no .idp/deploy.yaml in this commit"}
		}),
		newState("removing", 61*time.Minute, ready, removed(previews.Removal{Reason: previews.RemovedMerged}, false)),
		newState("removal-blocked", 61*time.Minute, ready, removed(previews.Removal{Reason: previews.RemovedClosed}, false),
			fail(previews.ProblemChanged, "environments/acme/payments-api/pr-42 was changed in the GitOps repository by Eve in commit 0123456, so idp left it alone", "Comment /idp destroy to go on and replace that change.")),
		newState("taken-down", 61*time.Minute, ready, removed(previews.Removal{Reason: previews.RemovedMerged}, true), leaving("", false)),
		newState("removal-held", 75*time.Minute, ready, removed(previews.Removal{Reason: previews.RemovedExpired}, true),
			leaving("waiting for finalizer example.com/backup on PersistentVolumeClaim data-0 since 14:02 UTC", false)),
		newState("gone-seen", 2*time.Hour, ready, removed(previews.Removal{Reason: previews.RemovedClosed}, true), leaving("", true)),
		newState("gone-merged", 2*time.Hour, ready, removed(previews.Removal{Reason: previews.RemovedMerged}, true)),
		newState("gone-closed", 2*time.Hour, ready, removed(previews.Removal{Reason: previews.RemovedClosed}, true)),
		newState("gone-draft", 2*time.Hour, ready, removed(previews.Removal{Reason: previews.RemovedDraft}, true)),
		newState("gone-command", 2*time.Hour, ready, removed(previews.Removal{Reason: previews.RemovedByCommand, By: "ann"}, true)),
		newState("gone-expired", 2*time.Hour, ready, removed(previews.Removal{Reason: previews.RemovedExpired}, true)),
		newState("gone-evicted", 2*time.Hour, ready, removed(previews.Removal{
			Reason: previews.RemovedEvicted, For: "acme/web#57", Detail: "not too many previews: acme/web has 3 of at most 3 previews; that of acme/web#42, idle for 2h, may be taken",
		}, true)),
		newState("removing-evicted", 61*time.Minute, ready, removed(previews.Removal{Reason: previews.RemovedEvicted, Detail: "not too many previews"}, false)),
		newState("gone-untriggered", 2*time.Hour, ready, removed(previews.Removal{Reason: previews.RemovedUntriggered, Detail: `it does not have label "preview"`}, true)),
	}
}
