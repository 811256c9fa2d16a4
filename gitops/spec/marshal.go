package spec

import (
	"cmp"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Marshal writes a spec as a .idp/deploy.yaml that Parse reads back as the same,
// every default that suits its kind left out. Equal specs give equal bytes.
func Marshal(s *Spec) []byte {
	var b strings.Builder
	write(&b, reflect.ValueOf(documentOf(s)), 0)
	return []byte(b.String())
}

func documentOf(s *Spec) document {
	p := s.Preview
	doc := document{Preview: &previewBlock{
		Enabled: &p.Enabled, Trigger: string(p.Trigger), Label: p.Label, Drafts: &p.Drafts, Paths: p.Paths, IgnoreLabels: p.IgnoreLabels, TTL: spanOf(p.TTL),
		Source: sourceOf(p.Source),
	}}
	for env, from := range s.Together {
		if doc.Environments == nil {
			doc.Environments = map[string]*environmentBlock{}
		}
		doc.Environments[env] = &environmentBlock{Source: sourceOf(&from)}
	}
	for _, svc := range s.Services {
		doc.Services = append(doc.Services, blockOf(svc))
	}
	return doc
}

// sourceOf is nil for none. A folder that is the root is written as it is read.
func sourceOf(s *Source) *sourceBlock {
	if s == nil {
		return nil
	}
	path := cmp.Or(s.Path, ".")
	switch s.Kind {
	case Kustomize:
		return &sourceBlock{Kustomize: &kustomizeBlock{Path: path}}
	case Manifests:
		return &sourceBlock{Manifests: &manifestsBlock{Path: path}}
	}
	values := map[string]word{}
	for _, v := range s.Values {
		values[v.Key] = word(v.Text)
	}
	if s.Chart != "" {
		path = ""
	}
	return &sourceBlock{Helm: &helmBlock{Path: path, Chart: s.Chart, ValuesFiles: s.ValuesFiles, Values: values, Overridable: s.Overridable}}
}

// blockOf is a service as it is written, with the keys alone that suit its kind.
func blockOf(s Service) *serviceBlock {
	b := &serviceBlock{
		Name: s.Name, Team: s.Team, Path: s.Path, Paths: s.Paths, Image: s.Image, Kind: string(s.Kind), Schedule: s.Schedule,
		Source: sourceOf(s.Source), Env: words(s.Env), Resources: resourcesOf(s.Resources), Command: wordsOf(s.Command), Args: wordsOf(s.Args),
		Environments: environmentsOf(s),
	}
	if s.Kind == Web {
		b.Port = &s.Port
	}
	if s.Kind != Cron {
		b.Replicas = &s.Replicas
	}
	for _, v := range s.Volumes {
		b.Volumes = append(b.Volumes, &volumeBlock{Name: v.Name, MountPath: v.MountPath, Size: quantity(v.Size)})
	}
	if s.Migrate != nil {
		b.Migrate = &migrateBlock{Command: wordsOf(s.Migrate.Command)}
	}
	if s.Deploy.Strategy != Rolling {
		b.Deploy = &deployBlock{Strategy: string(s.Deploy.Strategy)}
		for _, step := range s.Deploy.Canary {
			b.Deploy.Canary = append(b.Deploy.Canary, &canaryBlock{Weight: &step.Weight, Pause: spanOf(step.Pause)})
		}
	}
	if h := s.Healthcheck; h != nil {
		b.Healthcheck = &healthcheckBlock{Path: h.Path, Interval: spanOf(h.Interval), Threshold: &h.Threshold}
	}
	if r := s.Rollback; r != (Rollback{}) {
		b.Rollback = &rollbackBlock{Auto: &r.Auto}
		if r.OnErrorRate > 0 {
			b.Rollback.OnErrorRate = (*errorRate)(&r.OnErrorRate)
		}
	}
	return b
}

func environmentsOf(s Service) map[string]*environmentBlock {
	out := map[string]*environmentBlock{}
	for name, o := range s.Environments {
		out[name] = &environmentBlock{Replicas: o.Replicas, Env: words(o.Env), Resources: resourcesOf(o.Resources), Source: sourceOf(o.Source)}
	}
	return out
}

func resourcesOf(r Resources) *resourcesBlock {
	amounts := func(l ResourceList) *amountsBlock {
		if l == (ResourceList{}) {
			return nil
		}
		return &amountsBlock{CPU: quantity(l.CPU), Memory: quantity(l.Memory)}
	}
	if r == (Resources{}) {
		return nil
	}
	return &resourcesBlock{Requests: amounts(r.Requests), Limits: amounts(r.Limits)}
}

func words(env []EnvVar) map[string]word {
	out := map[string]word{}
	for _, v := range env {
		out[v.Name] = word(v.Value)
	}
	return out
}

func wordsOf(list []string) []word {
	out := make([]word, len(list))
	for i, w := range list {
		out[i] = word(w)
	}
	return out
}

// spanOf is nil for none.
func spanOf(d time.Duration) *span {
	if d == 0 {
		return nil
	}
	return (*span)(&d)
}

// write writes a mapping or a list in block style, each value on lines of its own that
// are indented by depth; what is empty and means nothing is left out.
func write(b *strings.Builder, v reflect.Value, depth int) {
	indent := strings.Repeat("  ", depth)
	entry := func(key string, value reflect.Value) {
		if text, ok := scalarOf(value); ok {
			b.WriteString(indent + key + " " + text + "\n")
			return
		}
		value = reflect.Indirect(value)
		if value.Kind() == reflect.Struct && blank(value) {
			b.WriteString(indent + key + " {}\n")
			return
		}
		b.WriteString(indent + key + "\n")
		write(b, value, depth+1)
	}
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			if !omitted(v.Field(i)) {
				entry(v.Type().Field(i).Tag.Get("json")+":", v.Field(i))
			}
		}
	case reflect.Map:
		keys := slices.SortedFunc(maps.Keys(keysByName(v)), strings.Compare)
		for _, key := range keys {
			entry(quoted(key)+":", v.MapIndex(reflect.ValueOf(key)))
		}
	case reflect.Slice:
		for i := range v.Len() {
			entry("-", v.Index(i))
		}
	}
}

func keysByName(v reflect.Value) map[string]bool {
	out := map[string]bool{}
	for _, key := range v.MapKeys() {
		out[key.String()] = true
	}
	return out
}

// omitted says that a field of a block was not given.
func omitted(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.Map, reflect.Slice:
		return v.Len() == 0
	}
	return v.IsZero()
}

// blank says that nothing of a block was given.
func blank(v reflect.Value) bool {
	for i := range v.NumField() {
		if !omitted(v.Field(i)) {
			return false
		}
	}
	return true
}

// scalarOf writes a single value; false for a mapping or a list.
func scalarOf(v reflect.Value) (string, bool) {
	v = reflect.Indirect(v)
	switch value := v.Interface().(type) {
	case span:
		return quoted(FormatDuration(time.Duration(value))), true
	case errorRate:
		return quoted(">" + strconv.FormatFloat(float64(value), 'f', -1, 64) + "%"), true
	}
	switch v.Kind() {
	case reflect.String:
		return quoted(v.String()), true
	case reflect.Bool:
		return strconv.FormatBool(v.Bool()), true
	case reflect.Int32:
		return strconv.FormatInt(v.Int(), 10), true
	}
	return "", false
}

// quoted is text between quotes, with everything escaped that does not show as what
// it is.
func quoted(text string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range text {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case strconv.IsPrint(r):
			b.WriteRune(r)
		case r > 0xffff:
			fmt.Fprintf(&b, `\U%08x`, r)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	b.WriteByte('"')
	return b.String()
}
