// Package adopttest holds what gitops/adopt tells of objects to what it did to them, for the
// tests of all who have objects to adopt.
package adopttest

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
	"sigs.k8s.io/yaml"

	"github.com/idp-bot/idp/gitops/adopt"
)

// types are what the kinds are read as.
var types = map[string]func() any{
	"ConfigMap":   func() any { return new(corev1.ConfigMap) },
	"Service":     func() any { return new(corev1.Service) },
	"Deployment":  func() any { return new(appsv1.Deployment) },
	"StatefulSet": func() any { return new(appsv1.StatefulSet) },
	"Job":         func() any { return new(batchv1.Job) },
	"CronJob":     func() any { return new(batchv1.CronJob) },
	"Ingress":     func() any { return new(networkingv1.Ingress) },
	"HTTPRoute":   func() any { return new(gatewayv1.HTTPRoute) },
}

// New returns an object of a kind that comes through, nil for any other.
func New(kind string) any {
	if types[kind] == nil {
		return nil
	}
	return types[kind]()
}

// Untold are the fields in which objects of the result differ from the first of the documents,
// each of one object, that has their name, and that no note names, in words.
func Untold(documents [][]byte, result adopt.Result) ([]string, error) {
	var out []string
	for _, o := range result.Objects {
		given, err := find(documents, o)
		if err != nil {
			return nil, err
		}
		if given == nil {
			continue // a route that idp made
		}
		was, err := leaves(o.Kind, given)
		if err != nil {
			return nil, err
		}
		is, err := leaves(o.Kind, o.Content)
		if err != nil {
			return nil, err
		}
		for _, leaf := range less(was, is) {
			if !changeTold(result.Notes, o, leaf) {
				out = append(out, fmt.Sprintf("%s %s: %s was %s", o.Kind, o.Name, leaf.path, leaf.value))
			}
		}
		for _, leaf := range less(is, was) {
			if !changeTold(result.Notes, o, leaf) && !additionTold(result.Notes, leaf) {
				out = append(out, fmt.Sprintf("%s %s: %s is %s", o.Kind, o.Name, leaf.path, leaf.value))
			}
		}
	}
	return out, nil
}

func find(documents [][]byte, o adopt.Object) ([]byte, error) {
	for _, d := range documents {
		var about struct {
			Kind     string `json:"kind"`
			Metadata struct {
				Name string `json:"name"`
			} `json:"metadata"`
		}
		if err := yaml.Unmarshal(d, &about); err != nil {
			return nil, fmt.Errorf("read a document: %w", err)
		}
		if about.Kind == o.Kind && about.Metadata.Name == o.Name {
			return d, nil
		}
	}
	return nil, nil
}

// leaf is a scalar of an object and where it stands, names and indexes of lists left away.
type leaf struct{ path, value string }

// leaves are those of a document as its type reads it.
func leaves(kind string, document []byte) ([]leaf, error) {
	object := New(kind)
	if err := yaml.Unmarshal(document, object); err != nil {
		return nil, fmt.Errorf("read %s: %w", kind, err)
	}
	text, err := json.Marshal(object)
	if err != nil {
		return nil, fmt.Errorf("write %s: %w", kind, err)
	}
	var value any
	if err := json.Unmarshal(text, &value); err != nil {
		return nil, fmt.Errorf("read %s: %w", kind, err)
	}
	var out []leaf
	walk("", value, func(l leaf) { out = append(out, l) })
	return out, nil
}

func walk(path string, value any, found func(leaf)) {
	switch value := value.(type) {
	case nil:
	case map[string]any:
		for key, one := range value {
			walk(path+"/"+key, one, found)
		}
	case []any:
		for _, one := range value {
			walk(path+"[]", one, found)
		}
	default:
		if value := fmt.Sprint(value); value != "0" || !strings.HasSuffix(path, "/targetPort") { // that is none
			found(leaf{path, value})
		}
	}
}

// less is what the first has and the second has not, however often it stands there.
func less(first, second []leaf) []leaf {
	left := slices.Clone(second)
	var out []leaf
	for _, l := range first {
		if i := slices.Index(left, l); i >= 0 {
			left = slices.Delete(left, i, i+1)
			continue
		}
		if !slices.Contains(out, l) {
			out = append(out, l)
		}
	}
	return out
}

// element is the name or the index of a list's element.
var element = regexp.MustCompile(`\[[^\]]*\]`)

// fieldOf is a leaf's path as notes have it, but for names of elements.
func fieldOf(path string) string {
	for _, prefix := range []string{"/spec/template/spec/", "/spec/jobTemplate/spec/template/spec/"} {
		if rest, ok := strings.CutPrefix(path, prefix); ok {
			path = "/" + rest
		}
	}
	var b strings.Builder
	for i, key := range strings.Split(path[1:], "/") {
		if i > 0 {
			b.WriteByte('.')
		}
		b.WriteString(key)
	}
	return b.String()
}

// changeTold says that a note names the field, or one that it is in.
func changeTold(notes []adopt.Note, o adopt.Object, l leaf) bool {
	if l.path == "/metadata/namespace" {
		return slices.ContainsFunc(notes, func(n adopt.Note) bool { return strings.Contains(n.Text, "of namespace "+l.value+" ") }) || additionTold(notes, l)
	}
	whole := strings.Split(strings.ReplaceAll(fieldOf(l.path), "[]", ""), ".")
	return slices.ContainsFunc(notes, func(n adopt.Note) bool {
		if n.Field == "" || n.Object != "" && n.Object != o.Kind+" "+o.Name || !strings.HasPrefix(n.Text, n.Field+" ") {
			return false
		}
		// A key with dots stands in brackets, as elements of lists do: both are left away.
		named := strings.Split(element.ReplaceAllString(n.Field, ""), ".")
		return len(named) <= len(whole) && slices.Equal(named, whole[:len(named)])
	})
}

// additionTold says that a note tells what was set.
func additionTold(notes []adopt.Note, l leaf) bool {
	if l.path == "/metadata/namespace" {
		return true // the environment's own
	}
	words := strings.Split(strings.ReplaceAll(fieldOf(l.path), "[]", ""), ".")
	value := l.value
	return slices.ContainsFunc(notes, func(n adopt.Note) bool {
		set, ok := strings.CutPrefix(n.Text, "set where nothing was said: ")
		return ok && strings.Contains(set, words[len(words)-1]) && strings.Contains(set, value)
	})
}
