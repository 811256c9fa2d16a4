package onboard

import (
	"bytes"
	"net/url"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/parser"

	"github.com/idp-bot/idp/gitops/spec"
)

// dockerfiles finds a service for each Dockerfile that the compose file does not name.
func (l *look) dockerfiles() {
	for _, name := range l.files {
		if !isDockerfile(name) || slices.ContainsFunc(l.found.Services, func(s Service) bool { return s.dockerfile == name }) {
			continue
		}
		s := Service{Name: l.nameOf(name), Path: folder(name), From: name, dockerfile: name}
		l.readDockerfile(&s, "")
		l.add(s)
	}
}

func isDockerfile(name string) bool {
	base := path.Base(name)
	return base == "Dockerfile" || base == "Containerfile" || strings.HasPrefix(base, "Dockerfile.") && !strings.HasSuffix(base, ".dockerignore") || strings.HasSuffix(base, ".Dockerfile")
}

// nameOf names the service of a Dockerfile: by what is beside "Dockerfile" in its name,
// by its folder, or as the repository.
func (l *look) nameOf(name string) string {
	base := path.Base(name)
	if rest := strings.TrimSuffix(strings.TrimPrefix(base, "Dockerfile."), ".Dockerfile"); rest != base && !slices.Contains([]string{"prod", "production", "release"}, rest) {
		return rest
	}
	if dir := folder(name); dir != "" && !slices.Contains([]string{"docker", "deploy", "build", ".github"}, path.Base(dir)) {
		return path.Base(dir)
	}
	return l.repository
}

// folder is the folder of a file, "" for the root.
func folder(name string) string {
	if dir := path.Dir(name); dir != "." {
		return dir
	}
	return ""
}

// readDockerfile takes what a Dockerfile says of the service that it builds: of its last
// stage, or of the target.
func (l *look) readDockerfile(s *Service, target string) {
	data := l.read(s.dockerfile)
	if data == nil {
		return
	}
	tree, err := parser.Parse(bytes.NewReader(data))
	var stages []instructions.Stage
	if err == nil {
		stages, _, err = instructions.Parse(tree.AST, nil)
	}
	if err != nil {
		l.note("%s cannot be read as a Dockerfile: %v", s.dockerfile, err)
		return
	}
	stage := len(stages) - 1
	if target != "" {
		if i := slices.IndexFunc(stages, func(o instructions.Stage) bool { return strings.EqualFold(o.Name, target) }); i >= 0 {
			stage = i
		}
	}
	for range stages { // a stage may be made from another, whose ports it has
		if stage < 0 {
			return
		}
		for _, command := range slices.Backward(stages[stage].Commands) {
			switch c := command.(type) {
			case *instructions.ExposeCommand:
				if port := firstPort(c.Ports); port > 0 && s.Port == 0 {
					s.Port, s.PortFrom = port, s.dockerfile
				}
			case *instructions.HealthCheckCommand:
				if p := healthPath(strings.Join(c.Health.Test, " ")); p != "" && s.Health == "" {
					s.Health, s.HealthFrom = p, s.dockerfile
				}
			}
		}
		base := stages[stage].BaseName
		stage = slices.IndexFunc(stages[:stage], func(o instructions.Stage) bool { return strings.EqualFold(o.Name, base) })
	}
	if s.Port == 0 && s.Health == "" && s.Kind == "" && strings.Contains(s.Name, "worker") {
		s.Kind = spec.Worker
	}
}

// firstPort is the first TCP port of EXPOSE's words, 0 where it takes a build to know.
func firstPort(ports []string) int {
	for _, word := range ports {
		number, protocol, _ := strings.Cut(word, "/")
		if n, err := strconv.ParseUint(number, 10, 16); err == nil && n > 0 && (protocol == "" || protocol == "tcp") {
			return int(n)
		}
	}
	return 0
}

// healthPath is the path of the first URL of this host in a command, "" for none.
func healthPath(command string) string {
	for _, word := range strings.FieldsFunc(command, func(r rune) bool { return strings.ContainsRune(" \t\"'`|;()", r) }) {
		if !strings.HasPrefix(word, "http://") && !strings.HasPrefix(word, "localhost:") && !strings.HasPrefix(word, "127.0.0.1:") {
			continue
		}
		if !strings.HasPrefix(word, "http://") {
			word = "http://" + word
		}
		u, err := url.Parse(strings.NewReplacer("${PORT}", "1", "$PORT", "1").Replace(word))
		if err == nil && slices.Contains([]string{"localhost", "127.0.0.1", "0.0.0.0", "[::1]", "::1"}, u.Hostname()) && strings.HasPrefix(u.Path, "/") && u.RawQuery == "" {
			return u.Path
		}
	}
	return ""
}
