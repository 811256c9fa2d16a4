package adopt

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// What is dropped or changed of an object is found by comparing it, as its type reads it,
// with what came of it: no code that changes something can forget to tell.

// difference is a field of an object that came out otherwise.
type difference struct {
	at field
	// was and is are its value as JSON has it, nil where there was or is none.
	was, is any
}

// field is where something stands in an object.
type field []step

// step is a key of a map, or an element of a list by its name or its index.
type step struct {
	key     string
	element bool
}

func (f field) key(key string) field     { return append(slices.Clip(f), step{key, false}) }
func (f field) element(key string) field { return append(slices.Clip(f), step{key, true}) }

// podSpecs begin the paths of what is part of a pod, which notes leave away.
var podSpecs = []string{"spec.template.spec.", "spec.jobTemplate.spec.template.spec."}

// String is the field's path as people write it, from the pod where it is part of one:
// containers[web].image, metadata.labels[acme.com/team].
func (f field) String() string { return trimPod(f.path(true), "") }

// pattern is the path without the names of elements, as rules have it: pod.containers[].image.
func (f field) pattern() string {
	path := trimPod(f.path(false), "pod.")
	if rest, ok := strings.CutPrefix(path, "pod.initContainers"); ok {
		return "pod.containers" + rest
	}
	return path
}

func (f field) path(named bool) string {
	var b strings.Builder
	for _, s := range f {
		switch {
		case s.element && !named:
			b.WriteString("[]")
		case s.element, strings.ContainsAny(s.key, "./"):
			b.WriteString("[" + cut(s.key) + "]")
		default:
			if b.Len() > 0 {
				b.WriteByte('.')
			}
			b.WriteString(cut(s.key))
		}
	}
	return b.String()
}

func trimPod(path, instead string) string {
	for _, prefix := range podSpecs {
		if rest, ok := strings.CutPrefix(path, prefix); ok {
			return instead + rest
		}
	}
	return path
}

// values are an object as its JSON is read.
func values(object any) (any, error) {
	text, err := json.Marshal(object)
	if err != nil {
		return nil, fmt.Errorf("write object: %w", err)
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber() // numbers as they are written
	var out any
	if err := decoder.Decode(&out); err != nil {
		return nil, fmt.Errorf("read object: %w", err)
	}
	return out, nil
}

// differ calls found with each field in which two values differ: the outermost that was or is
// not there, or that a rule tells as one.
func differ(was, is any, at field, found func(difference)) {
	if absent(was) && absent(is) || reflect.DeepEqual(was, is) {
		return
	}
	if ruleOf(at).whole || absent(is) && !each(was, at) {
		found(difference{at, was, is})
		return
	}
	if is == nil {
		is = none(was)
	}
	switch is := is.(type) {
	case map[string]any:
		was, ok := was.(map[string]any)
		if !ok && was != nil {
			break
		}
		for _, key := range slices.Sorted(maps.Keys(both(was, is))) {
			differ(was[key], is[key], at.key(key), found)
		}
		return
	case []any:
		if was, ok := was.([]any); ok && differLists(was, is, at, found) {
			return
		}
	}
	found(difference{at, was, is})
}

// absent says that there is nothing: no value, or one that holds none.
func absent(value any) bool {
	switch value := value.(type) {
	case nil:
		return true
	case map[string]any:
		return len(value) == 0
	case []any:
		return len(value) == 0
	}
	return false
}

// each says that of what is gone each part is told: of a map of scalars, such as labels, and
// of a list whose elements have a rule.
func each(value any, at field) bool {
	if _, ok := value.([]any); ok {
		return ruleOf(at.element("")).path != ""
	}
	fields, ok := value.(map[string]any)
	for _, one := range fields {
		_, simple := scalar(one)
		ok = ok && simple
	}
	return ok && ruleOf(at).path == ""
}

// none is an empty value of the kind that one has.
func none(value any) any {
	if _, ok := value.([]any); ok {
		return []any{}
	}
	return map[string]any{}
}

func both(was, is map[string]any) map[string]any {
	out := maps.Clone(is)
	for key, value := range was {
		if _, there := out[key]; !there {
			out[key] = value
		}
	}
	return out
}

// differLists compares lists by the names of their elements, by their indexes where there
// are none, or by what is left of one; false where nothing says which is which.
func differLists(was, is []any, at field, found func(difference)) bool {
	for _, key := range []string{"name", "type"} {
		before, ok := named(was, key)
		after, ok2 := named(is, key)
		if !ok || !ok2 {
			continue
		}
		for _, name := range slices.Sorted(maps.Keys(both(before, after))) {
			differ(before[name], after[name], at.element(name), found)
		}
		return true
	}
	if len(was) == len(is) {
		for i := range was {
			differ(was[i], is[i], at.element(strconv.Itoa(i)), found)
		}
		return true
	}
	gone, ok := without(was, is)
	for _, i := range gone {
		name := strconv.Itoa(i)
		if shown, scalar := scalar(was[i]); scalar {
			name = shown
		}
		found(difference{at.element(name), was[i], nil})
	}
	return ok
}

// named are the elements of a list by a field of theirs, false where it does not tell them apart.
func named(list []any, key string) (map[string]any, bool) {
	out := map[string]any{}
	for _, one := range list {
		fields, _ := one.(map[string]any)
		name, ok := fields[key].(string)
		if _, twice := out[name]; !ok || twice {
			return nil, false
		}
		out[name] = one
	}
	return out, true
}

// without returns which elements of was are not in is, which has the others in their order;
// false where it has anything else.
func without(was, is []any) (gone []int, ok bool) {
	for i, one := range was {
		if len(is) > 0 && reflect.DeepEqual(one, is[0]) {
			is = is[1:]
			continue
		}
		gone = append(gone, i)
	}
	if len(is) > 0 {
		return nil, false
	}
	return gone, true
}

// scalar is a value in words; false for what has parts.
func scalar(value any) (string, bool) {
	switch value := value.(type) {
	case string:
		if value == "" {
			return `""`, true
		}
		return cut(value), true
	case bool, json.Number:
		return fmt.Sprint(value), true
	}
	return "", false
}

// shown is a value for people: a scalar, or a list of some.
func shown(value any) (string, bool) {
	list, ok := value.([]any)
	if !ok {
		return scalar(value)
	}
	var words []string
	for _, one := range list {
		word, ok := scalar(one)
		if !ok {
			return "", false
		}
		words = append(words, word)
	}
	return cut(strings.Join(words, ", ")), true
}
