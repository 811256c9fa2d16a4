package render

import (
	"slices"
	"strings"
	"testing"

	"github.com/idp-bot/idp/gitops"
	"github.com/idp-bot/idp/gitops/fault"
)

// ofService is what a chart of a service's own rendered to.
func ofService(service string, objects ...string) Adopted {
	out := Adopted{Service: service, Source: "the helm source of " + service}
	for _, object := range objects {
		kind, name, _ := strings.Cut(object, " ")
		out.Files = append(out.Files, gitops.File{Path: AdoptedPath(kind, name), Content: []byte("kind: " + kind + "\nmetadata: {name: " + name + "}\n")})
	}
	return out
}

// TestAdoptedOfServices has idp render the services alone that have no source of their own.
func TestAdoptedOfServices(t *testing.T) {
	t.Parallel()
	const spec = "services: [{name: api}, {name: web, migrate: {command: [up]}}, {name: mail, kind: worker}]"
	for name, c := range map[string]struct {
		adopted       []Adopted
		there, gone   []string
		door, gatedBy bool
	}{
		"none":       {nil, []string{"api-deployment.yaml", "web-migrate-job.yaml", "mail-deployment.yaml"}, nil, false, true},
		"one":        {[]Adopted{ofService("api", "Deployment x")}, []string{"deployment-x.yaml", "web-deployment.yaml"}, []string{"api-deployment.yaml", "api-service.yaml"}, true, true},
		"a worker's": {[]Adopted{ofService("mail", "Deployment x")}, []string{"deployment-x.yaml", "api-deployment.yaml"}, []string{"mail-deployment.yaml", "mail-networkpolicy.yaml"}, false, true},
		"all web":    {[]Adopted{ofService("api", "Deployment x"), ofService("web", "Deployment y")}, []string{"deployment-x.yaml", "deployment-y.yaml", "web-networkpolicy.yaml"}, []string{"web-migrate-job.yaml"}, true, false},
		"of nothing": {[]Adopted{ofService("api")}, []string{"web-deployment.yaml"}, []string{"api-deployment.yaml"}, true, true},
		"the whole":  {[]Adopted{ofService("", "Deployment x")}, []string{"deployment-x.yaml", "networkpolicy.yaml"}, []string{"api-deployment.yaml", "web-deployment.yaml", "mail-deployment.yaml"}, false, false},
	} {
		in := preview(t, []byte(spec))
		in.Adopted = c.adopted
		files := whole(t, in)
		text := map[string]string{}
		for _, f := range files {
			text[strings.TrimPrefix(f.Path, in.Ref.ManifestsDir()+"/")] = string(f.Content)
		}
		for _, file := range c.there {
			if text[file] == "" {
				t.Errorf("%s: there is no %s", name, file)
			}
		}
		for _, file := range c.gone {
			if text[file] != "" {
				t.Errorf("%s: there is %s", name, file)
			}
		}
		if door := strings.Contains(text["api-networkpolicy.yaml"], "idp.dev/service: api"); door != c.door {
			t.Errorf("%s: the gateway is let to its pods: %v", name, door)
		}
		if gated := strings.Contains(text["networkpolicy.yaml"], "port: http"); gated != c.gatedBy {
			t.Errorf("%s: the gateway is let to ports of idp's name: %v", name, gated)
		}
		record, err := ParseRecord(files[slices.IndexFunc(files, func(f gitops.File) bool { return f.Path == in.Ref.RecordPath() })].Content)
		if err != nil || len(record.Images) != 3 || len(record.Hosts) != 2 {
			t.Errorf("%s: recorded %+v: %v", name, record, err)
		}
	}
}

// TestAdoptedTwice refuses two objects of one kind and name, and says what renders both.
func TestAdoptedTwice(t *testing.T) {
	t.Parallel()
	const spec = "services: [{name: api}, {name: deployment}, {name: web}]"
	for name, c := range map[string]struct {
		adopted []Adopted
		want    string
	}{
		"of two sources":   {[]Adopted{ofService("api", "ConfigMap x"), ofService("web", "Service x", "ConfigMap x")}, "ConfigMap x is rendered twice: by the helm source of api and by the helm source of web"},
		"of one source":    {[]Adopted{ofService("api", "ConfigMap x", "ConfigMap x")}, "ConfigMap x is rendered twice: by the helm source of api and by the helm source of api"},
		"of idp's":         {[]Adopted{ofService("api", "Deployment web")}, "Deployment web is rendered twice: by idp and by the helm source of api"},
		"of one file":      {[]Adopted{ofService("api", "Deployment service")}, "Deployment service of the helm source of api would stand in one file with Service deployment of idp, deployment-service.yaml"},
		"of the same name": {[]Adopted{ofService("api", "ConfigMap x"), ofService("web", "Service x")}, ""},
	} {
		in := preview(t, []byte(spec))
		in.Adopted = c.adopted
		_, err := Environment(in)
		if c.want == "" && err != nil || c.want != "" && (fault.CodeOf(err) != fault.Conflict || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
