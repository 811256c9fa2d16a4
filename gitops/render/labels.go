package render

import (
	"strconv"
	"time"

	"github.com/idp-bot/idp/gitops"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"
)

// The roles of pods, the values of gitops.LabelRole.
const (
	roleApp     = "app"
	roleCron    = "cron"
	roleMigrate = "migrate"
)

// waveAnnotation orders a sync: Argo CD waits for one wave to be healthy before
// it applies the next.
const waveAnnotation = "argocd.argoproj.io/sync-wave"

// meta is the metadata of an object of the environment at large.
func (e *environment) meta(name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Name: name, Namespace: e.namespace, Labels: e.labels()}
}

func (e *environment) labels() map[string]string {
	return map[string]string{gitops.LabelManagedBy: gitops.ManagedBy, gitops.LabelEnvironment: e.Ref.Shared().Name()}
}

// serviceMeta is the metadata of a service's object. Where a service migrates,
// everything but the migrations waits for them in a later wave. There are no
// waves otherwise: Argo CD applies Namespace, quotas, policies and accounts
// before workloads by kind, and pauses two seconds between waves.
func (e *environment) serviceMeta(name, service string) metav1.ObjectMeta {
	m := e.meta(name)
	m.Labels[gitops.LabelName] = service
	if e.migrates {
		m.Annotations = map[string]string{waveAnnotation: "1"}
	}
	return m
}

// selector selects the pods of one role of a service. Selectors are immutable, so
// nothing that a push can change is in them.
func selector(service, role string) map[string]string {
	return map[string]string{gitops.LabelName: service, gitops.LabelRole: role}
}

func (e *environment) podLabels(service, role string) map[string]string {
	labels := e.labels()
	for key, value := range selector(service, role) {
		labels[key] = value
	}
	return labels
}

// facts are what the Namespace says of the environment. None that changes from
// push to push stands on anything else, so that moving an expiry changes no
// workload.
func (e *environment) facts() map[string]string {
	facts := map[string]string{
		gitops.KeyRepositoryID: strconv.FormatInt(e.Ref.RepositoryID, 10),
		gitops.KeyRepository:   e.FullName,
		gitops.KeyOwner:        e.Author,
		gitops.KeyTeam:         e.team,
		gitops.KeyClass:        e.Class.Name,
		gitops.KeySHA:          e.SHA,
		gitops.KeyHeadRef:      e.HeadRef,
	}
	if e.shared() {
		// Its services have commits of their own.
		for _, key := range []string{gitops.KeySHA, gitops.KeyHeadRef, gitops.KeyOwner} {
			delete(facts, key)
		}
	}
	if e.Charts != nil {
		facts[gitops.KeyCharts] = e.Charts.String()
	}
	if e.PR > 0 {
		facts[gitops.KeyPullRequest] = strconv.Itoa(e.PR)
	}
	if e.ExpiresAt.IsZero() {
		facts[gitops.KeyPinned] = "true"
	} else {
		facts[gitops.KeyExpiresAt] = e.ExpiresAt.Format(time.RFC3339)
	}
	for key, value := range facts {
		if value == "" {
			delete(facts, key)
		}
	}
	return facts
}

// validLabels are the facts that Kubernetes takes as label values.
func validLabels(facts map[string]string) map[string]string {
	labels := map[string]string{}
	for key, value := range facts {
		if len(validation.IsValidLabelValue(value)) == 0 {
			labels[key] = value
		}
	}
	return labels
}
