package argocdtest

import (
	"context"
	"encoding/json"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/argoproj/argo-cd/v2/pkg/apis/application/v1alpha1"
	"github.com/argoproj/gitops-engine/pkg/health"
	synccommon "github.com/argoproj/gitops-engine/pkg/sync/common"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/idp-bot/idp/gitops"
)

// appSetsDir is what the root Application syncs.
const appSetsDir = gitops.ApplicationSetsDir

// application is one Application, and the files that it last synced.
type application struct {
	v1alpha1.Application
	synced string
	// listed are the folders of the Applications that the root makes, by name.
	listed map[string]string
	// live is what the cluster has of it.
	live cluster
	// theirs says that somebody made it who is not idp.
	theirs bool
	// finalizers keep objects from being deleted, by "Kind name".
	finalizers map[string]string
}

func newApplication(name, dir string) *application {
	a := &application{}
	a.Name, a.Namespace = name, "argocd"
	a.Spec.Source = &v1alpha1.ApplicationSource{Path: dir}
	a.Status.Sync.Status = v1alpha1.SyncStatusCodeOutOfSync
	a.Status.Health.Status = health.HealthStatusMissing
	return a
}

// Add makes an Application that is none of idp's, of a folder of a repository.
func (s *Server) Add(name, repository, dir string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	app := newApplication(name, dir)
	app.theirs, app.Spec.Source.RepoURL = true, repository
	s.apps[name] = app
	s.publish()
}

// Sync has Argo CD sync one Application to the branch's tip, or for "all" the root
// and then everything it lists. Objects that changed begin to roll out.
func (s *Server) Sync(ctx context.Context, name string) error {
	return s.each(ctx, name, func(app *application) error { return s.sync(ctx, app, "") })
}

// Fail has a sync of one Application to the branch's tip fail, with message.
func (s *Server) Fail(ctx context.Context, name, message string) error {
	return s.each(ctx, name, func(app *application) error { return s.sync(ctx, app, message) })
}

// SetHealth says what became of the objects that an Application synced. A message
// is that of its Deployments.
func (s *Server) SetHealth(name, status, message string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	app, ok := s.apps[name]
	if !ok {
		return fmt.Errorf("there is no Application %s", name)
	}
	app.Status.Health.Status = health.HealthStatusCode(status)
	for i, r := range app.Status.Resources {
		if r.Kind == "Deployment" {
			app.Status.Resources[i].Health = &v1alpha1.HealthStatus{Status: health.HealthStatusCode(status), Message: message}
		}
	}
	s.reconciled(app)
	s.publish()
	return nil
}

// Hold puts a finalizer on an object of an Application, which keeps it from being
// deleted; "" takes it away again.
func (s *Server) Hold(name, object, finalizer string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	app, ok := s.apps[name]
	if !ok {
		return fmt.Errorf("there is no Application %s", name)
	}
	app.finalizers = map[string]string{}
	if finalizer != "" {
		app.finalizers[object] = finalizer
	}
	return nil
}

// each calls f with one Application, or with the root and then with those that
// are there after it.
func (s *Server) each(ctx context.Context, name string, f func(*application) error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	defer s.publish()
	if name != "all" {
		app, ok := s.apps[name]
		if !ok {
			return fmt.Errorf("there is no Application %s", name)
		}
		return f(app)
	}
	if err := f(s.apps[s.options.Root]); err != nil {
		return err
	}
	for _, name := range s.names() {
		if app := s.apps[name]; name != s.options.Root && app.DeletionTimestamp == nil {
			if err := f(app); err != nil {
				return err
			}
		}
	}
	return nil
}

// Applications are the names of those that there are, sorted, the root among them.
func (s *Server) Applications() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.names()
}

// names are those of the Applications, sorted.
func (s *Server) names() []string {
	names := make([]string, 0, len(s.apps))
	for name := range s.apps {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// compare does what a refresh does: it holds what was synced against the tip.
func (s *Server) compare(ctx context.Context, app *application) error {
	tip, files, err := s.files(ctx, app)
	if err != nil {
		return err
	}
	app.Status.Sync.Revision, app.Status.Sync.Status = tip, v1alpha1.SyncStatusCodeOutOfSync
	if app.synced == files && len(app.Status.History) > 0 {
		app.Status.Sync.Status = v1alpha1.SyncStatusCodeSynced
	}
	s.reconciled(app)
	return nil
}

// sync brings an Application to the tip, or fails to with a message.
func (s *Server) sync(ctx context.Context, app *application, failure string) error {
	tip, files, err := s.files(ctx, app)
	if err != nil {
		return err
	}
	now := metav1.NewTime(s.options.Now())
	operation := &v1alpha1.OperationState{
		Phase: synccommon.OperationSucceeded, Message: "successfully synced (all tasks run)", StartedAt: now, FinishedAt: &now,
		SyncResult: &v1alpha1.SyncOperationResult{Revision: tip},
	}
	app.Status.OperationState = operation
	if failure != "" {
		operation.Phase, operation.Message = synccommon.OperationFailed, failure
		return s.compare(ctx, app)
	}
	if app.synced != files || len(app.Status.History) == 0 {
		app.synced = files
		app.Status.Health.Status = health.HealthStatusProgressing
		if err := s.apply(ctx, app, tip, files); err != nil {
			return err
		}
	}
	if app.Name == s.options.Root {
		s.keep(app.listed, now)
	}
	app.Status.History = append(app.Status.History, v1alpha1.RevisionHistory{Revision: tip, DeployedAt: now})
	return s.compare(ctx, app)
}

// apply makes of the files what they say: Applications of ApplicationSets, objects
// of anything else.
func (s *Server) apply(ctx context.Context, app *application, tip, files string) error {
	app.Status.Resources, app.listed, app.live = nil, map[string]string{}, cluster{}
	for line := range strings.Lines(files) {
		content, err := s.options.Repository.Content(ctx, tip, strings.SplitN(strings.TrimSpace(line), " ", 3)[2])
		if err != nil {
			return err
		}
		for document := range strings.SplitSeq(content, "\n---\n") {
			if err := app.have(document); err != nil {
				return fmt.Errorf("read %s: %w", line, err)
			}
		}
	}
	return nil
}

// have gives an Application one object more.
func (a *application) have(document string) error {
	var object metav1.PartialObjectMetadata
	if err := yaml.Unmarshal([]byte(document), &object); err != nil || object.Kind == "" {
		return err // a document may be a comment alone
	}
	gvk := object.GroupVersionKind()
	a.Status.Resources = append(a.Status.Resources, v1alpha1.ResourceStatus{
		Group: gvk.Group, Version: gvk.Version, Kind: object.Kind, Name: object.Name, Namespace: object.Namespace, Status: v1alpha1.SyncStatusCodeSynced,
	})
	if object.Kind == "ApplicationSet" {
		return elements(document, a.listed)
	}
	return nil
}

// keep makes the Applications those that are listed, by name with their folders,
// beside the root. One that is listed no more takes down its objects first, and is
// gone with the next sync.
func (s *Server) keep(listed map[string]string, now metav1.Time) {
	for name, app := range s.apps {
		switch _, ok := listed[name]; {
		case app.DeletionTimestamp != nil && len(app.finalizers) > 0:
		case app.DeletionTimestamp != nil:
			delete(s.apps, name)
		case !ok && name != s.options.Root && !app.theirs:
			app.DeletionTimestamp = &now
		}
	}
	for name, dir := range listed {
		if s.apps[name] == nil {
			s.apps[name] = newApplication(name, dir)
			s.apps[name].Labels = map[string]string{gitops.LabelManagedBy: gitops.ManagedBy}
		}
	}
}

// elements adds the Applications that an ApplicationSet lists.
func elements(content string, listed map[string]string) error {
	var set v1alpha1.ApplicationSet
	if err := yaml.UnmarshalStrict([]byte(content), &set); err != nil {
		return err
	}
	for _, generator := range set.Spec.Generators {
		for _, raw := range generator.List.Elements {
			var element struct{ Name, Path string }
			if err := json.Unmarshal(raw.Raw, &element); err != nil {
				return err
			}
			listed[element.Name] = element.Path
		}
	}
	return nil
}

// files are those of an Application's folder at the tip: a line each, with what is
// in it by its id.
func (s *Server) files(ctx context.Context, app *application) (tip, files string, err error) {
	if tip, err = s.options.Repository.Tip(ctx, s.options.Branch); err != nil || tip == "" {
		return tip, "", err
	}
	lines, err := s.options.Repository.List(ctx, tip)
	if err != nil {
		return tip, "", err
	}
	for _, line := range lines {
		if path.Dir(strings.SplitN(line, " ", 3)[2]) == app.Spec.Source.Path {
			files += line + "\n"
		}
	}
	return tip, files, nil
}

// reconciled notes when an Application was last looked at.
func (s *Server) reconciled(app *application) {
	app.Status.ReconciledAt = &metav1.Time{Time: s.options.Now()}
}
