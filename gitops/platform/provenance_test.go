package platform_test

import (
	"testing"

	"github.com/idp-bot/idp/gitops"
	"github.com/idp-bot/idp/gitops/platform"
	"github.com/idp-bot/idp/gitops/provenance"
	"github.com/idp-bot/idp/gitops/provenance/provenancetest"
)

func TestProvenance(t *testing.T) {
	t.Parallel()
	sigstore, err := provenancetest.New()
	if err != nil {
		t.Fatal(err)
	}
	root, err := sigstore.Root()
	if err != nil {
		t.Fatal(err)
	}
	const asked = "provenance:\n  workflow: .github/workflows/release.yml\n  trusted_root: trusted_root.jsonl\n"
	p, errs := platform.Load([]gitops.File{
		{Path: platform.ClassesDir + "/durable.yaml", Content: []byte(asked)},
		{Path: platform.ClassesDir + "/abroad.yaml", Content: []byte(asked + "  issuer: https://token.actions.acme.ghe.com\n")},
		{Path: platform.ClassesDir + "/open.yaml", Content: []byte("domain: example.com\n")},
		{Path: platform.Dir + "/trusted_root.jsonl", Content: root},
	}, class())
	if err := errs.Err(); err != nil {
		t.Fatal(err)
	}
	for name, issuer := range map[string]string{"durable": provenance.GitHubIssuer, "abroad": "https://token.actions.acme.ghe.com"} {
		c, _ := p.Class(name)
		if c.Provenance == nil || c.Provenance.Workflow != ".github/workflows/release.yml" || c.Provenance.Issuer != issuer || c.Provenance.Roots.Empty() {
			t.Errorf("class %s asks for %+v", name, c.Provenance)
		}
	}
	if c, _ := p.Class("open"); c.Provenance != nil {
		t.Errorf("class open asks for %+v", c.Provenance)
	}
}
