package platform

import (
	"cmp"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/idp-bot/idp/gitops"
	"github.com/idp-bot/idp/gitops/provenance"
	"github.com/idp-bot/idp/gitops/spec"
)

// workflowFile is where GitHub looks for workflows, and rootFile a name in the platform
// folder itself.
var (
	workflowFile = regexp.MustCompile(`^\.github/workflows/[A-Za-z0-9._-]+\.ya?ml$`)
	rootFile     = regexp.MustCompile(`^[A-Za-z0-9_-][A-Za-z0-9._-]*$`)
)

// howToTrust is what to do for a trusted root.
const howToTrust = `write it with "gh attestation trusted-root", and review it as you would a key`

// load reads what a class asks of attestations, with the roots from their file.
func (b *provenanceBlock) load(doc *spec.Document, files []gitops.File) *Provenance {
	const workflow, issuer, trusted = "provenance.workflow", "provenance.issuer", "provenance.trusted_root"
	out := &Provenance{Workflow: b.Workflow, Issuer: cmp.Or(b.Issuer, provenance.GitHubIssuer)}
	if doc.OK(workflow) && !workflowFile.MatchString(b.Workflow) {
		doc.Report(workflow, spec.KindFormat, "workflow %q is no workflow's file: expected such as .github/workflows/release.yml", b.Workflow)
	}
	if doc.OK(issuer) && b.Issuer != "" && !strings.HasPrefix(b.Issuer, "https://") {
		doc.Report(issuer, spec.KindFormat, "issuer %q is no https URL, such as %s", b.Issuer, provenance.GitHubIssuer)
	}
	if !doc.OK(trusted) {
		return out
	}
	if !rootFile.MatchString(b.TrustedRoot) {
		doc.Report(trusted, spec.KindFormat, "trusted_root %q is no file's name: expected a file of %s itself, such as trusted_root.jsonl", b.TrustedRoot, Dir)
		return out
	}
	at := path.Join(Dir, b.TrustedRoot)
	i := slices.IndexFunc(files, func(f gitops.File) bool { return f.Path == at })
	if i < 0 {
		doc.Report(trusted, spec.KindFormat, "there is no %s: %s", at, howToTrust)
		return out
	}
	var err error
	if out.Roots, err = provenance.ParseRoots(files[i].Content); err != nil {
		doc.Report(trusted, spec.KindFormat, "%s holds no Sigstore trusted root: %v: %s", at, err, howToTrust)
	}
	return out
}
