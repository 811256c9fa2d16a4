package render

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/idp-bot/idp/gitops/fault"
	"github.com/idp-bot/idp/gitops/platform"
	"github.com/idp-bot/idp/gitops/spec"
)

// Hosts returns the host of every web service by the service's name: a valid DNS
// name of at most 253 characters where the class is valid. It needs no more of
// the Input than Ref, Spec and Class.
func Hosts(in Input) map[string]string {
	hosts := map[string]string{}
	for _, svc := range in.Spec.Services {
		if svc.Kind == spec.Web {
			hosts[svc.Name] = in.Ref.Host(in.Class.HostTemplate, svc.Name, in.Class.Zone)
		}
	}
	return hosts
}

// uniqueHosts refuses two services at one host, which a class's template without
// {service} would give.
func uniqueHosts(hosts map[string]string) error {
	owners := map[string]string{}
	for _, svc := range slices.Sorted(maps.Keys(hosts)) {
		host := hosts[svc]
		if other, taken := owners[host]; taken {
			return fault.Newf(fault.Conflict, "services %s and %s would share the host %s", other, svc, host).
				WithHint("ask the platform team for a host template with {service}")
		}
		owners[host] = svc
	}
	return nil
}

// vars are the values of the placeholders for one service.
func vars(in Input, host, service string) spec.Vars {
	owner, repo, _ := strings.Cut(strings.ToLower(in.FullName), "/")
	v := spec.Vars{SHA: in.SHA, Env: in.Ref.ID, Host: host, Owner: owner, Repo: repo, Service: service}
	v.ShortSHA = in.SHA[:min(7, len(in.SHA))]
	v.MergeSHA, v.ShortMergeSHA = "{merge_sha}", "{short_merge_sha}"
	if merge := in.merge(); merge != "" {
		v.MergeSHA, v.ShortMergeSHA = merge, merge[:min(7, len(merge))]
	}
	if in.PR > 0 {
		v.PR = strconv.Itoa(in.PR)
	}
	return v
}

func (e *environment) vars(service string) spec.Vars {
	return vars(e.Input, e.hosts[service], service)
}

// ImageTemplate returns the template of a service's image: its own, or the class's where it
// names none.
func ImageTemplate(class platform.Class, svc spec.Service) string {
	return cmp.Or(svc.Image, class.ImageTemplate)
}

// ImageReference returns the image of a service: its template, with the placeholders filled
// in. It reads SHA, MergeSHA, FullName, PR, Ref, Spec and Class of in. A result that is no
// image reference is a fault, and so is a template of the pull request's merge where that is
// not known; whether the image exists is not asked.
func ImageReference(in Input, svc spec.Service) (string, error) {
	reference := ImageName(in, svc)
	if template := ImageTemplate(in.Class, svc); in.merge() == "" && spec.OfMerge(template) {
		return "", fault.Newf(fault.Invalid, "service %s: the commit by which GitHub would merge the pull request is not known, and its image %s is named by it", svc.Name, template)
	}
	return reference, checkImage(svc.Name, reference)
}

// ImageName is ImageReference for people: it keeps the placeholder of a merge that is not
// known.
func ImageName(in Input, svc spec.Service) string {
	host := ""
	if svc.Kind == spec.Web {
		host = in.Ref.Host(in.Class.HostTemplate, svc.Name, in.Class.Zone)
	}
	return vars(in, host, svc.Name).Expand(ImageTemplate(in.Class, svc))
}

// merge is the commit by which GitHub would merge the pull request, "" where it is not known;
// of a declared environment the commit itself, which CI runs at once it is pushed.
func (in Input) merge() string {
	if in.Environment != "" {
		return in.SHA
	}
	return in.MergeSHA
}

func checkImage(service, reference string) error {
	if _, err := name.ParseReference(reference); err != nil {
		return fault.Wrap(err, fault.Invalid, fmt.Sprintf("service %s: %q is no image reference", service, reference),
			"write service.image like "+platform.Default().ImageTemplate)
	}
	return nil
}

// image returns the reference that was resolved, else the template's.
func (e *environment) image(svc spec.Service) (string, error) {
	if reference := e.Images[svc.Name]; reference != "" {
		return reference, checkImage(svc.Name, reference)
	}
	return ImageReference(e.Input, svc)
}

// pinned says whether a reference names a digest, so that it can never come to
// mean something else.
func pinned(reference string) bool { return strings.Contains(reference, "@sha256:") }
