package main

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/idp-bot/idp/gitops"
	"github.com/idp-bot/idp/gitops/platform"
	"github.com/idp-bot/idp/gitops/policy"
	"github.com/idp-bot/idp/gitops/render"
	"github.com/idp-bot/idp/gitops/spec"
	"github.com/idp-bot/idp/previews"
)

// finding is what a policy says of a spec; its JSON names are a contract.
type finding struct {
	Environment string `json:"environment"`
	Policy      string `json:"policy"`
	Rule        string `json:"rule"`
	Message     string `json:"message"`
	// Object is the "Kind/name" that it is about, "" for the request.
	Object string `json:"object,omitempty"`
	// Line and Column are where it points at in the file, 0 where it does not.
	Line   int `json:"line,omitempty"`
	Column int `json:"column,omitempty"`
}

func (f finding) text(path string) string {
	where := path
	if f.Line > 0 {
		where = fmt.Sprintf("%s:%d:%d", path, f.Line, f.Column)
	}
	about := f.Environment
	if f.Object != "" {
		about += ", " + f.Object
	}
	return fmt.Sprintf("%s: %s: %s (%s)", where, f.Policy, f.Message, about)
}

func findings(environment string, of []policy.Finding) []finding {
	var out []finding
	for _, f := range of {
		one := finding{Environment: environment, Policy: f.Policy, Rule: f.Rule, Message: f.Message, Object: f.Object}
		if f.At != nil {
			one.Line, one.Column = f.At.Line, f.At.Column
		}
		out = append(out, one)
	}
	return out
}

// exampleClass is the class of a server that nothing was configured of. Its previews have
// routes, so that policies judge those, too.
func exampleClass() platform.Class {
	class := platform.Default()
	class.RepoURL, class.Gate = exampleRepoURL, &platform.Gate{Public: true}
	return class
}

// declaredIn is what a checkout declares; with none, nothing.
func declaredIn(checkout string) (platform.Platform, error) {
	if checkout == "" {
		return platform.Platform{}, nil
	}
	return loadPlatform(checkout, exampleClass())
}

// guarded puts a valid spec to the policies of a folder: what a preview of it asks for and
// is rendered to, and each environment that it names or that is declared. Who asks, the
// repository and the commit are made up.
func guarded(ctx context.Context, dir string, declared platform.Platform, raw []byte, parsed *spec.Spec) (denied, warned []finding, err error) {
	files, err := readPolicies(dir)
	if err != nil {
		return nil, nil, err
	}
	set := policy.Compile(ctx, files)
	if err := set.Err(); err != nil {
		return nil, nil, brokenPolicies(err)
	}
	names := append([]string{""}, declared.Names()...) // "" is the preview
	for _, service := range parsed.Services {
		names = slices.AppendSeq(names, maps.Keys(service.Environments))
	}
	slices.Sort(names)
	for _, name := range slices.Compact(names) {
		j := judging{set: set, name: name, raw: raw, spec: parsed, now: time.Now()}
		var ok bool
		if j.class, ok = declared.ClassOf(name); !ok {
			j.class = declared.OfPreviews(exampleClass())
		}
		if j.declared, ok = declared.Environment(name); !ok {
			j.declared = platform.Environment{Name: name, Class: j.class.Name}
		}
		verdicts, err := j.verdicts(ctx)
		if err != nil {
			return nil, nil, err
		}
		for _, v := range verdicts {
			if v.Broken != nil {
				return nil, nil, brokenPolicies(v.Broken)
			}
			about := cmp.Or(name, "preview")
			denied, warned = append(denied, findings(about, v.Denied)...), append(warned, findings(about, v.Warned)...)
		}
	}
	return denied, warned, nil
}

// judging is one environment, "" for a preview, that policies are asked about.
type judging struct {
	set   *policy.Set
	class platform.Class
	name  string
	// declared is what there is to it where it is no preview.
	declared platform.Environment
	raw      []byte
	spec     *spec.Spec
	now      time.Time
}

// madeUp stands for a commit.
var madeUp = strings.Repeat("0", 39) + "1"

func (j judging) verdicts(ctx context.Context) ([]policy.Verdict, error) {
	const owner, repo, number = "example", "example", 1
	row := previews.Environment{
		Ref:   gitops.EnvironmentRef{RepositoryID: 1, Owner: owner, Repo: repo, ID: cmp.Or(j.name, gitops.PreviewID(number))},
		Owner: owner, Repo: repo,
	}
	if j.name == "" {
		row.PR = number
	}
	ttl := j.class.TTL
	if j.spec.Preview.TTL > 0 {
		ttl = min(j.spec.Preview.TTL, j.class.MaxTTL)
	}
	trust := platform.TrustMember
	if j.name != "" {
		trust = platform.TrustDefaultBranch
	}
	row.Want(previews.Revision{SHA: madeUp, Spec: j.raw, TTL: ttl, Trust: trust}, j.now)
	var err error
	if row.Images, err = (renderFlags{mergeSHA: row.SHA}).imagesOf(row, j.spec, j.class); err != nil {
		return nil, err
	}
	about := policy.Environment{
		Name: row.Ref.ID, Class: j.class.Name, Preview: j.name == "", Protected: j.declared.Protected, TTL: ttl, CPU: j.class.Quota.DefaultCPU, Memory: j.class.Quota.DefaultMem,
	}
	request := policy.Request{
		Action: "preview", PullRequest: policy.PullRequest{Number: number}, Environment: about, Repository: policy.Repository{ID: 1, Owner: owner, Name: repo},
		Revision: policy.Revision{SHA: madeUp}, Spec: j.spec, SpecRaw: j.raw, Now: j.now,
	}
	for _, service := range j.spec.Services {
		request.Services = append(request.Services, service.Name)
		request.Team = cmp.Or(request.Team, service.Team)
	}
	if j.name != "" {
		request.Action, row.ExpiresAt = "deploy", time.Time{}
	}
	out := []policy.Verdict{j.set.Request(request)}
	in, err := renderInput(row, oneClass(j.class))
	if err != nil {
		return nil, err
	}
	refs := []gitops.EnvironmentRef{row.Ref}
	if j.name != "" {
		in.Environment, in.Namespace = j.name, j.declared.NamespaceOf(row.Ref)
		for _, service := range j.spec.Services {
			refs = append(refs, row.Ref.Of(service.Name))
		}
	}
	for _, ref := range refs {
		in.Ref = ref
		files, err := render.Environment(in)
		if err != nil {
			return nil, err
		}
		out = append(out, j.set.Objects(ctx, policy.Rendered{
			Environment: about, Repository: request.Repository, Revision: request.Revision,
			Files: files, Manifests: ref.ManifestsDir(), Spec: j.spec, SpecRaw: j.raw, Now: j.now,
		}))
	}
	return out, nil
}
