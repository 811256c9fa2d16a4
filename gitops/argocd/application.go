package argocd

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/argoproj/argo-cd/v2/pkg/apis/application/v1alpha1"
	"github.com/argoproj/gitops-engine/pkg/health"
	synccommon "github.com/argoproj/gitops-engine/pkg/sync/common"
)

// maxTroubles is how many unhealthy objects a message names.
const maxTroubles = 3

// Application is what Argo CD sees of one Application, whatever it deploys.
type Application struct {
	Name, Namespace string
	// Sync is "Synced", "OutOfSync" or "Unknown"; Revision the commit it was
	// compared with.
	Sync, Revision string
	// Health is "Healthy", "Suspended", "Progressing", "Missing", "Degraded" or
	// "Unknown".
	Health string
	// OperationPhase is that of the last sync: "Running", "Terminating",
	// "Succeeded", "Failed" or "Error"; "" when there was none. OperationRevision is
	// the commit it syncs or synced, OperationMessage its own words.
	OperationPhase, OperationRevision, OperationMessage string
	// SyncedRevision is the newest commit that the cluster is known to be as: the
	// one it was compared with while that is Synced (a commit that changes nothing
	// here is never synced), else the last that was synced with success; "" when
	// there is none. A commit that was pushed before it counts as applied.
	SyncedRevision string
	// Message says in one line why all is not well, "" when it is.
	Message string
	// Error says why Argo CD cannot bring the cluster to the branch, "" where it
	// can. It is part of what Message tells, without the state of what runs.
	Error string
	// Rollouts says that Argo Rollouts' Rollouts are among its objects, and OutOfSync
	// names the objects that are not as in Git, "" where all are.
	Rollouts  bool
	OutOfSync string
	// Skipped says that Argo CD does not sync the commit that it compared with, since it
	// takes that for the one that it failed to sync.
	Skipped bool
	// Healed names the objects that the last sync put back: they were as in Git, and
	// somebody changed them on the cluster. HealedAt is when it began; both are empty
	// of every other sync.
	Healed   string
	HealedAt time.Time
	// ReconciledAt is when Argo CD last compared; zero for never.
	ReconciledAt time.Time
	// Deleting is true while its objects are being removed.
	Deleting bool
}

// SyncFailed says that the last sync ended without success, retries included.
func (a Application) SyncFailed() bool {
	phase := synccommon.OperationPhase(a.OperationPhase)
	return phase == synccommon.OperationFailed || phase == synccommon.OperationError
}

// application is the part of an Application that is read. Argo CD's own type is
// not decoded whole: a field that another of its versions writes differently
// must not hide the ones in use.
type application struct {
	Metadata struct {
		Name              string     `json:"name"`
		Namespace         string     `json:"namespace"`
		ResourceVersion   string     `json:"resourceVersion"`
		DeletionTimestamp *time.Time `json:"deletionTimestamp"`
	} `json:"metadata"`
	Spec struct {
		Source  source   `json:"source"`
		Sources []source `json:"sources"`
	} `json:"spec"`
	Status struct {
		SourceType  string   `json:"sourceType"`
		SourceTypes []string `json:"sourceTypes"`
		Sync        struct {
			Status    v1alpha1.SyncStatusCode `json:"status"`
			Revision  string                  `json:"revision"`
			Revisions []string                `json:"revisions"`
		} `json:"sync"`
		Health         healthStatus `json:"health"`
		OperationState *struct {
			Phase      synccommon.OperationPhase `json:"phase"`
			Message    string                    `json:"message"`
			StartedAt  time.Time                 `json:"startedAt"`
			SyncResult *struct {
				Revision  string   `json:"revision"`
				Revisions []string `json:"revisions"`
			} `json:"syncResult"`
			Operation struct {
				Sync *struct {
					SelfHealAttemptsCount int64 `json:"autoHealAttemptsCount"`
					Resources             []struct {
						Kind string `json:"kind"`
						Name string `json:"name"`
					} `json:"resources"`
				} `json:"sync"`
			} `json:"operation"`
		} `json:"operationState"`
		Conditions []condition `json:"conditions"`
		Resources  []struct {
			Group  string                  `json:"group"`
			Kind   string                  `json:"kind"`
			Name   string                  `json:"name"`
			Status v1alpha1.SyncStatusCode `json:"status"`
			Health *healthStatus           `json:"health"`
		} `json:"resources"`
		History []struct {
			Revision  string   `json:"revision"`
			Revisions []string `json:"revisions"`
		} `json:"history"`
		ReconciledAt *time.Time `json:"reconciledAt"`
	} `json:"status"`
}

type condition struct {
	Type    v1alpha1.ApplicationConditionType `json:"type"`
	Message string                            `json:"message"`
}

// isError tells conditions that stop Argo CD from its warnings, as the names do.
func (c condition) isError() bool { return strings.HasSuffix(string(c.Type), "Error") }

type healthStatus struct {
	Status  health.HealthStatusCode `json:"status"`
	Message string                  `json:"message"`
}

func (a *application) summary() Application {
	out := Application{
		Name: a.Metadata.Name, Namespace: a.Metadata.Namespace,
		Sync: string(a.Status.Sync.Status), Revision: a.Status.Sync.Revision,
		Health:   string(a.Status.Health.Status),
		Deleting: a.Metadata.DeletionTimestamp != nil,
	}
	if at := a.Status.ReconciledAt; at != nil {
		out.ReconciledAt = at.UTC()
	}
	if op := a.Status.OperationState; op != nil {
		out.OperationPhase, out.OperationMessage = string(op.Phase), op.Message
		if op.SyncResult != nil {
			out.OperationRevision = op.SyncResult.Revision
		}
		out.Healed, out.HealedAt = a.healed()
	}
	if history := a.Status.History; len(history) > 0 {
		out.SyncedRevision = history[len(history)-1].Revision
	}
	if a.Status.Sync.Status == v1alpha1.SyncStatusCodeSynced {
		out.SyncedRevision = out.Revision
	}
	out.Message, out.Error = a.message(), a.failure()
	out.Skipped = slices.ContainsFunc(a.Status.Conditions, func(c condition) bool { return c.Type == v1alpha1.ApplicationConditionSyncError })
	var differ []string
	for _, r := range a.Status.Resources {
		out.Rollouts = out.Rollouts || r.Group == rolloutGroup && r.Kind == "Rollout"
		if r.Status == v1alpha1.SyncStatusCodeOutOfSync {
			differ = append(differ, r.Kind+" "+r.Name)
		}
	}
	out.OutOfSync = some(differ)
	return out
}

// healed names what the last sync put back. A sync of Argo CD's own accord counts its
// tries, and names its objects, only where it had synced that commit before.
func (a *application) healed() (objects string, at time.Time) {
	op := a.Status.OperationState
	if op.Operation.Sync == nil || op.Operation.Sync.SelfHealAttemptsCount == 0 {
		return "", time.Time{}
	}
	var names []string
	for _, r := range op.Operation.Sync.Resources {
		names = append(names, r.Kind+" "+r.Name)
	}
	if len(names) == 0 {
		return "", time.Time{}
	}
	return some(names), op.StartedAt.UTC()
}

// Refused says that Argo CD could not compare, or that the cluster did not take what is in
// Git: nothing that runs explains that. A sync may also fail for what runs, such as a Job.
func (a Application) Refused() bool {
	return a.Error != "" && !(a.SyncFailed() && strings.Contains(a.Error, "completed unsuccessfully"))
}

// some names as many as a message does.
func some(names []string) string {
	slices.Sort(names)
	text := strings.Join(names[:min(len(names), maxTroubles)], ", ")
	if more := len(names) - maxTroubles; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}

// failure is what Argo CD cannot do: read the branch, or apply what is in it.
func (a *application) failure() string {
	for _, c := range a.Status.Conditions {
		if c.isError() {
			return oneLine(c.Message)
		}
	}
	op := a.Status.OperationState
	if op != nil && (op.Phase == synccommon.OperationFailed || op.Phase == synccommon.OperationError) {
		return oneLine(cmp.Or(op.Message, "the last sync failed"))
	}
	return ""
}

// message gives the nearest cause there is: that Argo CD cannot even compare, then
// objects that are degraded, a sync that failed, objects that are on their way,
// then the sum of it.
func (a *application) message() string {
	failure := a.failure()
	if slices.ContainsFunc(a.Status.Conditions, condition.isError) {
		return failure
	}
	return cmp.Or(a.objects(health.HealthStatusDegraded), failure, a.objects(health.HealthStatusProgressing), oneLine(a.Status.Health.Message))
}

// objects names some of the objects that are in a state, with their own words.
func (a *application) objects(state health.HealthStatusCode) string {
	var names []string
	for _, r := range a.Status.Resources {
		if r.Health != nil && r.Health.Status == state {
			names = append(names, strings.TrimSuffix(fmt.Sprintf("%s %s: %s", r.Kind, r.Name, oneLine(r.Health.Message)), ": "))
		}
	}
	slices.Sort(names)
	return strings.Join(names[:min(len(names), maxTroubles)], "; ")
}

// oneLine makes a message of many lines one.
func oneLine(message string) string { return strings.Join(strings.Fields(message), " ") }
