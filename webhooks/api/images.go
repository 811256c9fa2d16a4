package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/idp-bot/idp/bot"
	"github.com/idp-bot/idp/gitops/fault"
	"github.com/idp-bot/idp/gitops/secret"
	"github.com/idp-bot/idp/previews"
)

// ImageReport is the body of the report of an image, and the answer to it.
type ImageReport struct {
	// Service is its name in .idp/deploy.yaml, and Digest the image's, "sha256:…".
	Service string `json:"service"`
	Digest  string `json:"digest"`
	// SHA is the commit that the image is of. By default it is the one that the workflow
	// ran at or, where it ran for a pull request, that one's newest.
	SHA string `json:"sha,omitempty"`
}

var (
	servicePattern = regexp.MustCompile(`^[a-z]([a-z0-9-]{0,38}[a-z0-9])?$`)
	digestPattern  = regexp.MustCompile(`^sha256:[0-9a-f]{64}$`)
	shaPattern     = regexp.MustCompile(`^[0-9a-f]{40}$`)
)

func (i ImageReport) check() error {
	switch {
	case !servicePattern.MatchString(i.Service):
		return fault.New(fault.Invalid, "service is not the name of one", "name it as .idp/deploy.yaml does")
	case !digestPattern.MatchString(i.Digest):
		return fault.New(fault.Invalid, "digest is not sha256: and 64 hexadecimal digits", "use what the push of the image printed")
	case i.SHA != "" && !shaPattern.MatchString(i.SHA):
		return fault.New(fault.Invalid, "sha is not a commit's 40 hexadecimal digits", "")
	}
	return nil
}

var errNoWorkflow = fault.New(fault.Denied, "the token is none of a workflow of GitHub Actions, or is not meant for this idp",
	`"idp image report" in a job with "permissions: {id-token: write}" gets one`)

// report takes the report of an image.
func (h *Handler) report(w http.ResponseWriter, r *http.Request) {
	token, ok := bearer(r)
	if !ok {
		w.Header().Set("WWW-Authenticate", "Bearer")
		refuse(w, http.StatusUnauthorized, errNoWorkflow)
		return
	}
	if !h.workflows.TryAcquire(1) {
		h.fail(w, errBusy)
		return
	}
	defer h.workflows.Release(1)
	ctx, cancel := context.WithTimeout(r.Context(), askTimeout)
	defer cancel()
	run, err := h.options.GitHub.Workflow(ctx, secret.New(token))
	switch {
	case errors.Is(err, bot.ErrNotFound):
		w.Header().Set("WWW-Authenticate", `Bearer error="invalid_token"`)
		refuse(w, http.StatusUnauthorized, errNoWorkflow)
		return
	case err != nil:
		h.fail(w, err)
		return
	}
	var report ImageReport
	problem := decode(w, r, &report, `{"service": "web", "digest": "sha256:…"}`)
	if problem == nil {
		problem = report.check()
	}
	if problem != nil {
		malformed(w, problem)
		return
	}
	owner, name, ok := named(r)
	var repo bot.RepositoryRef
	var installation int64
	var commit bot.Commit
	if err = bot.ErrNotFound; ok {
		repo, installation, commit, err = h.options.GitHub.Built(ctx, owner, name, run.SHA)
	}
	switch {
	case errors.Is(err, bot.ErrNotFound) || errors.Is(err, bot.ErrNoAccess) || err == nil && repo.ID != run.RepositoryID:
		refuse(w, http.StatusNotFound, fault.New(fault.NotFound, "the workflow ran in no such repository that idp is installed on", ""))
		return
	case err != nil:
		h.fail(w, err)
		return
	}
	asked := report.SHA
	if report.SHA, err = run.speaksFor(commit, asked); err != nil {
		entry := run.entry(repo, report)
		entry.SHA, entry.Reason = asked, err.Error()
		if kept := h.options.Store.Record(r.Context(), entry); kept != nil {
			h.fail(w, kept)
			return
		}
		refuse(w, http.StatusForbidden, err)
		return
	}
	if err := h.reported(r, run, repo, installation, report); err != nil {
		h.fail(w, err)
		return
	}
	write(w, http.StatusOK, report)
}

// entry is the audit entry of a run's report, refused until somebody says otherwise.
func (run Workflow) entry(repo bot.RepositoryRef, report ImageReport) previews.Audit {
	return previews.Audit{
		ActorID: run.Actor.ID, Actor: run.Actor.Login, Action: "report image " + report.Service, Environment: strings.ToLower(repo.Owner+"/"+repo.Name) + "/",
		SHA: report.SHA, Rule: "a run reports images of the commit that it ran at, or of the head that this would merge",
	}
}

// speaksFor returns the commit that a run reports an image of: the one that it ran at or,
// for a pull request, the head that this one would merge. Any other is somebody else's.
func (run Workflow) speaksFor(at bot.Commit, asked string) (sha string, err error) {
	may := []string{at.SHA}
	if run.OfPull && len(at.Parents) == 2 {
		may = []string{at.Parents[1], at.SHA}
	}
	switch {
	case asked == "":
		return may[0], nil
	case slices.Contains(may, asked):
		return asked, nil
	}
	return "", fault.New(fault.Denied, fmt.Sprintf("the workflow ran at %s, and cannot report images of %s", at.SHA, asked),
		"leave the commit out, or report from the workflow that builds it")
}

// reported keeps a report, and has whatever waits for the image look again.
func (h *Handler) reported(r *http.Request, run Workflow, repo bot.RepositoryRef, installation int64, report ImageReport) error {
	entry := run.entry(repo, report)
	entry.Delivery, entry.Allowed, entry.Reason = uuid.NewString(), true, report.Digest+" by "+run.Run
	err := h.options.Store.ReportImage(r.Context(),
		previews.ImageReport{RepositoryID: repo.ID, SHA: report.SHA, Service: report.Service, Digest: report.Digest, Run: run.Run}, entry)
	if err != nil {
		return err
	}
	_, err = h.keep(r.Context(), bot.Event{
		Kind: bot.EventBuild, Delivery: entry.Delivery, Name: "idp_image", Action: "reported", InstallationID: installation, Repository: repo, HeadSHA: report.SHA, Actor: run.Actor,
	})
	return err
}
