package onboard

import (
	"context"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/compose-spec/compose-go/v2/loader"
	"github.com/compose-spec/compose-go/v2/types"

	"github.com/idp-bot/idp/gitops/spec"
)

// composeFiles are Compose's own names, the first of which counts.
var composeFiles = []string{"compose.yaml", "compose.yml", "docker-compose.yaml", "docker-compose.yml"}

// compose finds a service for each of the compose file that is built here. The others,
// such as databases, are told in a note: they are not this repository's to deploy.
func (l *look) compose() {
	i := slices.IndexFunc(composeFiles, l.has)
	if i < 0 {
		return
	}
	file := composeFiles[i]
	data := l.read(file)
	if data == nil {
		return
	}
	project, err := loader.LoadWithContext(context.Background(), types.ConfigDetails{
		WorkingDir: "/", ConfigFiles: []types.ConfigFile{{Filename: file, Content: data}}, Environment: types.Mapping{},
	}, func(o *loader.Options) {
		o.SetProjectName("idp", true)
		// Nothing but the file is read.
		o.SkipInclude, o.SkipExtends, o.SkipResolveEnvironment, o.SkipConsistencyCheck, o.SkipInterpolation = true, true, true, true, true
		o.ResourceLoaders = nil
	})
	if err != nil {
		l.note("%s cannot be read: %v", file, err)
		return
	}
	var beside []string
	for _, name := range slices.Sorted(maps.Keys(project.Services)) {
		c := project.Services[name]
		if c.Build == nil {
			beside = append(beside, name+" ("+c.Image+")")
			continue
		}
		l.add(l.fromCompose(file, name, c))
	}
	if len(beside) > 0 {
		l.note("%s runs %s beside; idp does not deploy them. The platform team can give previews what they need (base objects of a class).", file, strings.Join(beside, ", "))
	}
}

func (l *look) fromCompose(file, name string, c types.ServiceConfig) Service {
	context := strings.TrimPrefix(path.Clean("/"+c.Build.Context), "/")
	dockerfile := c.Build.Dockerfile
	if dockerfile == "" {
		dockerfile = "Dockerfile"
	}
	s := Service{Name: name, Path: context, From: file, Command: c.Command, dockerfile: path.Join(context, dockerfile)}
	for _, port := range c.Ports {
		if s.Port == 0 && (port.Protocol == "" || port.Protocol == "tcp") {
			s.Port, s.PortFrom = int(port.Target), file
		}
	}
	for _, word := range c.Expose {
		if n, err := strconv.ParseUint(word, 10, 16); err == nil && s.Port == 0 {
			s.Port, s.PortFrom = int(n), file
		}
	}
	if c.HealthCheck != nil && !c.HealthCheck.Disable {
		if p := healthPath(strings.Join(c.HealthCheck.Test, " ")); p != "" {
			s.Health, s.HealthFrom = p, file
		}
	}
	published := s.Port != 0
	if l.has(s.dockerfile) {
		l.readDockerfile(&s, c.Build.Target)
	} else {
		l.note("%s: %s builds it of %s, which is not there.", name, file, s.dockerfile)
	}
	if !published && (s.Port == 0 || len(s.Command) > 0) {
		// It is reached by nobody: its Dockerfile's port is that of the service which
		// shares it and has no command of its own.
		s.Kind, s.Port, s.Health = spec.Worker, 0, ""
	}
	for key := range c.Environment {
		s.Env = append(s.Env, key)
	}
	slices.Sort(s.Env)
	return s
}
