package report

import "github.com/idp-bot/idp/previews"

// maxDescription is GitHub's limit for a deployment status's description.
const maxDescription = 140

// Deployment is a GitHub Deployment and its newest status. All previews share one
// transient environment, since only an administrator can delete an environment.
type Deployment struct {
	// Environment is "preview"; Transient says that it goes away.
	Environment string
	Transient   bool
	// Preview is the environment's own name. It goes into the payload, by which
	// the deployment is found again among others of the same commit.
	Preview string
	// SHA is what is deployed, Ref the branch it came from.
	SHA, Ref string
	// State is in_progress, success, failure or inactive.
	State string
	// URL is where the preview answers, "" where nothing is published.
	URL         string
	Description string
}

// Key identifies the status; equal keys need no request.
func (d Deployment) Key() string { return d.State + " " + hashOf(d) }

// DeploymentOf returns the deployment of the revision that stands in Git; false
// when nothing does.
func DeploymentOf(in Input) (Deployment, bool) {
	e := &in.Environment
	if e.Wanted != previews.Present || e.AppliedSHA == "" || e.Tree == "" {
		return Deployment{}, false
	}
	d := deployment(e)
	d.URL = previewURL(in)
	d.State, d.Description = deployed(in)
	d.Description = plain(d.Description, maxDescription)
	return d, true
}

// Inactive returns the status that retires the environment's deployment.
func Inactive(in Input) Deployment {
	d := deployment(&in.Environment)
	d.State, d.Description = "inactive", "Superseded by a newer revision"
	if in.Environment.Wanted == previews.Absent {
		d.Description = plain("Removed: "+RemovalReason(in.Environment.Removal), maxDescription)
	}
	return d
}

func deployment(e *previews.Environment) Deployment {
	if e.Declared() {
		return Deployment{Environment: e.Ref.ID, Preview: e.Ref.Name(), SHA: e.AppliedSHA, Ref: e.HeadRef}
	}
	return Deployment{Environment: "preview", Transient: true, Preview: e.Ref.Name(), SHA: e.AppliedSHA, Ref: e.HeadRef}
}

// deployed judges the revision that was committed, whatever the newest one waits for.
//
// Where nobody watches the rollout, the deployment is a success though the check is
// neutral. A deployment has no neutral state: what is left is in_progress, which
// nothing would ever end, so that the pull request would say "is deploying" for good
// and never show "View deployment", which GitHub does for a success with a URL alone.
// What was asked of idp, to deploy to the GitOps repository, did succeed, and the
// description says that no more is known. What people merge by is the check.
// With Argo CD it is a success once that says so, and not before.
func deployed(in Input) (state, description string) {
	e := &in.Environment
	o := e.Observed
	switch {
	case o == nil:
		return success, "Committed to Git; the rollout is not observed"
	case o.TimedOut:
		return failure, capital(o.Message)
	case o.Health == "Degraded":
		return failure, "Degraded: " + o.Message
	case o.Generation == e.AppliedGeneration && o.Health == "Healthy" && o.Sync == "Synced" && o.Unserved == "":
		return success, "Ready"
	default:
		return inProgress, "Argo CD is rolling it out"
	}
}
