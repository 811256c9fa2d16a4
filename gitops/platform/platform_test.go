package platform_test

import (
	"strings"
	"testing"
	"time"

	"github.com/idp-bot/idp/gitops/platform"
)

func class() platform.Class {
	c := platform.Default()
	c.RepoURL = "https://git.example.com/acme/gitops.git"
	return c
}

func TestDefaultIsValid(t *testing.T) {
	t.Parallel()
	if err := class().Validate(); err != nil {
		t.Error(err)
	}
	if err := platform.Default().Validate(); err == nil || !strings.Contains(err.Error(), "repository url: is empty") {
		t.Errorf("without a repository: %v", err)
	}
}

func TestValidate(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		change func(*platform.Class)
		want   string // "" for valid
	}{
		{"name", func(c *platform.Class) { c.Name = "Pre View" }, "name: "},
		{"scp-like url", func(c *platform.Class) { c.RepoURL = "git@git.example.com:acme/gitops.git" }, ""},
		{"password in the url", func(c *platform.Class) { c.RepoURL = "https://bot:hunter2@git.example.com/x" }, "holds a password"},
		{"template in the branch", func(c *platform.Class) { c.Branch = "{{ .name }}" }, "would expand"},
		{"project", func(c *platform.Class) { c.Project = "A B" }, "project: "},
		{"zone", func(c *platform.Class) { c.Zone = "*.example.com" }, "zone: "},
		{"host outside the zone", func(c *platform.Class) { c.HostTemplate = "{service}-{hash}.example.com" }, "does not end in .{zone}"},
		{"one host for all", func(c *platform.Class) { c.HostTemplate = "{service}.{zone}" }, "has no {hash}"},
		{"host without room", func(c *platform.Class) { c.HostTemplate = "{service}-{env}-{hash}-{owner}.{zone}" }, "leaves fewer than 12"},
		{"host part too long", func(c *platform.Class) { c.HostTemplate = "{service}.{owner}-{repo}-{env}.{zone}" }, "more than 63 characters"},
		{"unknown placeholder in a host", func(c *platform.Class) { c.HostTemplate = "{service}-{branch}-{env}.{zone}" }, "no valid host name"},
		{"host in parts", func(c *platform.Class) { c.HostTemplate = "{service}.{env}-{hash}.{zone}" }, ""},
		{"host too long", func(c *platform.Class) { c.Zone = strings.Repeat("a23456789.", 24) + "com" }, "no valid host name"},
		{"image", func(c *platform.Class) { c.ImageTemplate = " " }, "image template: is empty"},
		{"routing", func(c *platform.Class) { c.Routing.Kind = "Route" }, "neither HTTPRoute nor Ingress"},
		{"no way in", func(c *platform.Class) { c.Routing = platform.Routing{Kind: platform.Ingress} }, "controller namespace"},
		{"ingress", func(c *platform.Class) {
			c.Routing = platform.Routing{Kind: platform.Ingress, IngressClass: "nginx", TLSSecret: "tls", ControllerNamespace: "nginx"}
		}, ""},
		{"pod security", func(c *platform.Class) { c.PodSecurity = "strict" }, "none of restricted"},
		{"ttl", func(c *platform.Class) { c.MaxTTL = time.Hour }, "maximum ttl"},
		{"warning", func(c *platform.Class) { c.WarnBefore = c.TTL }, "not within the ttl"},
		{"quantity", func(c *platform.Class) { c.Quota.Memory = "8 GB" }, "quota memory"},
		{"default above quota", func(c *platform.Class) { c.Quota.DefaultCPU = "8" }, "quota cpu: 4 is less than 8"},
		{"pods", func(c *platform.Class) { c.Quota.Pods = 0 }, "quota pods"},
		{"egress", func(c *platform.Class) { c.EgressCIDRs = []string{"example.com"} }, "no CIDR"},
		{"egress bits", func(c *platform.Class) { c.EgressCIDRs = []string{"10.1.2.3/8"} }, "did you mean 10.0.0.0/8?"},
		{"egress to metadata", func(c *platform.Class) { c.EgressCIDRs = []string{"169.254.169.254/32"} }, "hands out credentials"},
		{"egress to mapped addresses", func(c *platform.Class) { c.EgressCIDRs = []string{"::ffff:10.0.0.0/104"} }, "IPv6 clothes"},
		{"metadata may be denied", func(c *platform.Class) { c.EgressDeniedCIDRs = []string{"169.254.169.254/32"} }, ""},
		{"internet", func(c *platform.Class) { c.EgressCIDRs = []string{"0.0.0.0/0", "::/0"} }, ""},
		{"comment", func(c *platform.Class) { c.Comment = "never" }, "comment: "},
		{"logs", func(c *platform.Class) { c.Logs = "" }, "logs: "},
		{"diffs", func(c *platform.Class) { c.Diffs = "" }, "diffs: "},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			c := class()
			test.change(&c)
			err := c.Validate()
			if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
				t.Errorf("got %v, want %q", err, test.want)
			}
		})
	}
}

func TestValidateTellsEverything(t *testing.T) {
	t.Parallel()
	err := platform.Class{Name: "empty"}.Validate()
	for _, field := range []string{"repository url", "branch", "project", "destination", "zone", "host template", "image template",
		"routing", "pod security", "ttl", "quota cpu", "quota memory", "quota pods", "comment"} {
		if err == nil || !strings.Contains(err.Error(), `class "empty": `+field) {
			t.Errorf("nothing about %s: %v", field, err)
		}
	}
}
