package bot

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/idp-bot/idp/bot/report"
	"github.com/idp-bot/idp/gitops"
	"github.com/idp-bot/idp/gitops/spec"
	"github.com/idp-bot/idp/previews"
)

// Logs are what a service wrote last.
type Logs struct {
	// URL is where all of it can be read by whoever may, "" for nowhere.
	URL string
	// Lines are the last ones; Missing says in words why there are none.
	Lines   []string
	Missing string
}

// logs shows the last lines that a service wrote, where whoever reads this may read
// them, and where all of it is.
func logs(r *run) answer {
	env, service, a, ok := r.logged()
	if !ok {
		return a
	}
	found, read := r.Logs[env.Ref.Key()+"/"+service]
	if !read {
		return sorry("no Argo CD", "There is no Argo CD here to read logs from.")
	}
	where := service
	if env.Declared() {
		where += " in " + env.Ref.ID
	}
	return said("told", report.Logs(where, found.Lines, found.Missing, found.URL))
}

// logged is whose logs a command asks for: "[environment] [service]".
func (r *run) logged() (env previews.Environment, service string, a answer, ok bool) {
	if len(r.args) > 2 {
		return env, "", r.misused("takes at most an environment and a service"), false
	}
	name, service := logArguments(r.args, r.Snapshot)
	if name == "" {
		if a, ok := r.present(); !ok {
			return env, "", a, false
		}
		env = *r.env
	}
	services := servicesIn(name, env, r.Snapshot)
	switch {
	case len(services) == 0:
		return env, "", sorry("nothing runs there", "Nothing was deployed to "+report.Code(name)+" from this repository yet."), false
	case service == "":
		service = services[0]
	case !slices.Contains(services, service):
		return env, "", sorry("unknown service", fmt.Sprintf("There is no service %s here. There are %s.", report.Code(service), codes(services))), false
	}
	if name != "" {
		for _, row := range r.Declared {
			if row.Ref.ID == name && row.Ref.Service != "" && row.Has(service) {
				env = row
			}
		}
	}
	return env, service, answer{}, true
}

// logArguments tells the environment, "" for the preview, from the service.
func logArguments(args []string, s Snapshot) (environment, service string) {
	if len(args) > 0 {
		if _, declared := s.Platform.Environment(strings.ToLower(args[0])); declared {
			return strings.ToLower(args[0]), strings.Join(args[1:], " ")
		}
	}
	return "", strings.Join(args, " ")
}

// servicesIn are the services of a preview, or those deployed to an environment.
func servicesIn(name string, preview previews.Environment, s Snapshot) []string {
	var out []string
	if name == "" {
		parsed, _ := spec.Parse(spec.Path, preview.Spec)
		if parsed == nil {
			return nil
		}
		for _, service := range parsed.Services {
			out = append(out, service.Name)
		}
		return out
	}
	for _, row := range s.Declared {
		switch {
		case row.Ref.ID != name || row.Ref.Service == "":
		case row.Together():
			out = append(out, servicesIn("", row, s)...)
		default:
			out = append(out, row.Ref.Service)
		}
	}
	slices.Sort(out)
	return out
}

// readLogs reads what the commands of a comment ask for.
func (h *Handler) readLogs(ctx context.Context, event Event, s *Snapshot) {
	if h.Logs == nil {
		return
	}
	for _, i := range commandsNaming(event) {
		if i.Name != "logs" || len(i.Args) > 2 || !s.permits(event, i) {
			continue
		}
		name, service := logArguments(i.Args, *s)
		row := s.Environment
		var services []string
		switch {
		case name != "":
			services = servicesIn(name, previews.Environment{}, *s)
		case row != nil && row.Wanted == previews.Present:
			services = servicesIn("", *row, *s)
		}
		if service = cmp.Or(service, firstOf(services)); !slices.Contains(services, service) {
			continue
		}
		if name != "" {
			ref := gitops.EnvironmentRef{ID: name, Service: service}
			for k := range s.Declared {
				if s.Declared[k].Ref.Key() == ref.Key() {
					row = &s.Declared[k]
				}
			}
		}
		if s.Logs == nil {
			s.Logs = map[string]Logs{}
		}
		s.Logs[row.Ref.Key()+"/"+service] = h.Logs(ctx, *row, service)
	}
}

func firstOf(names []string) string {
	if len(names) == 0 {
		return ""
	}
	return names[0]
}
