package spec

import (
	"path"
	"regexp"
	"strings"
	"time"

	"github.com/robfig/cron/v3"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/idp-bot/idp/gitops"
)

const (
	maxName       = 40 // a service's or environment's, which end up in longer names
	maxVolumeName = validation.DNS1123LabelMaxLength
)

// service returns one service with the file's defaults where it has none of its
// own. In the single form the blocks at the top are its own.
func (c *checker) service(b *serviceBlock, field string, defaults shared, single bool) Service {
	out := Service{
		Name: b.Name, Team: b.Team, Image: b.Image, Kind: Kind(b.Kind), Schedule: b.Schedule,
		Replicas: defaultReplicas,
		Env:      c.env(join(field, "env"), b.Env), Resources: c.resources(join(field, "resources"), b.Resources, Resources{}),
		Command: c.words(join(field, "command"), b.Command), Args: c.words(join(field, "args"), b.Args),
		Volumes: c.volumes(join(field, "volumes"), b.Volumes), Migrate: c.migrate(join(field, "migrate"), b.Migrate),
	}
	if b.Kind == "" {
		out.Kind = Web
	}
	if b.Replicas != nil {
		out.Replicas = *b.Replicas
	}
	if out.Kind == Web {
		out.Port = defaultPort
	}
	if b.Port != nil {
		out.Port = *b.Port
	}
	c.label(join(field, "name"), "service name", b.Name, maxName)
	c.team(join(field, "team"), b.Team)
	out.Path, out.Paths = c.folder(join(field, "path"), b.Path), b.Paths
	if b.Path == "." && len(b.Paths) > 0 {
		out.Paths = []string{"**"} // all of the repository is of it
	}
	for i, glob := range b.Paths {
		c.glob(indexed(join(field, "paths"), i), glob)
	}
	c.image(join(field, "image"), b.Image)
	out.Source = c.source(join(field, "source"), b.Source)
	own := c.blocks(field, b.Deploy, b.Healthcheck, b.Rollback, b.Environments)
	if c.ok(join(field, "kind")) || !c.given(join(field, "kind")) {
		c.suits(field, out.Kind, single)
	}
	c.schedule(join(field, "schedule"), b.Schedule)
	out.inherit(own, defaults)
	c.overrides(field, out, single)
	return out
}

// inherit gives the service its own blocks, and the defaults that suit its kind
// where it has none: a default that cannot apply to a kind is no mistake.
func (s *Service) inherit(own, defaults shared) {
	s.Deploy = Deploy{Strategy: Rolling}
	for _, from := range []shared{defaults, own} {
		if from.deploy != nil && s.Kind != Cron {
			s.Deploy = *from.deploy
		}
		if from.healthcheck != nil && s.Kind == Web {
			s.Healthcheck = from.healthcheck
		}
		if from.rollback != nil && s.Kind != Cron {
			s.Rollback = *from.rollback
		}
		for name, override := range from.environments {
			if s.Environments == nil {
				s.Environments = map[string]Override{}
			}
			s.Environments[name] = override
		}
	}
	if s.Kind == Worker {
		s.Rollback.OnErrorRate = 0
		if s.Deploy.Strategy == BlueGreen {
			s.Deploy = Deploy{Strategy: Rolling}
		}
	}
	if s.Kind == Cron {
		for name, override := range s.Environments {
			override.Replicas = nil
			s.Environments[name] = override
		}
	}
}

// unsuited says for each kind which keys it cannot have, whether they stand at the
// top of the file too, and what to do instead.
var unsuited = map[Kind][]struct {
	key    string
	shared bool
	advice string
}{
	Web: {
		{"schedule", false, "only a cron service has one: remove it, or set kind: cron"},
	},
	Worker: {
		{"schedule", false, "only a cron service has one: remove it, or set kind: cron"},
		{"port", false, "nothing reaches a worker: remove it, or set kind: web"},
		{"healthcheck", true, "nothing reaches a worker: remove it, or set kind: web"},
		{"rollback.on_error_rate", true, "a worker answers no requests: remove it, or set kind: web"},
	},
	Cron: {
		{"port", false, "nothing reaches a cron service: remove it, or set kind: web"},
		{"healthcheck", true, "nothing reaches a cron service: remove it, or set kind: web"},
		{"replicas", false, "a cron service runs once each time: remove it, or set kind: worker"},
		{"deploy", true, "a cron service has no rollout, its next run is the new revision: remove it"},
		{"rollback", true, "a cron service has no rollout: remove it"},
	},
}

// suits reports keys that the kind of the service has no use for.
func (c *checker) suits(field string, kind Kind, single bool) {
	homes := []string{field}
	if single {
		homes = append(homes, "")
	}
	for _, home := range homes {
		for _, no := range unsuited[kind] {
			if home == "" && !no.shared {
				continue // at the top it is an unknown key
			}
			at := home
			for key := range strings.SplitSeq(no.key, ".") {
				at = join(at, key)
			}
			c.refuse(at, kind, no.advice)
		}
		at := join(join(home, "deploy"), "strategy")
		if kind == Worker && c.ok(at) && c.places[at].value.Value == string(BlueGreen) {
			c.report(at, KindConflict, "strategy blueGreen does not suit kind worker, which has no traffic to switch: use rolling or canary")
		}
	}
	if at := join(field, "schedule"); kind == Cron && !c.given(at) {
		c.add(c.missing(field, at, `schedule is missing in `+where(field)+`: kind cron needs one, such as "0 3 * * *"`))
	}
}

func (c *checker) refuse(at string, kind Kind, advice string) {
	if c.given(at) {
		c.reportKey(at, KindConflict, "%s does not suit kind %s: %s", fieldName(at), kind, advice)
	}
}

// missing returns the error of a field that its block should have.
func (c *checker) missing(block, field, msg string) Error {
	at := c.places[block].key
	if at == nil {
		at = c.places[block].value
	}
	return Error{Line: at.Line, Column: at.Column, Kind: KindMissing, Field: field, Message: msg}
}

// overrides holds what environments change to the rules of the whole service.
func (c *checker) overrides(field string, s Service, single bool) {
	homes := []string{field}
	if single {
		homes = append(homes, "")
	}
	for _, home := range homes {
		for _, env := range sortedKeys(s.Environments) {
			at := join(join(home, "environments"), env)
			if s.Kind == Cron {
				c.refuse(join(at, "replicas"), Cron, "a cron service runs once each time: remove it")
			}
		}
	}
	for _, env := range sortedKeys(s.Environments) {
		at := join(join(field, "environments"), env)
		if !c.given(at) {
			at = join(join("", "environments"), env)
		}
		c.compare(join(at, "resources"), s.Resources, s.Environments[env].Resources)
	}
}

var dnsLabel = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`)

// label holds a name to a DNS-1123 label.
func (c *checker) label(field, what, value string, most int) {
	if c.ok(field) && !dnsLabel.MatchString(value) {
		c.reportMeant(field, KindFormat, gitops.Slug(value, most),
			`%s %s is not valid: expected lower-case letters, digits and "-", with a letter or digit at both ends`, what, quote(value))
	}
}

func (c *checker) team(field, value string) {
	if c.ok(field) && len(validation.IsValidLabelValue(value)) > 0 {
		c.reportMeant(field, KindFormat, gitops.Slug(value, maxVolumeName),
			`team %s is not valid: expected letters, digits, "-", "_" and ".", with a letter or digit at both ends`, quote(value))
	}
}

// folder returns a folder of the repository, "" for all of it.
func (c *checker) folder(field, value string) string {
	if !c.ok(field) {
		return ""
	}
	if why, meant := relative(value); why != "" {
		c.reportMeant(field, KindFormat, meant, "path %s %s", quote(value), why)
	}
	if value == "." {
		return ""
	}
	return value
}

// relative says what is wrong with a path that should be relative and clean, and
// what was meant.
func relative(value string) (why, meant string) {
	clean := path.Clean(strings.TrimLeft(value, "/"))
	switch {
	case strings.Contains(value, `\`):
		return `has a backslash: expected "/" between folders`, path.Clean(strings.ReplaceAll(value, `\`, "/"))
	case clean == ".." || strings.HasPrefix(clean, "../"):
		return "leads out of the repository: expected a path below its root", ""
	case strings.HasPrefix(value, "/"):
		return "is absolute: expected a path from the repository's root", clean
	case clean != value:
		return "is not clean", clean
	}
	return "", ""
}

// schedule holds a cron expression to what a CronJob takes everywhere: five
// fields. A CronJob refuses a time zone in it, and so do we.
func (c *checker) schedule(field, value string) {
	if !c.ok(field) {
		return
	}
	macros := map[string]string{"@yearly": "0 0 1 1 *", "@annually": "0 0 1 1 *", "@monthly": "0 0 1 * *", "@weekly": "0 0 * * 0",
		"@daily": "0 0 * * *", "@midnight": "0 0 * * *", "@hourly": "0 * * * *"}
	if n := len(strings.Fields(value)); n != 5 || strings.Contains(value, "=") {
		c.reportMeant(field, KindFormat, macros[value], "schedule %s: expected five fields, minute, hour, day of month, month and day of week, in UTC", quote(value))
		return
	}
	parser := cron.NewParser(cron.Minute | cron.Hour | cron.Dom | cron.Month | cron.Dow)
	schedule, err := parser.Parse(value)
	if err != nil {
		reason, _, _ := strings.Cut(err.Error(), ": strconv")
		c.report(field, KindFormat, "schedule %s: %s", quote(value), strings.Replace(reason, "failed to parse int from", "neither a number nor a name:", 1))
		return
	}
	if schedule.Next(time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)).IsZero() {
		c.report(field, KindFormat, "schedule %s never happens: there is no such date", quote(value))
	}
}

// migrate returns the job that runs before a rollout.
func (c *checker) migrate(field string, b *migrateBlock) *Migrate {
	if b == nil {
		return nil
	}
	return &Migrate{Command: c.words(join(field, "command"), b.Command)}
}

// volumes returns the scratch space of a service.
func (c *checker) volumes(field string, blocks []*volumeBlock) []Volume {
	var out []Volume
	names, paths := map[string]int{}, map[string]int{}
	for i, b := range blocks {
		if b == nil {
			continue
		}
		at := indexed(field, i)
		v := Volume{Name: b.Name, MountPath: b.MountPath, Size: string(b.Size)}
		if !c.given(join(at, "size")) {
			v.Size = defaultSize
		}
		c.label(join(at, "name"), "volume name", b.Name, maxVolumeName)
		c.unique(join(at, "name"), "volume name", b.Name, names)
		c.mountPath(join(at, "mountPath"), b.MountPath)
		c.unique(join(at, "mountPath"), "mountPath", b.MountPath, paths)
		c.memory(join(at, "size"), b.Size)
		out = append(out, v)
	}
	return out
}

func (c *checker) mountPath(field, value string) {
	if !c.ok(field) {
		return
	}
	switch clean := path.Clean("/" + value); {
	case clean == "/":
		c.report(field, KindFormat, "mountPath %s covers the whole container: expected a folder such as /tmp", quote(value))
	case clean != value:
		c.reportMeant(field, KindFormat, clean, "mountPath %s is not an absolute, clean path", quote(value))
	case strings.Contains(value, ":"):
		c.report(field, KindFormat, `mountPath %s: Kubernetes allows no ":" in it`, quote(value))
	}
}
