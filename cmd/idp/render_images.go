package main

import (
	"regexp"
	"slices"
	"strings"

	"github.com/idp-bot/idp/gitops/fault"
	"github.com/idp-bot/idp/gitops/platform"
	"github.com/idp-bot/idp/gitops/spec"
	"github.com/idp-bot/idp/previews"
)

// digest is what names an image's content by itself.
var digest = regexp.MustCompile(`^sha256:[0-9a-f]{64}$`)

// imagesOf returns an image for each service: the one that --image gives, else
// the one that the spec or the server's template names.
func (f renderFlags) imagesOf(row previews.Environment, s *spec.Spec, class platform.Class) ([]previews.Image, error) {
	given, err := f.givenImages(s)
	if err != nil {
		return nil, err
	}
	template := imageReference(oneClass(class))
	out := make([]previews.Image, 0, len(s.Services))
	for _, service := range s.Services {
		reference, pinned := given[service.Name], ""
		if at := strings.LastIndexByte(reference, '@'); at >= 0 {
			reference, pinned = reference[:at], reference[at+1:]
		} else if digest.MatchString(reference) {
			reference, pinned = "", reference
		}
		if pinned != "" && !digest.MatchString(pinned) {
			return nil, fault.Newf(fault.Usage, "--image: %q is not a digest", pinned).WithHint("write it as sha256: and 64 hexadecimal digits")
		}
		if reference == "" {
			if reference, err = f.reference(template, row, service); err != nil {
				return nil, err
			}
		}
		out = append(out, previews.Image{Service: service.Name, Reference: reference, Digest: pinned})
	}
	return out, nil
}

// reference names a service's image by its template. Only the bot knows a pull request's
// merge.
func (f renderFlags) reference(template func(previews.Environment, spec.Service, previews.Build) (string, error), row previews.Environment, service spec.Service) (string, error) {
	build := previews.Build{SHA: row.SHA, Merge: f.mergeSHA}
	if row.Declared() || f.env != "" {
		build.Merge = row.SHA
	}
	reference, err := template(row, service, build)
	if err == nil && build.Merge == "" && strings.Contains(reference, "merge_sha}") {
		return "", fault.Newf(fault.Usage, "the image of %s is %s: --merge-sha or --image has to name it", service.Name, reference).
			WithHint(`"gh pr view N --json potentialMergeCommit" prints the commit that --merge-sha takes`)
	}
	return reference, err
}

// givenImages returns what --image says, by service.
func (f renderFlags) givenImages(s *spec.Spec) (map[string]string, error) {
	given := map[string]string{}
	for _, flag := range f.images {
		service, image, named := strings.Cut(flag, "=")
		if !named {
			service, image = s.Services[0].Name, flag
		}
		known := slices.ContainsFunc(s.Services, func(known spec.Service) bool { return known.Name == service })
		switch {
		case !named && len(s.Services) > 1:
			return nil, fault.Newf(fault.Usage, "--image %s names no service, and there are %d", flag, len(s.Services)).WithHint("write it as %s=%s", service, flag)
		case !known:
			return nil, fault.Newf(fault.Usage, "--image %s: the spec has no service %q", flag, service)
		case image == "" || given[service] != "":
			return nil, fault.Newf(fault.Usage, "--image has to give one image for %s", service)
		}
		given[service] = image
	}
	return given, nil
}
