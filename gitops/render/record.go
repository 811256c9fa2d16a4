package render

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/idp-bot/idp/gitops"
	"github.com/idp-bot/idp/gitops/inplace"
	"github.com/idp-bot/idp/gitops/platform"
	"github.com/idp-bot/idp/gitops/spec"
	"k8s.io/apimachinery/pkg/util/validation"
	"sigs.k8s.io/yaml"
)

const (
	recordVersion = "idp.dev/v1"
	recordKind    = "Environment"
	// maxRecord is the largest record that is read, in bytes: a spec of 64 KiB with
	// every character escaped, and room for the rest.
	maxRecord = 512 << 10
)

// Record is environment.yaml: what idp itself wants to find again in the GitOps
// repository, enough to rebuild the row of a lost store. Nothing on the cluster
// reads it.
type Record struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	// RepositoryID, Owner, Repo, ID and Service are the EnvironmentRef.
	RepositoryID int64  `json:"repositoryID"`
	Owner        string `json:"owner"`
	Repo         string `json:"repo"`
	ID           string `json:"id"`
	Service      string `json:"service,omitempty"`
	// FullName is the repository's name when this was written.
	FullName string `json:"fullName"`
	// Environment is the declared environment's name, "" for a preview.
	Environment string `json:"environment,omitempty"`
	PullRequest int    `json:"pullRequest,omitempty"`
	Generation  int64  `json:"generation"`
	// Attempt counts how often a declared environment's revision was rolled out again.
	Attempt int `json:"attempt,omitempty"`
	// SHA is "" where the shared part of a declared environment was made for no
	// commit in particular.
	SHA     string `json:"sha,omitempty"`
	HeadRef string `json:"headRef,omitempty"`
	Author  string `json:"author,omitempty"`
	// AskedBy is who asked for a preview with a command, which needs no trigger to stay.
	AskedBy string `json:"askedBy,omitempty"`
	Team    string `json:"team,omitempty"`
	Class   string `json:"class"`
	// Trust is how far the code of SHA is trusted, "" where the class gives nothing by it.
	Trust string `json:"trust,omitempty"`
	// Namespace is Ref().Namespace(), or of a declared environment what the platform
	// team's pattern gave. Application is Ref().Name().
	Namespace   string `json:"namespace"`
	Application string `json:"application"`
	// Images and Hosts are by service. There are no hosts where no route leads to them.
	Images map[string]string `json:"images"`
	// ImagesOf are the commits of images that are not of SHA, by service: "@COMMIT" of what
	// would merge the pull request, "BRANCH@COMMIT" of the default branch.
	ImagesOf map[string]string `json:"imagesOf,omitempty"`
	Hosts    map[string]string `json:"hosts,omitempty"`
	// ExpiresAt is nil when the environment is pinned.
	ExpiresAt *time.Time `json:"expiresAt,omitempty"`
	// Source is where the objects of a part of a declared environment were rendered from; nil
	// for idp.
	Source *RecordedSource `json:"source,omitempty"`
	// Charts are the platform's charts that it was rendered from, nil for none.
	Charts *platform.UsedCharts `json:"charts,omitempty"`
	// Update is what was written to files of others, in place of manifests; nil for nothing.
	Update *RecordedUpdate `json:"update,omitempty"`
	// Spec is the text of .idp/deploy.yaml at SHA.
	Spec string `json:"spec,omitempty"`
}

// RecordedUpdate is what a deployment wrote to files that a team has already.
type RecordedUpdate struct {
	// Application is the team's, "" of the part that the services share.
	Application string          `json:"application,omitempty"`
	Fields      []inplace.Write `json:"fields,omitempty"`
}

// RecordedSource is where objects were rendered from: all that it takes to render them again.
type RecordedSource struct {
	// Commit is what it was read at, on Branch; "" where that has no source, so that idp
	// rendered by itself.
	Commit string `json:"commit,omitempty"`
	Branch string `json:"branch"`
	// From are the sources with the values that were the deployed commit's.
	From []spec.SourceOf `json:"from,omitempty"`
	// Taken are the keys of those values, Left what differed there and was not taken.
	Taken []string       `json:"taken,omitempty"`
	Left  []spec.Untaken `json:"left,omitempty"`
	// Pins are the digests of the images that are no service's, by their references.
	Pins map[string]string `json:"pins,omitempty"`
}

// Written are the values that were written to files of others.
func (r *Record) Written() []inplace.Write {
	if r.Update == nil {
		return nil
	}
	return r.Update.Fields
}

// Ref is the environment that the record is about.
func (r *Record) Ref() gitops.EnvironmentRef {
	return gitops.EnvironmentRef{RepositoryID: r.RepositoryID, Owner: r.Owner, Repo: r.Repo, ID: r.ID, Service: r.Service}
}

func (e *environment) record() ([]byte, error) {
	r := Record{
		APIVersion: recordVersion, Kind: recordKind,
		RepositoryID: e.Ref.RepositoryID, Owner: e.Ref.Owner, Repo: e.Ref.Repo, ID: e.Ref.ID, Service: e.Ref.Service,
		FullName: e.FullName, Environment: e.Environment, PullRequest: e.PR, Generation: e.Generation, Attempt: e.Attempt,
		SHA: e.SHA, HeadRef: e.HeadRef, Author: e.Author, AskedBy: e.AskedBy, Team: e.team, Class: e.Class.Name, Trust: string(e.Trust),
		Namespace: e.namespace, Application: e.Ref.Name(),
		Images: map[string]string{}, ImagesOf: e.ImagesOf, Hosts: e.hosts, Source: e.Source, Charts: e.Charts, Update: e.Update, Spec: string(e.SpecRaw),
	}
	if !e.routed() || e.Update != nil {
		r.Hosts = nil
	}
	for _, svc := range e.all {
		r.Images[svc.Name] = svc.image
	}
	if !e.ExpiresAt.IsZero() {
		r.ExpiresAt = &e.ExpiresAt
	}
	return Marshal(r)
}

// ParseRecord reads an environment.yaml. The bytes may come from a repository
// that others write to: unknown and repeated keys, another version and a record
// whose names do not follow from its ref are errors, so that what is returned
// can be trusted to describe the environment whose folder it was found in when
// its Ref has that folder.
func ParseRecord(content []byte) (*Record, error) {
	if len(content) > maxRecord {
		return nil, fmt.Errorf("read record: %d bytes, expected at most %d", len(content), maxRecord)
	}
	var r Record
	if err := yaml.UnmarshalStrict(content, &r); err != nil {
		return nil, fmt.Errorf("read record: %w", err)
	}
	if err := r.check(); err != nil {
		return nil, fmt.Errorf("read record of %s: %w", r.Ref(), err)
	}
	return &r, nil
}

func (r *Record) check() error {
	switch {
	case r.APIVersion != recordVersion || r.Kind != recordKind:
		return fmt.Errorf("it is a %q %q, expected %s %s", r.APIVersion, r.Kind, recordVersion, recordKind)
	case r.RepositoryID <= 0 || r.Generation < 0 || r.PullRequest < 0 || r.Attempt < 0:
		return errors.New("repositoryID, generation, pullRequest or attempt is out of range")
	case !shaPattern.MatchString(r.SHA) && (r.SHA != "" || r.Environment == "" || r.Service != ""):
		return fmt.Errorf("sha %q is not 40 hexadecimal digits", r.SHA)
	case r.Trust != "" && !slices.Contains(platform.Trusts(), platform.Trust(r.Trust)):
		return fmt.Errorf("trust %q is none", r.Trust)
	case r.Charts != nil && (!r.Charts.Valid() || r.Charts.At != "" && !shaPattern.MatchString(r.Charts.At)):
		return errors.New("charts are none that can have been used")
	case !fullName.MatchString(r.FullName):
		return fmt.Errorf("fullName %q is not owner/name", r.FullName)
	}
	if err := checkRef(r.Ref()); err != nil {
		return err
	}
	if err := checkPart(r.Ref(), r.Environment, r.Namespace, r.PullRequest); err != nil {
		return err
	}
	if name := r.Ref().Name(); r.Application != name {
		return fmt.Errorf("application %q is not %s", r.Application, name)
	}
	if err := errors.Join(r.checkUpdate(), r.checkSource()); err != nil {
		return err
	}
	for _, svc := range slices.Sorted(maps.Keys(r.Images)) {
		if r.Images[svc] == "" {
			return fmt.Errorf("image of %s is empty", svc)
		}
	}
	for _, svc := range slices.Sorted(maps.Keys(r.ImagesOf)) {
		of := r.ImagesOf[svc]
		if at := strings.LastIndexByte(of, '@'); at < 0 || !shaPattern.MatchString(of[at+1:]) || r.Images[svc] == "" {
			return fmt.Errorf("the image of %s is of %q, which names no commit", svc, of)
		}
	}
	return nil
}

// checkSource holds where objects were rendered from to what can have been.
func (r *Record) checkSource() error {
	if r.Source == nil {
		return nil
	}
	switch s := r.Source; {
	case r.Service == "":
		return errors.New("source is of no service")
	case s.Commit == "" != (len(s.From) == 0):
		return errors.New("source has a commit and nothing there, or the other way round")
	case s.Commit != "" && !shaPattern.MatchString(s.Commit):
		return fmt.Errorf("commit %q of source is not 40 hexadecimal digits", s.Commit)
	}
	for _, from := range r.Source.From {
		if err := from.Check(); err != nil {
			return fmt.Errorf("source: %w", err)
		}
	}
	for _, image := range slices.Sorted(maps.Keys(r.Source.Pins)) {
		if digest := r.Source.Pins[image]; !digestPattern.MatchString(digest) {
			return fmt.Errorf("source: the digest %q of %s is none", digest, image)
		}
	}
	return nil
}

// checkUpdate holds what was written to files of others to what can have been.
func (r *Record) checkUpdate() error {
	if r.Update == nil {
		return nil
	}
	switch {
	case r.Environment == "":
		return errors.New("update is of a preview")
	case r.Service == "" && (r.Update.Application != "" || len(r.Update.Fields) > 0):
		return errors.New("update is of no service")
	case r.Service != "" && len(validation.IsDNS1123Subdomain(r.Update.Application)) > 0:
		return fmt.Errorf("application %q of update is no name", r.Update.Application)
	}
	if len(r.Update.Fields) == 0 {
		r.Update.Fields = nil
	}
	for _, w := range r.Update.Fields {
		if _, err := inplace.ParsePath(w.Field.Field); err != nil {
			return fmt.Errorf("field %q of update: %w", w.Field.Field, err)
		}
		if err := inplace.CheckFile(w.File); err != nil {
			return fmt.Errorf("file %q of update: %w", w.File, err)
		}
	}
	return nil
}
