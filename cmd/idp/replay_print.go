package main

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	sigsyaml "sigs.k8s.io/yaml"

	"github.com/idp-bot/idp/bot/report"
	"github.com/idp-bot/idp/gitops/platform"
	"github.com/idp-bot/idp/previews"
)

// replayed is what "idp replay" prints; its JSON names are a contract.
type replayed struct {
	// Event is GitHub's name and action, Subject the pull request.
	Event   string `json:"event"`
	Subject string `json:"subject,omitempty"`
	// Assumptions are what the bot would have read and replay could not.
	Assumptions []string `json:"assumptions"`
	// Reasons say in order how the decision came about.
	Reasons []string        `json:"reasons"`
	Audit   []replayedAudit `json:"audit,omitempty"`
	// Reactions and Replies answer a comment.
	Reactions []string `json:"reactions,omitempty"`
	Replies   []string `json:"replies,omitempty"`
	// Commit, Comment, Check and Deployment are as they stand once all is done;
	// absent where there is none or nothing changes.
	Commit     *replayedCommit     `json:"commit,omitempty"`
	Comment    string              `json:"comment,omitempty"`
	Check      *replayedCheck      `json:"check,omitempty"`
	Deployment *replayedDeployment `json:"deployment,omitempty"`

	class platform.Class
	web   string
	now   time.Time
}

type replayedAudit struct {
	Actor   string `json:"actor"`
	Action  string `json:"action"`
	Allowed bool   `json:"allowed"`
	Reason  string `json:"reason"`
}

type replayedCommit struct {
	Environment string            `json:"environment"`
	Generation  int64             `json:"generation"`
	Wanted      previews.Presence `json:"wanted"`
	Files       []replayedFile    `json:"files,omitempty"`
	// Removed are folders that go.
	Removed []string `json:"removed,omitempty"`
	// Element is the preview's element of the ApplicationSet's list; a removal
	// takes it out.
	Element map[string]any `json:"element,omitempty"`
}

type replayedFile struct {
	Path string `json:"path"`
	// Change is new, changed or same, against what is assumed to be there.
	Change  string `json:"change"`
	Content string `json:"content"`
}

// What a commit does to a file.
const (
	fileNew     = "new"
	fileChanged = "changed"
	fileSame    = "same"
)

type replayedCheck struct {
	Name        string              `json:"name"`
	SHA         string              `json:"sha"`
	Status      string              `json:"status"`
	Conclusion  string              `json:"conclusion,omitempty"`
	Title       string              `json:"title"`
	Summary     string              `json:"summary"`
	Annotations []report.Annotation `json:"annotations,omitempty"`
}

type replayedDeployment struct {
	State       string `json:"state"`
	SHA         string `json:"sha"`
	URL         string `json:"url,omitempty"`
	Description string `json:"description"`
}

func (r *replayed) assumed(format string, args ...any) {
	r.Assumptions = append(r.Assumptions, fmt.Sprintf(format, args...))
}

// elementOf returns the first element of an ApplicationSet's list.
func elementOf(applicationSet []byte) (map[string]any, error) {
	var set struct {
		Spec struct {
			Generators []struct {
				List struct {
					Elements []map[string]any `json:"elements"`
				} `json:"list"`
			} `json:"generators"`
		} `json:"spec"`
	}
	if err := sigsyaml.Unmarshal(applicationSet, &set); err != nil {
		return nil, fmt.Errorf("read the ApplicationSet: %w", err)
	}
	for _, generator := range set.Spec.Generators {
		if len(generator.List.Elements) > 0 {
			return generator.List.Elements[0], nil
		}
	}
	return nil, fmt.Errorf("the ApplicationSet lists nothing")
}

// text is the replay for people: a heading for each step, and what came of it.
func (r *replayed) text(style style) string {
	var b strings.Builder
	section := func(title string, body ...string) {
		if b.Len() > 0 {
			b.WriteString("\n")
		}
		b.WriteString(style.bold(title) + "\n")
		for _, part := range body {
			for _, line := range strings.Split(strings.TrimRight(part, "\n"), "\n") {
				b.WriteString(strings.TrimRight("  "+line, " ") + "\n")
			}
		}
	}
	section("EVENT", strings.TrimSpace(r.Event+" "+r.Subject))
	if len(r.Assumptions) > 0 {
		section("ASSUMED", r.Assumptions...)
	}
	section("DECIDED", r.Reasons...)
	if r.Commit != nil {
		section("COMMIT", r.Commit.lines()...)
	} else {
		section("COMMIT", "none")
	}
	if len(r.Reactions) > 0 {
		section("REACTION", r.Reactions...)
	}
	if len(r.Replies) > 0 {
		section("REPLY", r.Replies...)
	}
	if r.Check != nil {
		section("CHECK", r.Check.lines()...)
	}
	if r.Comment != "" {
		section("COMMENT", r.Comment)
	}
	if d := r.Deployment; d != nil {
		section("DEPLOYMENT", strings.TrimSpace(d.State+" "+d.URL), d.Description)
	}
	return b.String()
}

func (c *replayedCommit) lines() []string {
	out := []string{fmt.Sprintf("%s %s, generation %d", c.Environment, c.Wanted, c.Generation)}
	for _, file := range c.Files {
		mark := map[string]string{fileNew: "+ ", fileChanged: "~ "}[file.Change]
		out = append(out, cmp.Or(mark, "  ")+file.Path)
	}
	for _, folder := range c.Removed {
		out = append(out, "- "+folder, "- its element of the ApplicationSet")
	}
	if len(c.Element) > 0 {
		// A map of strings always marshals.
		element, _ := sigsyaml.Marshal(map[string]any{"element": c.Element})
		out = append(out, string(element))
	}
	return out
}

func (c *replayedCheck) lines() []string {
	verdict := c.Status
	if c.Conclusion != "" {
		verdict = c.Conclusion
	}
	out := []string{fmt.Sprintf("%s at %.7s: %s", c.Name, c.SHA, verdict), c.Title}
	for _, a := range c.Annotations {
		place := fmt.Sprintf("%s:%d", a.Path, a.StartLine)
		if a.StartColumn > 0 { // an annotation of several lines has none
			place += fmt.Sprintf(":%d", a.StartColumn)
		}
		out = append(out, place+": "+a.Message)
	}
	return out
}
