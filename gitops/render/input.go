package render

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/idp-bot/idp/gitops"
	"github.com/idp-bot/idp/gitops/fault"
	"github.com/idp-bot/idp/gitops/platform"
	"github.com/idp-bot/idp/gitops/spec"
	"k8s.io/apimachinery/pkg/util/validation"
)

// Input is everything that an environment is made of. Environment does not
// change it. For the shared part of a declared environment SHA, Spec and what comes
// with them may be left out.
type Input struct {
	Ref gitops.EnvironmentRef
	// Namespace is where the objects live, "" for Ref.Namespace(): what
	// platform.Environment.NamespaceOf gave when the environment was first seen, since a
	// pattern may change and a namespace cannot.
	Namespace string
	// FullName is the repository's "owner/name" of today, as GitHub spells it.
	FullName string
	// PR is the pull request's number, 0 where there is none.
	PR int
	// SHA is the full 40-digit commit that is deployed, HeadRef the branch it came
	// from, Author the login of whoever opened the pull request.
	SHA, HeadRef, Author string
	// MergeSHA is the commit by which GitHub would merge the pull request, "" where it is not
	// known; of a declared environment it is SHA by itself. Only ImageReference asks for it.
	MergeSHA string
	// AskedBy is the login of whoever asked for a preview with a command, "" where nobody did.
	AskedBy    string
	Generation int64
	// Attempt counts how often the revision was asked to roll out again; 0 for the first.
	Attempt int
	Spec    *spec.Spec
	// SpecRaw is the spec's file at SHA, kept in the record; may be empty.
	SpecRaw []byte
	Class   platform.Class
	// Trust is how far the code of SHA is trusted: which of the class's objects there are for
	// it. The shared part of a declared environment takes no notice.
	Trust platform.Trust
	// Images are full references by service, by digest where that is known. A
	// service that is not among them gets the reference of its template.
	Images map[string]string
	// ImagesOf are, by service, the commits that images are of which are not of SHA, as
	// previews.Image.Of gives them: for the record.
	ImagesOf map[string]string
	// ExpiresAt is when the environment goes; zero for never. It is written in
	// UTC to the second.
	ExpiresAt time.Time
	// Environment is the declared environment's name, "" for a preview. It selects
	// the overrides of the spec, and canary and blue-green rollouts.
	Environment string
	// Adopted are objects that take the place of what idp renders of the services that they
	// are of: a chart's, let through by package adopt.
	Adopted []Adopted
	// Charts are the platform's charts that Adopted comes of, nil for none.
	Charts *platform.UsedCharts
	// Source is where Adopted comes from, for the record of a declared environment; nil there
	// for what idp renders.
	Source *RecordedSource
	// Update, when not nil, is what is written to files of others: then there is the record
	// and no object.
	Update *RecordedUpdate
	// RolloutTimeout is how long a rollout of a declared environment may make no
	// progress, 0 for progressDeadline.
	RolloutTimeout time.Duration
}

// shared says whether the input is of what the services of a declared environment
// share.
func (in Input) shared() bool { return in.Environment != "" && in.Ref.Service == "" }

// environment is an Input that was checked, with what several kinds need.
type environment struct {
	Input
	namespace string
	// all are the services that are part of it: all of a preview, one of a declared
	// environment, none of its shared part. services are those that idp renders.
	all, services []service
	hosts         map[string]string
	team          string
	// migrates is true where workloads have to wait for a migration.
	migrates bool
	// surge is true where the quota has room for new pods beside old ones.
	surge bool
}

// service is a service of the spec with the environment's override applied.
type service struct {
	spec.Service
	image  string
	limits limits
	env    []spec.EnvVar // placeholders expanded
}

var (
	shaPattern    = regexp.MustCompile(`^[0-9a-f]{40}$`)
	digestPattern = regexp.MustCompile(`^sha256:[0-9a-f]{64}$`)
	pathPart      = regexp.MustCompile(`^[a-z0-9_.-]+$`)
	nameLabel     = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`)
	fullName      = regexp.MustCompile(`^[A-Za-z0-9_.-]+/[A-Za-z0-9_.-]+$`)
)

// check refuses what no caller should pass, before any of it becomes a path.
func (in Input) check() error {
	switch {
	case (in.Spec == nil || len(in.Spec.Services) == 0) && !in.shared():
		return errors.New("no services")
	case in.Ref.RepositoryID <= 0:
		return fmt.Errorf("repository id %d is not positive", in.Ref.RepositoryID)
	case !shaPattern.MatchString(in.SHA) && (in.SHA != "" || !in.shared()):
		return fmt.Errorf("sha %q is not 40 hexadecimal digits", in.SHA)
	case !fullName.MatchString(in.FullName):
		return fmt.Errorf("repository %q is not owner/name", in.FullName)
	case in.PR < 0 || in.Generation < 0:
		return fmt.Errorf("pull request %d or generation %d is negative", in.PR, in.Generation)
	case !utf8.Valid(in.SpecRaw) || !utf8.ValidString(in.HeadRef+in.Author+in.AskedBy):
		return errors.New("spec, branch or author is not UTF-8")
	}
	if err := checkRef(in.Ref); err != nil {
		return err
	}
	return checkPart(in.Ref, in.Environment, in.Home(), in.PR)
}

// Copies is how many copies of a service run in the environment.
func (in Input) Copies(svc spec.Service) int32 { return override(svc, in.Environment).Replicas }

// Home is the namespace that the environment's objects live in.
func (in Input) Home() string {
	if in.Namespace == "" {
		return in.Ref.Namespace()
	}
	return in.Namespace
}

// checkPart holds what a ref, the declared environment's name, the namespace and the
// pull request say to one another.
func checkPart(ref gitops.EnvironmentRef, environment, namespace string, pr int) error {
	switch {
	case environment == "" && ref.Service != "":
		return fmt.Errorf("service %s is part of no declared environment", ref.Service)
	case environment != "" && spec.CheckEnvironment(environment) != "":
		return fmt.Errorf("environment name %q %s", environment, spec.CheckEnvironment(environment))
	case environment != "" && (ref.ID != environment || pr != 0):
		return fmt.Errorf("%s of pull request %d is not the environment %s", ref, pr, environment)
	case environment == "" && namespace != ref.Namespace():
		return fmt.Errorf("namespace %q is not %s", namespace, ref.Namespace())
	case len(validation.IsDNS1123Label(namespace)) > 0 || !strings.HasPrefix(namespace, "idp-") || !strings.Contains(namespace, ref.Shared().Hash()):
		return fmt.Errorf("namespace %q does not begin with idp-, or has no %s in it", namespace, ref.Shared().Hash())
	}
	return nil
}

// checkRef refuses what is not one folder's name each.
func checkRef(ref gitops.EnvironmentRef) error {
	for _, part := range []string{ref.Owner, ref.Repo} {
		if !pathPart.MatchString(part) || slices.Contains([]string{".", "..", ".git"}, part) {
			return fmt.Errorf("%q cannot be part of a path", part)
		}
	}
	// Neither has a dot, which stands between the two in a folder's name.
	if !nameLabel.MatchString(ref.ID) || ref.Service != "" && !nameLabel.MatchString(ref.Service) {
		return fmt.Errorf("%q cannot be the name of an environment", ref.Key())
	}
	return nil
}

func newEnvironment(in Input) (*environment, error) {
	if err := in.check(); err != nil {
		return nil, fmt.Errorf("render %s: %w", in.Ref, err)
	}
	in.ExpiresAt = in.ExpiresAt.UTC().Truncate(time.Second)
	env := &environment{Input: in, namespace: in.Home(), hosts: map[string]string{}}
	if in.shared() {
		return env, nil
	}
	env.hosts, env.team = Hosts(in), team(in.Spec)
	var problems problems
	problems.add(uniqueHosts(env.hosts))
	problems.add(env.uniqueObjects())
	for _, declared := range in.Spec.Services {
		if in.Ref.Service != "" && in.Ref.Service != declared.Name && !in.sourced("") {
			delete(env.hosts, declared.Name)
			continue
		}
		svc, err := env.service(declared)
		problems.add(err)
		env.all = append(env.all, svc)
		if !in.adopts(svc.Name) {
			env.services = append(env.services, svc)
			env.migrates = env.migrates || svc.Migrate != nil
		}
	}
	if len(env.all) == 0 {
		return nil, fault.Newf(fault.Invalid, "the spec has no service %q", in.Ref.Service).WithHint("it has %s", serviceNames(in.Spec.Services))
	}
	if len(problems) == 0 {
		problems.add(env.checkQuota())
	}
	return env, problems.err()
}

// has says whether a part of the environment is rendered.
func (e *environment) has(p part) bool {
	switch {
	case e.Update != nil:
		return false
	case e.Environment == "":
		return true
	case e.shared():
		return p == sharedPart
	}
	return p == servicePart
}

// service applies the overrides, names the image and expands the placeholders.
func (e *environment) service(declared spec.Service) (service, error) {
	svc := service{Service: override(declared, e.Environment)}
	if svc.Replicas > e.Class.Quota.MaxReplicas {
		return svc, fault.Newf(fault.Denied, "service %s asks for %d replicas, at most %d are allowed",
			svc.Name, svc.Replicas, e.Class.Quota.MaxReplicas).WithHint("lower replicas of %s", svc.Name)
	}
	var err error
	if svc.limits, err = limitsOf(svc.Service, e.Class.Quota); err != nil {
		return svc, err
	}
	if svc.image, err = e.image(svc.Service); err != nil {
		return svc, err
	}
	vars := e.vars(svc.Name)
	for _, v := range svc.Env {
		svc.env = append(svc.env, spec.EnvVar{Name: v.Name, Value: vars.Expand(v.Value)})
	}
	return svc, nil
}

// override returns the service as the named environment has it.
func override(svc spec.Service, environment string) spec.Service {
	o, ok := svc.Environments[environment]
	if !ok {
		return svc
	}
	if o.Replicas != nil {
		svc.Replicas = *o.Replicas
	}
	svc.Env = mergeEnv(svc.Env, o.Env)
	svc.Resources = spec.Resources{
		Requests: mergeResources(svc.Resources.Requests, o.Resources.Requests),
		Limits:   mergeResources(svc.Resources.Limits, o.Resources.Limits),
	}
	return svc
}

func mergeEnv(base, over []spec.EnvVar) []spec.EnvVar {
	values := make(map[string]string, len(base)+len(over))
	for _, v := range slices.Concat(base, over) {
		values[v.Name] = v.Value
	}
	out := make([]spec.EnvVar, 0, len(values))
	for _, name := range slices.Sorted(maps.Keys(values)) {
		out = append(out, spec.EnvVar{Name: name, Value: values[name]})
	}
	return out
}

func mergeResources(base, over spec.ResourceList) spec.ResourceList {
	if over.CPU != "" {
		base.CPU = over.CPU
	}
	if over.Memory != "" {
		base.Memory = over.Memory
	}
	return base
}

// team is the first that the spec names; it owns the environment.
func team(s *spec.Spec) string {
	for _, svc := range s.Services {
		if svc.Team != "" {
			return svc.Team
		}
	}
	return ""
}

// problems gathers what is wrong with a spec, to be told at once.
type problems []error

func (p *problems) add(err error) {
	if err != nil {
		*p = append(*p, err)
	}
}

// err is nil, the only problem, or one fault that tells all of them; an error
// that is no fault comes first, alone.
func (p problems) err() error {
	if len(p) < 2 {
		return errors.Join(p...)
	}
	var messages, hints []string
	for _, err := range p {
		var f *fault.Error
		if !errors.As(err, &f) {
			return err
		}
		messages = append(messages, f.Message)
		if f.Hint != "" {
			hints = append(hints, f.Hint)
		}
	}
	return fault.New(fault.CodeOf(p[0]), strings.Join(messages, "; "), strings.Join(hints, "; "))
}
