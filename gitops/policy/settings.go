package policy

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/idp-bot/idp/gitops/platform"
	"github.com/idp-bot/idp/gitops/spec"
	"k8s.io/apimachinery/pkg/api/resource"
)

const (
	// Dir is the folder of the policies in the GitOps repository, SettingsPath the file
	// in it that tunes the starter set.
	Dir          = platform.Dir + "/policies"
	SettingsPath = Dir + "/settings.yaml"
)

// settingsFile is platform/policies/settings.yaml: the parameters of the starter set, which policies of one's own find below data.settings as well.
type settingsFile struct {
	// What becomes of a policy of the starter set, by its name: "deny" refuses, "warn" only tells, "off" does not ask.
	Rules map[string]string `json:"rules"`
	// The registries, or folders of them such as ghcr.io/acme, that images may come from; when left out any for previews, and production is refused.
	Registries []string `json:"registries" jsonschema:"minLength=1,maxLength=255,maxItems=100"`
	// The environments and classes that count as production by their name, beside every one that is protected.
	Production []string `json:"production" jsonschema:"minLength=1,maxLength=40,maxItems=50"`
	// The longest that a preview may live from its last push; as long as its class allows when left out.
	MaxTTL *spec.Span `json:"max_ttl" jsonschema:"example=7d"`
	// Whether previews may be pinned, so that they live until their pull request is closed, whatever max_ttl says.
	Pin *bool `json:"pin" jsonschema:"default=true"`
	// The most CPU that one container may have as its limit.
	MaxCPU spec.Quantity `json:"max_cpu"`
	// The most memory that one container may have as its limit.
	MaxMemory spec.Quantity `json:"max_memory"`
	// Whether in production a tag that has the whole commit in it will do where no digest is known, trusting whoever may push to not push it again.
	CommitTags bool `json:"commit_tags"`
	// How many previews there may be at a time.
	MaxPreviews *maxPreviews `json:"max_previews"`
}

// maxPreviews are limits of the number of previews that live at a time; 0 is none.
type maxPreviews struct {
	// Of one repository.
	Repository *int32 `json:"repository" jsonschema:"default=100,minimum=0,maximum=100000"`
	// Of one team.
	Team *int32 `json:"team" jsonschema:"default=200,minimum=0,maximum=100000"`
	// Of the pull requests that one person opened.
	Author *int32 `json:"author" jsonschema:"default=25,minimum=0,maximum=100000"`
	// Whether one more takes the place of the longest idle, where that has been idle for idle_after, instead of waiting for room.
	TakeOldest bool `json:"take_oldest"`
	// How long nobody may have done anything about a preview before it is taken.
	IdleAfter *spec.Span `json:"idle_after" jsonschema:"default=1h,example=1d"`
}

// Setting is a row of the table of settings.
type Setting struct{ Name, Default, Help string }

// Settings lists the settings, for the documentation.
func Settings() []Setting {
	return []Setting{
		{"rules", "`{}`", "what becomes of a policy of the starter set, by its name: `deny`, `warn` or `off`"},
		{"registries", "any, and no production", "the registries, or folders of them such as `ghcr.io/acme`, that images may come from"},
		{"production", "`[production, prod]`", "the environments and classes that count as production by their name, beside every one that is `protected`"},
		{"max_ttl", "the class's", "the longest that a preview may live from its last push, extensions included, such as `7d`"},
		{"pin", "`true`", "whether previews may be pinned, and so live until their pull request is closed whatever `max_ttl` says"},
		{"max_cpu", "`" + defaultMaxCPU + "`", "the most CPU that one container may have as its limit"},
		{"max_memory", "`" + defaultMaxMemory + "`", "the most memory that one container may have as its limit"},
		{"commit_tags", "`false`", "whether in production a tag that has the whole commit in it will do where no digest is known, trusting whoever may push to not push it again"},
		{"max_previews", fmt.Sprintf("`%d`, `%d`, `%d`", defaultPerRepository, defaultPerTeam, defaultPerAuthor), "how many previews a `repository`, a `team` and an `author` may have at a time, `0` for as many as they like; with `take_oldest: true` one more takes the place of the longest idle, where that has been idle for `idle_after` (`1h`)"},
	}
}

const (
	defaultMaxCPU    = "16"
	defaultMaxMemory = "64Gi"
	// More previews than these are rather a loop that opens pull requests than work.
	defaultPerRepository, defaultPerTeam, defaultPerAuthor = 100, 200, 25
	// defaultIdleAfter is longer than a review, and than a build and a look at what it made.
	defaultIdleAfter = time.Hour
	// minIdleAfter is what idp holds to whatever policies say.
	minIdleAfter = 10 * time.Minute
)

// The levels of a policy of the starter set.
const (
	levelDeny = "deny"
	levelWarn = "warn"
	levelOff  = "off"
)

// settings are the file with its defaults.
type settings struct {
	levels     map[string]string
	registries []string
	production []string
	maxTTL     time.Duration
	noPin      bool
	commitTags bool
	cpu, mem   string
	most       maxPreviews
	// idleAfter is that of most.
	idleAfter time.Duration
}

func defaultSettings() settings {
	s := settings{levels: map[string]string{}, production: []string{"production", "prod"}, cpu: defaultMaxCPU, mem: defaultMaxMemory, idleAfter: defaultIdleAfter}
	s.most = maxPreviews{Repository: new(int32(defaultPerRepository)), Team: new(int32(defaultPerTeam)), Author: new(int32(defaultPerAuthor))}
	for _, p := range Starter() {
		s.levels[p.Name] = p.Level
	}
	return s
}

// parseSettings reads the file; nil is one that is not there.
func parseSettings(content []byte) (settings, spec.Errors) {
	s := defaultSettings()
	if content == nil {
		return s, nil
	}
	var file settingsFile
	doc := spec.Decode(SettingsPath, content, &file)
	for name, level := range file.Rules {
		s.level(doc, name, level)
	}
	if doc.Given("registries") {
		s.registries = file.Registries
	}
	if doc.Given("production") {
		s.production = file.Production
	}
	s.maxTTL = file.MaxTTL.Duration()
	s.noPin = file.Pin != nil && !*file.Pin
	s.cpu = quantity(doc, "max_cpu", file.MaxCPU, s.cpu)
	s.mem = quantity(doc, "max_memory", file.MaxMemory, s.mem)
	s.commitTags = file.CommitTags
	if file.MaxPreviews != nil {
		s.limits(doc, *file.MaxPreviews)
	}
	return s, doc.Errors()
}

func (s *settings) level(doc *spec.Document, name, level string) {
	field, names := "rules."+name, starterNames()
	switch {
	case !slices.Contains(names, name):
		doc.ReportKey(field, spec.KindUnknownKey, "the starter set has no policy %q: it has %s", name, strings.Join(names, ", "))
	case !slices.Contains([]string{levelDeny, levelWarn, levelOff}, level):
		doc.Report(field, spec.KindChoice, "%q is none of deny, warn and off", level)
	case name == fixedPolicy && level != levelDeny:
		doc.Report(field, spec.KindChoice, "policy %s always denies", name)
	default:
		s.levels[name] = level
	}
}

// limits takes what is given of the limits, and leaves the others as they are.
func (s *settings) limits(doc *spec.Document, given maxPreviews) {
	given.Repository = cmp.Or(given.Repository, s.most.Repository)
	given.Team = cmp.Or(given.Team, s.most.Team)
	given.Author = cmp.Or(given.Author, s.most.Author)
	s.most = given
	const field = "max_previews.idle_after"
	if !doc.Given(field) {
		return
	}
	if s.idleAfter = s.most.IdleAfter.Duration(); s.idleAfter < minIdleAfter && doc.OK(field) {
		doc.Report(field, spec.KindRange, "%s is %s: expected at least %s, so that two pull requests do not take each other's place in turns",
			field, spec.FormatDuration(s.idleAfter), spec.FormatDuration(minIdleAfter))
	}
}

func quantity(doc *spec.Document, key string, given spec.Quantity, otherwise string) string {
	if !doc.Given(key) {
		return otherwise
	}
	if _, err := resource.ParseQuantity(string(given)); err != nil && doc.OK(key) {
		doc.Report(key, spec.KindFormat, "%s: %q is not a Kubernetes quantity", key, string(given))
	}
	return string(given)
}

// document is data.settings.
func (s settings) document() map[string]any {
	return map[string]any{
		"registries": list(s.registries), "production": list(s.production),
		"max_ttl": spec.FormatDuration(s.maxTTL), "max_ttl_seconds": int(s.maxTTL / time.Second), "pin": !s.noPin, "commit_tags": s.commitTags, "max_cpu": s.cpu, "max_memory": s.mem,
		"max_previews": map[string]any{
			"repository": int(*s.most.Repository), "team": int(*s.most.Team), "author": int(*s.most.Author),
			"take_oldest": s.most.TakeOldest, "idle_after_seconds": int(s.idleAfter / time.Second),
		},
	}
}

func list(words []string) []any {
	out := make([]any, len(words))
	for i, word := range words {
		out[i] = word
	}
	return out
}
