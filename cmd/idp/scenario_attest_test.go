package main

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/idp-bot/idp/gitops/provenance"
	"github.com/idp-bot/idp/gitops/provenance/provenancetest"
)

// trust is the Sigstore of the scenario, made at its first use.
func (p *play) trust(ts *testscript.TestScript) *provenancetest.Sigstore {
	if p.sigstore == nil {
		var err error
		p.sigstore, err = provenancetest.New()
		ts.Check(err)
	}
	return p.sigstore
}

// trustedRoot puts the Sigstore's trusted root where a file names it.
func (p *play) trustedRoot(ts *testscript.TestScript, text string) string {
	if !strings.Contains(text, "$SIGSTORE") {
		return text
	}
	root, err := p.trust(ts).Root()
	ts.Check(err)
	return strings.ReplaceAll(text, "$SIGSTORE", string(root))
}

// attest lets a workflow attest where it built the image of a commit, as
// actions/attest-build-provenance does.
func (p *play) attest(ts *testscript.TestScript, args []string) {
	alias, _, named := strings.Cut(args[0], "@")
	pr, more := p.pull(ts, alias), options(args[1:])
	r, sha := p.home(ts, pr), pr.HeadSHA()
	if named {
		sha = p.sha(ts, "{"+args[0]+"}")
	}
	ref, err := name.ParseReference(fmt.Sprintf("%s/%s:%s", p.world.registryAddr, strings.ToLower(r.FullName()), sha), name.Insecure)
	ts.Check(err)
	image, err := remote.Head(ref, remote.WithContext(p.ctx))
	ts.Check(err)
	bundle, err := p.trust(ts).Attest(image.Digest.String(), provenancetest.Build{Expectation: provenance.Expectation{
		Issuer: provenance.GitHubIssuer, Repository: p.world.github.HTMLURL() + "/" + cmp.Or(option(more, "of", ""), r.FullName()), RepositoryID: r.ID(),
		Workflow: option(more, "workflow", ".github/workflows/release.yml"), Ref: option(more, "ref", "refs/heads/"+r.DefaultBranch()), SHA: sha,
	}})
	ts.Check(err)
	ts.Check(r.Attest(bundle))
}
