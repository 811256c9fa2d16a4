package onboard

import (
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/idp-bot/idp/gitops/spec"
)

// workflow is what is read of a GitHub Actions workflow.
type workflow struct {
	// On is what starts it: an event, several, or each with its filters.
	On   any               `yaml:"on"`
	Env  map[string]string `yaml:"env"`
	Jobs map[string]struct {
		Env   map[string]string `yaml:"env"`
		Steps []struct {
			ID   string            `yaml:"id"`
			Uses string            `yaml:"uses"`
			Run  string            `yaml:"run"`
			With map[string]any    `yaml:"with"`
			Env  map[string]string `yaml:"env"`
		} `yaml:"steps"`
	} `yaml:"jobs"`
}

// starts says that an event starts the workflow.
func (w workflow) starts(event string) bool {
	switch on := w.On.(type) {
	case string:
		return on == event
	case []any:
		return slices.Contains(on, any(event))
	case map[string]any:
		_, ok := on[event]
		return ok
	}
	return false
}

// workflows finds the templates of the images that CI pushes.
func (l *look) workflows() {
	unsure := false
	for _, name := range l.files {
		if path.Dir(name) != ".github/workflows" || !isYAML(name) {
			continue
		}
		var w workflow
		if yaml.Unmarshal(l.read(name), &w) != nil {
			continue // GitHub says what is wrong with it
		}
		started := w.starts("pull_request") || w.starts("push")
		for _, job := range slices.Sorted(maps.Keys(w.Jobs)) {
			metadata := map[string][]string{} // the tags of docker/metadata-action, by the step's id
			for _, step := range w.Jobs[job].Steps {
				run := runs{of: "{sha}", short: "{short_sha}", envs: []map[string]string{w.Env, w.Jobs[job].Env, step.Env}}
				if w.starts("pull_request") {
					run.of, run.short = "{merge_sha}", "{short_merge_sha}"
				}
				fill := run.filler()
				switch action, _, _ := strings.Cut(step.Uses, "@"); action {
				case "docker/metadata-action":
					metadata[step.ID] = run.metadataTags(fill(text(step.With["images"])), fill(text(step.With["tags"])))
				case "docker/build-push-action":
					tags := strings.FieldsFunc(text(step.With["tags"]), func(r rune) bool { return r == '\n' || r == ',' })
					if id, ok := metadataOf(text(step.With["tags"])); ok {
						tags = metadata[id]
					}
					unsure = l.pushed(name, tags, fill, text(step.With["context"]), text(step.With["file"])) && !started || unsure
				default:
					unsure = l.pushed(name, imageWords(step.Run), fill, "", "") && !started || unsure
				}
			}
		}
	}
	if unsure {
		l.note("Where that workflow runs for a pull request, github.sha is the commit by which GitHub would merge it: write {merge_sha} for {sha} then.")
	}
}

// pushed gives the service that a build is of the first tag that a commit can be found
// by. ofRun says that this is the commit that the workflow runs at.
func (l *look) pushed(file string, tags []string, fill func(string) string, context, dockerfile string) (ofRun bool) {
	for _, tag := range tags {
		tag = strings.TrimSpace(tag)
		template := fill(tag)
		if !strings.Contains(template, "sha}") || strings.Contains(template, "$") || !parses(Found{Services: []Service{{Name: "web", Kind: spec.Web, Image: template}}}) {
			continue
		}
		ofRun = ofRun || runSHA.MatchString(tag) && !strings.Contains(tag, "head.sha")
		for _, i := range l.builds(template, context, dockerfile) {
			if s := &l.found.Services[i]; s.Image == "" || s.ImageFrom == file || l.found.Source != nil {
				s.Image, s.ImageFrom = template, file
			}
		}
		return ofRun
	}
	return ofRun
}

// builds are the services that a build may be of: that of the Dockerfile, else of the
// image's name, else the only one; where the template names the service, all.
func (l *look) builds(template, context, dockerfile string) []int {
	all := make([]int, len(l.found.Services))
	for i := range all {
		all[i] = i
	}
	if strings.Contains(template, "{service}") || len(all) == 1 {
		return all
	}
	context = strings.TrimPrefix(path.Clean("/"+context), "/")
	if dockerfile == "" && context != "" {
		dockerfile = path.Join(context, "Dockerfile")
	}
	by := func(is func(Service) bool) []int {
		return slices.DeleteFunc(slices.Clone(all), func(i int) bool { return !is(l.found.Services[i]) })
	}
	if found := by(func(s Service) bool { return dockerfile != "" && s.dockerfile == path.Clean(dockerfile) }); len(found) > 0 {
		return found
	}
	name := path.Base(withoutTag(strings.NewReplacer("{", "", "}", "").Replace(template)))
	if found := by(func(s Service) bool { return name == s.Name || strings.HasSuffix(name, "-"+s.Name) }); len(found) > 0 {
		return found
	}
	return by(func(s Service) bool { return s.dockerfile == "Dockerfile" })
}

var (
	expression = regexp.MustCompile(`\$\{\{\s*([^}]+?)\s*\}\}`)
	runSHA     = regexp.MustCompile(`github\.sha|GITHUB_SHA`)
	metadataID = regexp.MustCompile(`steps\.([\w-]+)\.outputs\.tags`)
)

// imageWords are the words of a script that may be images with a commit for a tag.
func imageWords(script string) []string {
	script = expression.ReplaceAllStringFunc(script, func(found string) string {
		return "${{" + strings.ReplaceAll(expression.FindStringSubmatch(found)[1], " ", "") + "}}"
	})
	return slices.DeleteFunc(strings.FieldsFunc(script, func(r rune) bool { return strings.ContainsRune(" \t\n\r\"'=;,()", r) }), func(word string) bool {
		return !runSHA.MatchString(word) && !strings.Contains(word, "head.sha") || !strings.Contains(word, ":")
	})
}

func metadataOf(tags string) (id string, ok bool) {
	if found := metadataID.FindStringSubmatch(tags); found != nil {
		return found[1], true
	}
	return "", false
}

// runs is what idp calls the commit that a step runs at, in full and short, and the variables
// that are set there.
type runs struct {
	of, short string
	envs      []map[string]string
}

// env are the variables, the innermost of each name.
func (r runs) env() map[string]string {
	env := map[string]string{}
	for _, one := range r.envs {
		maps.Copy(env, one)
	}
	return env
}

// metadataTags are the tags with the commit that docker/metadata-action would make of its
// rules, of a kind that idp can look for. It takes the commit that it runs at unless it is
// told to take a pull request's head.
// Source: github.com/docker/metadata-action, "Overwrite behavior" of type=sha.
func (r runs) metadataTags(names, rules string) []string {
	if r.env()["DOCKER_METADATA_PR_HEAD_SHA"] == "true" {
		r.of, r.short = "{sha}", "{short_sha}"
	}
	var out []string
	for _, rule := range strings.Split(rules, "\n") {
		fields := map[string]string{"prefix": "sha-", "format": "short"}
		kind := ""
		for _, field := range strings.Split(strings.TrimSpace(rule), ",") {
			key, value, _ := strings.Cut(field, "=")
			if key == "type" {
				kind = value
				continue
			}
			fields[key] = value
		}
		tag := ""
		switch {
		case kind == "sha" && fields["format"] == "long":
			tag = fields["prefix"] + r.of
		case kind == "sha":
			tag = fields["prefix"] + r.short
		case kind == "raw" && strings.Contains(fields["value"], "sha}"):
			tag = fields["value"]
		default:
			continue
		}
		for _, name := range strings.Fields(strings.ReplaceAll(names, ",", " ")) {
			out = append(out, name+":"+tag)
		}
	}
	return out
}

// filler turns the expressions of a workflow that idp has placeholders for into these,
// and leaves the others.
func (r runs) filler() func(string) string {
	env := r.env()
	placeholders := map[string]string{
		"github.sha": r.of, "github.event.pull_request.head.sha": "{sha}", "github.event.pull_request.head.sha || github.sha": "{sha}",
		"github.event.pull_request.head.sha||github.sha": "{sha}",
		"github.repository": "{owner}/{repo}", "github.repository_owner": "{owner}", "github.event.repository.name": "{repo}",
	}
	for _, key := range []string{"service", "app", "image", "component", "name"} {
		placeholders["matrix."+key] = "{service}"
	}
	return func(value string) string {
		for range 5 { // variables may be made of others
			next := expression.ReplaceAllStringFunc(value, func(found string) string {
				inner := expression.FindStringSubmatch(found)[1]
				if placeholder, ok := placeholders[inner]; ok {
					return placeholder
				}
				if name, ok := strings.CutPrefix(inner, "env."); ok && env[name] != "" {
					return env[name]
				}
				return found
			})
			for name, of := range env {
				next = strings.NewReplacer("${"+name+"}", of, "$"+name, of).Replace(next)
			}
			next = strings.NewReplacer("${GITHUB_SHA}", r.of, "$GITHUB_SHA", r.of, "${GITHUB_REPOSITORY}", "{owner}/{repo}", "$GITHUB_REPOSITORY", "{owner}/{repo}").Replace(next)
			if next == value {
				break
			}
			value = next
		}
		return value
	}
}

func text(value any) string {
	s, _ := value.(string)
	return s
}

func sortedKeys(m map[string]any) []string { return slices.Sorted(maps.Keys(m)) }
