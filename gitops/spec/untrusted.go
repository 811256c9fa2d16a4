package spec

import (
	"cmp"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
)

// Untaken is a key of a spec that is not trusted whose value is not used, and why.
type Untaken struct {
	Key string `json:"key"`
	// Why completes "it is not taken: "; "" where only the trusted spec's counts.
	Why string `json:"why,omitempty"`
}

// Bounded is a trusted spec with the values that another one may change.
type Bounded struct {
	// Raw is the text of Spec, as Parse reads it.
	Raw  []byte
	Spec *Spec
	// Taken are the keys whose values come from the other, Left those whose do not
	// though they differ, in the order of the services.
	Taken []string
	Left  []Untaken
}

// Why a value is not taken.
const (
	leftReference = "it holds a placeholder or refers to another variable"
	leftRemoved   = "the base branch's is kept"
	leftService   = "the base branch has no service of that name"
	leftTooLarge  = "together with the base branch's they are too large"
)

// Bound lays on a trusted spec what an untrusted one, such as that of a fork's head,
// may say: how many copies run, what each is given, and plain values of environment
// variables, of the services that the trusted one has. The amounts are still to be held
// to the platform's limits. Everything else, and so each image, command, host, path and
// rule, is the trusted spec's. raw is its text. Without an untrusted spec it is the
// trusted one as it is.
func Bound(raw []byte, trusted, untrusted *Spec) Bounded {
	as := Bounded{Raw: raw, Spec: trusted}
	if trusted == nil || untrusted == nil {
		return as
	}
	b := bounding{Bounded: Bounded{Raw: raw}, spec: *trusted, many: len(trusted.Services) > 1 || len(untrusted.Services) > 1}
	b.spec.Services = slices.Clone(trusted.Services)
	theirs := map[string]Service{}
	for _, s := range untrusted.Services {
		theirs[s.Name] = s
	}
	for i := range b.spec.Services {
		own := &b.spec.Services[i]
		other, ok := theirs[own.Name]
		if !ok {
			b.leave("service "+own.Name, leftRemoved)
			continue
		}
		delete(theirs, own.Name)
		b.service(own, other)
	}
	for _, name := range slices.Sorted(maps.Keys(theirs)) {
		b.leave("service "+name, leftService)
	}
	b.differing("preview.", reflect.ValueOf(trusted.Preview), reflect.ValueOf(untrusted.Preview))
	b.Spec = trusted
	if len(b.Taken) == 0 {
		return b.Bounded
	}
	text := Marshal(&b.spec)
	parsed, errs := Parse(Path, text)
	if len(errs) > 0 {
		// Each is valid by itself, so that only the size of both can be the matter.
		for _, key := range b.Taken {
			b.leave(key, leftTooLarge)
		}
		b.Taken = nil
		return b.Bounded
	}
	b.Raw, b.Spec = text, parsed
	return b.Bounded
}

// bounding is a Bounded in the making.
type bounding struct {
	Bounded
	spec Spec
	// many says that keys need the name of their service.
	many bool
}

func (b *bounding) leave(key, why string) { b.Left = append(b.Left, Untaken{Key: key, Why: why}) }

// bounds are the fields of a service that service looks at itself.
var bounds = []string{"Name", "Replicas", "Resources", "Env"}

func (b *bounding) service(own *Service, other Service) {
	prefix := ""
	if b.many {
		prefix = own.Name + "."
	}
	if own.Kind != other.Kind {
		// Amounts mean another thing for another kind.
		b.leave(prefix+"kind", "")
		return
	}
	if own.Replicas != other.Replicas {
		own.Replicas = other.Replicas
		b.Taken = append(b.Taken, prefix+"replicas")
	}
	if own.Resources != other.Resources {
		own.Resources = other.Resources
		b.Taken = append(b.Taken, prefix+"resources")
	}
	b.env(prefix, own, other.Env)
	b.differing(prefix, reflect.ValueOf(*own), reflect.ValueOf(other))
}

// env lays plain values on the service's own.
func (b *bounding) env(prefix string, own *Service, env []EnvVar) {
	values, theirs := map[string]string{}, map[string]bool{}
	for _, v := range own.Env {
		values[v.Name] = v.Value
	}
	for _, v := range env {
		theirs[v.Name] = true
		switch old, there := values[v.Name]; {
		case there && old == v.Value:
		case refers(v.Value):
			b.leave(prefix+"env."+v.Name, leftReference)
		default:
			values[v.Name] = v.Value
			b.Taken = append(b.Taken, prefix+"env."+v.Name)
		}
	}
	for _, v := range own.Env {
		if !theirs[v.Name] {
			b.leave(prefix+"env."+v.Name, leftRemoved)
		}
	}
	own.Env = nil
	for _, name := range slices.Sorted(maps.Keys(values)) {
		own.Env = append(own.Env, EnvVar{Name: name, Value: values[name]})
	}
}

// refers says that a value is more than itself: idp would replace a placeholder in it,
// and Kubernetes "$(NAME)" by what another variable of the container has.
func refers(value string) bool {
	return len(tokens(value)) > 0 || strings.Contains(value, "$(")
}

// differing leaves the keys of a block that differ, but for those that are looked at
// elsewhere.
func (b *bounding) differing(prefix string, own, other reflect.Value) {
	for i := range own.NumField() {
		name := own.Type().Field(i).Name
		if slices.Contains(bounds, name) || alike(own.Field(i), other.Field(i)) {
			continue
		}
		b.leave(prefix+cmp.Or(writtenAs[name], strings.ToLower(name[:1])+name[1:]), "")
	}
}

// writtenAs are the keys that are not written as their fields.
var writtenAs = map[string]string{"TTL": "ttl"}

// alike takes nothing for the same as an empty one.
func alike(a, b reflect.Value) bool {
	if k := a.Kind(); (k == reflect.Slice || k == reflect.Map) && a.Len() == 0 && b.Len() == 0 {
		return true
	}
	return reflect.DeepEqual(a.Interface(), b.Interface())
}

// String words it for people.
func (u Untaken) String() string {
	if u.Why == "" {
		return u.Key
	}
	return fmt.Sprintf("%s (%s)", u.Key, u.Why)
}
