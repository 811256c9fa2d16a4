package report

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/idp-bot/idp/gitops/spec"
	"github.com/idp-bot/idp/previews"
)

// maxServices is how many rows the table of services has at most.
const maxServices = 60

// service is one row of the table.
type service struct {
	name string
	// host is set for what is reachable from outside; closed says that it would be, and no
	// route leads to it.
	host   string
	closed bool
	image  previews.Image
}

// services lists what the environment's revision consists of, in the spec's order.
func services(in Input) []service {
	e := &in.Environment
	images := make(map[string]previews.Image, len(e.Images))
	for _, image := range e.Images {
		images[image.Service] = image
	}
	parsed, _ := spec.Parse(spec.Path, e.Spec)
	if parsed == nil {
		return nil
	}
	out, closed := make([]service, 0, len(parsed.Services)), closed(in)
	for _, s := range parsed.Services {
		if !e.Has(s.Name) {
			continue
		}
		one := service{name: s.Name, image: images[s.Name]}
		if e.Update != nil { // how it is reached is its team's
			out = append(out, one)
			continue
		}
		if one.closed = s.Kind == spec.Web && closed; s.Kind == spec.Web && !closed {
			one.host = e.Ref.Host(in.Class.HostTemplate, s.Name, in.Class.Zone)
		}
		out = append(out, one)
	}
	return out
}

// previewURL is where the environment's first web service answers once it is in Git; ""
// before that, and for one without a web service.
func previewURL(in Input) string {
	e := &in.Environment
	if e.AppliedSHA == "" || e.Wanted == previews.Absent {
		return ""
	}
	for _, s := range services(in) {
		if s.host != "" {
			return "https://" + s.host
		}
	}
	return ""
}

// table is one row per service. The address comes last, because on a phone it is
// what does not fit.
func table(in Input, v verdict) string {
	rows := services(in)
	if len(rows) == 0 {
		return ""
	}
	var b strings.Builder
	b.WriteString("| service | state | image | url |\n|---|---|---|---|\n")
	for i, s := range rows {
		if i == maxServices {
			fmt.Fprintf(&b, "| and %d more | – | – | – |\n", len(rows)-maxServices)
			break
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", Text(s.name), stateCell(in, v, s), imageCell(s.image), address(in, s))
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// address links to the service once it is in Git; before, its name is only told.
func address(in Input, s service) string {
	switch {
	case s.closed:
		return "no address"
	case s.host == "":
		return "–"
	case in.Environment.AppliedSHA == "":
		return cellCode(s.host)
	default:
		return link(Text(s.host), "https://"+s.host)
	}
}

func stateCell(in Input, v verdict, s service) string {
	if in.Environment.State() == previews.StateWaiting && s.image.Missing != "" {
		return markWaiting + " image missing"
	}
	return v.cell
}

// withoutTag is the repository of an image reference.
func withoutTag(reference string) string {
	reference, _, _ = strings.Cut(reference, "@")
	if at := strings.LastIndexAny(reference, ":/"); at >= 0 && reference[at] == ':' {
		return reference[:at]
	}
	return reference
}

var commitTag = regexp.MustCompile(`^[0-9a-f]{40}$`)

// shortReference is an image reference whose tag, where it is a commit, is shortened
// as commits are.
func shortReference(reference string) string {
	if at := strings.LastIndexAny(reference, ":/"); at >= 0 && reference[at] == ':' && commitTag.MatchString(reference[at+1:]) {
		return reference[:at+1] + short(reference[at+1:])
	}
	return reference
}

// imageCell shows an image's tag: what tells two revisions apart on a phone. A tag
// that is a commit is shortened as commits are.
func imageCell(image previews.Image) string {
	if image.Branch != "" {
		return "from " + cellCode(image.Branch) + " (" + cellCode(short(image.Commit)) + "), unchanged here"
	}
	if image.Reported && image.Digest != "" { // there need not be such a tag
		return cellCode(shortDigest(image.Digest))
	}
	reference, _, _ := strings.Cut(image.Reference, "@")
	if reference == "" {
		return "–"
	}
	if at := strings.LastIndexAny(reference, ":/"); at >= 0 && reference[at] == ':' {
		tag := reference[at+1:]
		if commitTag.MatchString(tag) {
			tag = short(tag)
		}
		return cellCode(tag)
	}
	return cellCode("latest")
}
