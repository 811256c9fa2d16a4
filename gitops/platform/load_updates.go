package platform

import (
	"cmp"
	"maps"
	"regexp"
	"slices"

	"github.com/idp-bot/idp/gitops/inplace"
	"github.com/idp-bot/idp/gitops/spec"
	"k8s.io/apimachinery/pkg/util/validation"
)

// updates reads what deployments to an environment of a class change in files that are
// there already. taken are the fields that others change, with who does.
func (b *environmentBlock) updates(doc *spec.Document, at string, env Environment, class Class, taken map[string]string) map[int64]map[string]Update {
	var out map[int64]map[string]Update
	for i, block := range b.Update {
		field := spec.Index(spec.Join(at, "update"), i)
		if block == nil || block.ID == nil || !doc.OK(spec.Join(field, "id")) {
			continue
		}
		if _, twice := out[*block.ID]; twice {
			doc.Report(spec.Join(field, "id"), spec.KindDuplicate, "repository %d is listed twice in %s", *block.ID, env.Name)
			continue
		}
		if len(block.Services) == 0 {
			doc.Report(field, spec.KindMissing, "repository %d has no services: name each with its application and fields", *block.ID)
		}
		services := map[string]Update{}
		for _, name := range slices.Sorted(maps.Keys(block.Services)) {
			service := spec.Join(spec.Join(field, "services"), name)
			if len(validation.IsDNS1123Label(name)) > 0 {
				doc.ReportKey(service, spec.KindFormat, `service name %q is not valid: expected lower-case letters, digits and "-"`, name)
			}
			if read, ok := block.Services[name].update(doc, service, env, class, taken); ok {
				services[name] = read
			}
		}
		if out == nil {
			out = map[int64]map[string]Update{}
		}
		out[*block.ID] = services
	}
	return out
}

// update reads what a deployment of one service changes.
func (b *updatedBlock) update(doc *spec.Document, at string, env Environment, class Class, taken map[string]string) (Update, bool) {
	if b == nil {
		return Update{}, false
	}
	if field := spec.Join(at, "application"); doc.OK(field) && len(validation.IsDNS1123Subdomain(b.Application)) > 0 {
		doc.Report(field, spec.KindFormat, "application %q is no name of an Application (lower case letters, digits, - and .)", b.Application)
	}
	out, exact := Update{Application: b.Application}, false
	for i, block := range b.Fields {
		field := spec.Index(spec.Join(at, "fields"), i)
		if block == nil {
			continue
		}
		read := inplace.Field{File: block.File, Object: block.Object, Field: block.Field, Set: inplace.Set(cmp.Or(block.Set, string(inplace.Image)))}
		exact = exact || read.Set.Exact()
		checkField(doc, field, read)
		key := class.PushURL + " " + class.RepoURL + " " + class.Branch + " " + read.String()
		if other, twice := taken[key]; twice && doc.OK(spec.Join(field, "field")) {
			doc.Report(spec.Join(field, "field"), spec.KindDuplicate, "%s is changed by %s already", read, other)
		}
		taken[key] = at
		out.Fields = append(out.Fields, read)
	}
	if !exact && len(out.Fields) > 0 && (class.Provenance != nil || env.Protected || env.Approval) {
		doc.Report(spec.Join(at, "fields"), spec.KindConflict,
			"none of these holds the digest, and what runs in %s has to be just what was let in: a tag can be overwritten after that. Set one of them to image, digest or tag@digest", env.Name)
	}
	return out, true
}

// objectName is how an object of a file is named.
var objectName = regexp.MustCompile(`^[A-Za-z0-9]+/[^/]+$`)

func checkField(doc *spec.Document, at string, f inplace.Field) {
	if field := spec.Join(at, "file"); doc.OK(field) {
		if err := inplace.CheckFile(f.File); err != nil {
			doc.Report(field, spec.KindFormat, "file %q cannot be changed: %v", f.File, err)
		}
	}
	if field := spec.Join(at, "object"); doc.OK(field) && !objectName.MatchString(f.Object) {
		doc.Report(field, spec.KindFormat, "object %q is none: expected its kind and name, such as Deployment/web", f.Object)
	}
	if field := spec.Join(at, "field"); doc.OK(field) {
		if _, err := inplace.ParsePath(f.Field); err != nil {
			doc.Report(field, spec.KindFormat, "field %q is no path: %v", f.Field, err)
		}
	}
}
