package bot

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/idp-bot/idp/bot/access"
	"github.com/idp-bot/idp/bot/report"
	"github.com/idp-bot/idp/gitops/platform"
	"github.com/idp-bot/idp/previews"
)

// approval is the kind of what waits for somebody's word, among proofs.
const approval previews.ReleaseKind = "approve"

// Proof is what is known of the provenance of a service's images.
type Proof struct {
	// Unproven are the images that are not what their class asks for. One that is not in its
	// registry yet is not among them: it is asked about before it is committed.
	Unproven []previews.Unproven
	// Err says why it is not known.
	Err string
}

// proofKey tells proofs apart.
func proofKey(kind previews.ReleaseKind, env, service, sha string) string {
	return fmt.Sprintf("%s %s/%s@%s", kind, env, service, sha)
}

// unproven returns why images are not deployed for want of their provenance, as Markdown
// sentences; none where they may be.
func (d *deciding) unproven(kind previews.ReleaseKind, env platform.Environment, sha string, services []string) []string {
	class, ok := d.Platform.Class(env.Class)
	if !ok || class.Provenance == nil {
		return nil
	}
	var out []string
	for _, service := range services {
		proof, read := d.Proofs[proofKey(kind, env.Name, service, sha)]
		switch {
		case !read:
			out = append(out, fmt.Sprintf("The provenance of the image of %s was not read, and %s asks for it.", report.Code(service), report.Code(env.Name)))
		case proof.Err != "":
			out = append(out, fmt.Sprintf("The provenance of the image of %s could not be read: %s.", report.Code(service), report.Text(proof.Err)))
		}
		for _, u := range proof.Unproven {
			out = append(out, fmt.Sprintf("Image %s of %s %s. %s takes only images with an attestation of %s: [how to attest](%s).",
				report.Code(u.Image.Reference), report.Code(u.Image.Service), report.Text(u.Why), report.Code(env.Name), report.Text(u.Asked), previews.AttestAction))
		}
	}
	return out
}

// proven refuses a release whose images are not proven to be what the class asks for.
func (r *run) proven(kind previews.ReleaseKind, env platform.Environment, sha string, services []string) (answer, bool) {
	unproven := r.unproven(kind, env, sha, services)
	if len(unproven) == 0 {
		return answer{}, true
	}
	r.auditOf(r.refOf(env.Name), string(kind)+" "+env.Name, sha, false, "not proven: "+strings.Join(unproven, " "))
	return sorry("its images are not proven", strings.Join(unproven, "\n\n")+"\n\nNothing was deployed to "+report.Code(env.Name)+"."), false
}

// candidate is what an event may come to deploy where provenance is asked for.
type candidate struct {
	key   string
	asked platform.Provenance
	would previews.Environment
}

// candidates are those of an event, as it would be if nothing else kept them out.
func (s Snapshot) candidates(event Event) []candidate {
	d := newDeciding(s, event)
	var out []candidate
	if s.deploysMerge(event) {
		out = d.mergeCandidates()
	}
	for _, i := range commandsNaming(event) {
		if !s.permits(event, i) {
			continue
		}
		command, _ := lookUp(i.Name)
		r := (&run{deciding: d, command: command, args: i.Args}).aside()
		switch i.Name {
		case "deploy", "diff":
			out = append(out, r.deployCandidates()...)
		case "promote":
			out = append(out, r.promoteCandidates()...)
		case "approve":
			out = append(out, r.approveCandidates()...)
		}
	}
	return out
}

// candidate returns what a release would be, where its class asks.
func (d *deciding) candidate(kind previews.ReleaseKind, env platform.Environment, service string, release previews.Release) []candidate {
	class, ok := d.Platform.Class(env.Class)
	if !ok || class.Provenance == nil {
		return nil
	}
	return []candidate{{proofKey(kind, env.Name, service, release.SHA), *class.Provenance, d.part(env, service).Would(release, d.Now)}}
}

func (d *deciding) mergeCandidates() (out []candidate) {
	rev := d.Revisions[d.PR.MergeSHA]
	for _, env := range d.Platform.Environments {
		if !env.AutoDeploy || rev.Spec.Spec == nil || !rev.OnDefault || d.fit(env, rev) != "" {
			continue
		}
		for _, service := range d.grouped(env, rev) {
			out = append(out, d.candidate(previews.ReleaseMerge, env, service, d.release(env, rev, previews.ReleaseMerge))...)
		}
	}
	return out
}

func (r *run) deployCandidates() (out []candidate) {
	o, _, ok := r.order()
	if !ok || !r.admitted(access.Deploy, o.env, o.rev.SHA).Allowed || r.fit(o.env, o.rev) != "" {
		return nil
	}
	for _, service := range o.services {
		out = append(out, r.candidate(previews.ReleaseDeploy, o.env, service, r.deciding.release(o.env, o.rev, previews.ReleaseDeploy))...)
	}
	return out
}

func (r *run) promoteCandidates() (out []candidate) {
	if len(r.args) != 2 {
		return nil
	}
	from, _, known := r.known(r.args[0])
	to, _, declared := r.known(r.args[1])
	if !known || !declared || from.Name == to.Name {
		return nil
	}
	for _, part := range r.servicesOf(from.Name) {
		current := part.Deployed.Current
		if rev, found := r.Revisions[current.SHA]; found && !current.HealthyAt.IsZero() && r.admitted(access.Promote, to, rev.SHA).Allowed && r.fit(to, rev) == "" {
			out = append(out, r.candidate(previews.ReleasePromote, to, part.Ref.Service, current)...)
		}
	}
	return out
}

func (r *run) approveCandidates() (out []candidate) {
	sha := validApproval(r.args)
	for _, env := range r.Platform.Environments {
		for _, part := range r.servicesOf(env.Name) {
			for _, release := range part.Waiting(sha) {
				out = append(out, r.candidate(approval, env, part.Ref.Service, release)...)
			}
		}
	}
	return out
}

// proofTimeout bounds how long all the attestations of an event may take to be read.
const proofTimeout = 30 * time.Second

// readProofs reads the provenance of what an event may come to deploy. What cannot be read
// is a fact as well, and denies; where it is only not our turn to ask, the event waits.
func (h *Handler) readProofs(ctx context.Context, event Event, s *Snapshot) error {
	if len(s.Revisions) == 0 {
		return nil
	}
	bounded, cancel := context.WithTimeout(ctx, proofTimeout)
	defer cancel()
	for _, c := range s.candidates(event) {
		proof, err := h.proof(bounded, c)
		switch {
		case err != nil && ctx.Err() == nil && bounded.Err() != nil:
			proof = Proof{Err: "it took too long; ask again in a while"}
		case err != nil:
			return err
		}
		if s.Proofs == nil {
			s.Proofs = map[string]Proof{}
		}
		// Of several that wait for one word, all have to be proven.
		before := s.Proofs[c.key]
		proof.Unproven = slices.Concat(before.Unproven, proof.Unproven)
		if proof.Err == "" {
			proof.Err = before.Err
		}
		s.Proofs[c.key] = proof
	}
	return ctx.Err()
}

func (h *Handler) proof(ctx context.Context, c candidate) (Proof, error) {
	if h.Images == nil || h.Prove == nil {
		return Proof{Err: "attestations are not read here"}, nil
	}
	images := c.would.Images
	if c.would.NeedsImages() {
		var err error
		if images, err = h.Images(ctx, c.would); err != nil {
			return Proof{Err: err.Error()}, nil
		}
	}
	there := slices.DeleteFunc(slices.Clone(images), func(i previews.Image) bool { return i.Missing != "" })
	if len(there) == 0 && len(images) > 0 {
		return Proof{}, nil
	}
	unproven, err := h.Prove(ctx, c.asked, c.would, there)
	if err != nil {
		return Proof{}, err
	}
	return Proof{Unproven: unproven}, nil
}
