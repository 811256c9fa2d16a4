// Package adopt takes what a chart, an overlay or a folder of manifests rendered to
// and makes of it what idp may commit for one environment.
//
// It owns what is let through. Objects is a pure filter: it reads no file, asks
// nobody and keeps nothing, and may be called concurrently. Everything that comes out is
// of a kind that Kinds lists, in the environment's namespace, with the labels that say
// whose it is, and so that the class's Pod Security Standard lets its pods in; every
// object was read into Kubernetes' own types and is written from them, so that nothing
// passes that those do not know. What is dropped or changed is told, a Note each.
// The same input gives the same output, and the output given back in comes out as it is.
//
// What comes in may have been written by anybody. Names and values of it in notes are
// not to be trusted by who shows them.
package adopt

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation"
	k8sjson "sigs.k8s.io/json"
	"sigs.k8s.io/yaml"

	"github.com/idp-bot/idp/gitops/fault"
	"github.com/idp-bot/idp/gitops/platform"
	"github.com/idp-bot/idp/gitops/render"
)

const (
	// MaxObjects and MaxBytes bound what is looked at of one environment, MaxTaken what is let
	// through and MaxObject one object of it, in bytes: etcd takes no object above 1.5 MiB, and
	// a repository should not either.
	MaxObjects = 200
	MaxBytes   = 8 << 20
	MaxTaken   = 4 << 20
	MaxObject  = 512 << 10
	// maxNotes bounds what a hostile chart can make others store and show, maxAdditions how
	// many of them say what was set.
	maxNotes     = 400
	maxAdditions = 20
	// maxReference is the longest image reference that is looked up: a registry's host, a
	// repository, a tag.
	maxReference = 512
)

// Input is the environment that objects are adopted into.
type Input struct {
	// Environment is the name that the label of that name has.
	Environment string
	Namespace   string
	Class       platform.Class
	// Owner is the service whose own source it is, as the label of that name has it; "" for
	// one of all services.
	Owner string
	// LongLived says that it is no preview: what keeps those apart from the world, the class's
	// gate and "noindex", is not for it.
	LongLived bool
	// Attempt is how often its revision was asked to roll out again, which makes other pods of
	// the same Deployments and StatefulSets; 0 for the first.
	Attempt int
	// Services are those of the spec that the source is of, in its order.
	Services []Service
	// Pins are the digests, "sha256:…", of images of no service, by their references.
	Pins map[string]string
}

// Service is what idp decides of a service, whatever the chart says.
type Service struct {
	Name string
	// Image is the full reference that its containers get, by digest where that is known.
	Image string
	// Host is where it is reachable, "" for what is not.
	Host     string
	Replicas int32
}

// Note is something that was dropped or changed, and why.
type Note struct {
	// Object is its kind and name, "" for what concerns several.
	Object string
	// Field is the path of what was dropped or changed within the object, as people write it,
	// from the pod where it is part of one: containers[web].image; "" for the object itself.
	Field string
	// Text says what became of what, a sentence without its full stop.
	Text string
}

// String is the note in one line.
func (n Note) String() string {
	if n.Object == "" {
		return n.Text
	}
	return n.Object + ": " + n.Text
}

// Object is one object that may be committed.
type Object struct {
	Kind, Name string
	// Content is its YAML with sorted keys.
	Content []byte
}

// Result is what Objects lets through and what it has to say of it.
type Result struct {
	// Objects are sorted by kind and name, no two alike.
	Objects []Object
	Notes   []Note
	// Unplaced are the services whose image no container has: what would run is not what
	// was built.
	Unplaced []string
	// Unrouted are the services with a host that nothing answers at; none where the class is
	// closed, since that says it all.
	Unrouted []string
	// Unpinned are the references of images of no service that have no digest, sorted.
	Unpinned []string
}

// Objects filters rendered objects, each a YAML document of one object or of a List. An
// error is a fault for whoever wrote the chart: too much, or what is no object at all.
func Objects(documents [][]byte, in Input) (Result, error) { return objects(documents, in, maxNotes) }

func objects(documents [][]byte, in Input, notes int) (Result, error) {
	all, err := read(documents)
	if err != nil {
		return Result{}, err
	}
	a := &adopting{in: in, placed: map[string]bool{}, routed: map[string]bool{}, seen: map[string]bool{}, objects: map[string]any{}, added: map[string]bool{}, unpinned: map[string]bool{}}
	for _, o := range all {
		a.take(o)
	}
	a.routes()
	return a.result(notes)
}

// raw is an object as it was rendered.
type raw struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Metadata   struct {
		Name        string            `json:"name"`
		Namespace   string            `json:"namespace"`
		Labels      map[string]string `json:"labels"`
		Annotations map[string]string `json:"annotations"`
	} `json:"metadata"`
	Items   []json.RawMessage `json:"items"`
	content []byte
}

// title is how notes name it.
func (r raw) title() string {
	if r.Kind == "" {
		return "A document without a kind"
	}
	return cut(r.Kind) + " " + cut(r.Metadata.Name)
}

// read parses the documents, and opens lists; a list in a list is none.
func read(documents [][]byte) ([]raw, error) {
	var out []raw
	size := 0
	for i, document := range documents {
		if size += len(document); size > MaxBytes {
			return nil, fault.Newf(fault.Invalid, "what it renders to is larger than %d MiB", MaxBytes>>20)
		}
		content, err := yaml.YAMLToJSON(document)
		if err != nil {
			return nil, fault.Wrap(err, fault.Invalid, fmt.Sprintf("object %d of what it renders to is no YAML", i+1), "")
		}
		if string(content) == "null" {
			continue
		}
		one, err := readOne(content)
		if err != nil {
			return nil, fault.Wrap(err, fault.Invalid, fmt.Sprintf("object %d of what it renders to is no Kubernetes object", i+1), "")
		}
		found := []raw{one}
		if strings.HasSuffix(one.Kind, "List") && one.Items != nil {
			found = nil
			for _, item := range one.Items {
				inner, err := readOne(item)
				if err != nil {
					return nil, fault.Wrap(err, fault.Invalid, fmt.Sprintf("an item of list %d of what it renders to is no Kubernetes object", i+1), "")
				}
				found = append(found, inner)
			}
		}
		if out = append(out, found...); len(out) > MaxObjects {
			return nil, fault.Newf(fault.Invalid, "it renders to more than %d objects", MaxObjects)
		}
	}
	return out, nil
}

func readOne(content []byte) (raw, error) {
	var one raw
	if err := k8sjson.UnmarshalCaseSensitivePreserveInts(content, &one); err != nil {
		return raw{}, fmt.Errorf("read object: %w", err)
	}
	one.content = content
	return one, nil
}

// adopting is a Result in the making.
type adopting struct {
	in     Input
	placed map[string]bool // services by name
	routed map[string]bool // services by name
	seen   map[string]bool // "kind name"
	// objects are what is let through, by "kind name".
	objects map[string]any
	// added is what was set where an object said nothing, "field value".
	added map[string]bool
	notes []Note
	// unpinned are references without a digest.
	unpinned map[string]bool
	spaces   []string
}

func (a *adopting) note(object, format string, args ...any) {
	a.notes = append(a.notes, Note{Object: object, Text: fmt.Sprintf(format, args...)})
}

// take lets one object through, or says why not.
func (a *adopting) take(r raw) {
	title := r.title()
	if why := a.refused(r); why != "" {
		a.note(title, "dropped: %s", why)
		return
	}
	adopt := kinds[r.APIVersion+"/"+r.Kind]
	object, why := adopt(a, title, r)
	if why != "" {
		a.note(title, "dropped: %s", why)
		return
	}
	if ns := r.Metadata.Namespace; ns != "" && ns != a.in.Namespace && !slices.Contains(a.spaces, ns) {
		a.spaces = append(a.spaces, ns)
		a.note("", "what is of namespace %s goes into the environment's own", cut(ns))
	}
	a.seen[r.Kind+" "+r.Metadata.Name] = true
	a.objects[r.Kind+" "+r.Metadata.Name] = object
}

// refused says why an object cannot be let through at all; "" where it may be.
func (a *adopting) refused(r raw) string {
	if hook := hook(r.Metadata.Annotations); hook != "" {
		return fmt.Sprintf("it is a hook (%s), and hooks do not run", hook)
	}
	if why, ok := reasons[r.Kind]; ok {
		return why
	}
	switch {
	case r.APIVersion == "" || r.Kind == "":
		return "it is no Kubernetes object"
	case kinds[r.APIVersion+"/"+r.Kind] == nil:
		return fmt.Sprintf("%s is not among the kinds that idp commits", cut(r.APIVersion+"/"+r.Kind))
	case len(validation.IsDNS1123Subdomain(r.Metadata.Name)) > 0:
		return "it has no name that Kubernetes takes"
	case len(r.content) > MaxObject:
		return fmt.Sprintf("it is larger than %d KiB", MaxObject>>10)
	case a.seen[r.Kind+" "+r.Metadata.Name]:
		return "an object of that kind and name came before it"
	}
	return ""
}

// result writes what was let through.
func (a *adopting) result(most int) (Result, error) {
	var out Result
	size := 0
	for _, key := range slices.Sorted(maps.Keys(a.objects)) {
		content, err := render.Marshal(a.objects[key])
		if err != nil {
			return Result{}, fmt.Errorf("write %s: %w", key, err)
		}
		if size += len(content); size > MaxTaken {
			return Result{}, fault.Newf(fault.Invalid, "what would be committed of it is larger than %d MiB", MaxTaken>>20)
		}
		kind, name, _ := strings.Cut(key, " ")
		out.Objects = append(out.Objects, Object{Kind: kind, Name: name, Content: content})
	}
	for _, svc := range a.in.Services {
		if !a.placed[svc.Name] {
			out.Unplaced = append(out.Unplaced, svc.Name)
		}
		if svc.Host != "" && !a.routed[svc.Name] && !a.closed() {
			out.Unrouted = append(out.Unrouted, svc.Name)
		}
	}
	slices.SortStableFunc(a.notes, func(x, y Note) int {
		return cmp.Or(strings.Compare(x.Object, y.Object), strings.Compare(x.Text, y.Text))
	})
	out.Notes, out.Unpinned = slices.Compact(a.notes), slices.Sorted(maps.Keys(a.unpinned))
	if more := len(out.Notes) - most; more > 0 {
		out.Notes = append(out.Notes[:most:most], Note{Text: fmt.Sprintf("%d more", more)})
	}
	out.Notes = append(out.Notes, a.additions()...) // last: they are much the same of all
	return out, nil
}

// closed says that no route may lead into the environment.
func (a *adopting) closed() bool { return !a.in.LongLived && a.in.Class.Closed() }

// cut bounds what is quoted of a chart.
func cut(text string) string {
	const most = 80
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most], "") + "…"
}
