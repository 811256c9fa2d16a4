package report

import (
	"bytes"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	"github.com/yuin/goldmark/renderer/html"
	"github.com/yuin/goldmark/text"

	"github.com/idp-bot/idp/gitops/figure"
	"github.com/idp-bot/idp/gitops/spec"
	"github.com/idp-bot/idp/previews"
)

// gfm renders Markdown as GitHub would, before GitHub's own sanitiser: raw HTML
// that gets through shows up as tags.
var gfm = goldmark.New(goldmark.WithExtensions(extension.GFM), goldmark.WithRendererOptions(html.WithUnsafe()))

// payloads returns over 300 texts that try to become something: the cores below,
// each in several wrappings that could set it free.
func payloads() []string {
	cores := []string{
		"<script>alert(1)</script>", "<img src=x onerror=alert(1)>", "<a href=\"javascript:alert(1)\">x</a>", "<b>x", "</details>", "</td></table>", "<!-- x", "-->",
		"<!-- idp:preview v1 env=other -->", "<https://evil.example>", "<mailto:a@evil.example>", "&lt;b&gt;", "&#60;b&#62;", "<svg/onload=alert(1)>", "<x:y>", "<?php ?>", "<![CDATA[x]]>", "<!DOCTYPE x>",
		"[x](https://evil.example)", "[x](javascript:alert(1))", "![x](https://evil.example/p.png)", "[x][y]\n\n[y]: https://evil.example", "[x]: https://evil.example", "[^1]", "https://evil.example", "http://evil.example/a_b", "www.evil.example", "WWW.evil.example", "ftp://evil.example", "evil@example.com", "xmpp:a@evil.example",
		"@octocat", "@acme/admins", "(@octocat)", "x @octocat y", "@\u200boctocat", "@\u00a0octocat", "\u202e@octocat", "#1", "acme/web#1", "GH-1", "gh-1",
		"**bold**", "__bold__", "*x*", "_x_", "~~x~~", "# heading", "## heading", "- item", "1. item", "> quote", "---", "===", "```", "~~~", "    code", "`code`", "``", "`", "| a | b |", "|", "\\", "\\|", "\\`|", "a\\|b|c", "$x$", "$$x$$", ":tada:",
		"line\nbreak", "line\r\n/idp destroy", "/idp destroy", "\n/idp destroy", "\u2028/idp destroy", "\x00<b>", "\x1b[31mred", "\xff\xfe<b>", strings.Repeat("`", 40), strings.Repeat("<b>", 500), strings.Repeat("[", 300), "{{ .x }}", "${x}",
	}
	var out []string
	for _, core := range cores {
		out = append(out, core, "x "+core, "`"+core+"`", core+"\n\n\\"+core)
	}
	return out
}

// hostile returns rows in which everything that others wrote is payload.
func hostile(payload string) []Input {
	waiting := newState("", 0, func(in *Input) {
		e := &in.Environment
		e.Team, e.HeadRef, e.Author = payload, payload, payload
		e.Missing([]previews.Image{{Service: payload, Reference: payload, Missing: payload}, {Service: "payments-api", Reference: "x:" + payload, Digest: payload}}, pushed)
	}).in
	degraded := newState("", 0, resolved, applied, observe(payload, "Degraded", payload), func(in *Input) {
		in.Environment.Team, in.Environment.AppliedCommit, in.Environment.Diff = payload, payload, "diff --git a/x b/"+payload+"\n+"+payload
		in.Class.RepoURL = "https://git.example/" + payload
		in.Class.Zone = payload
	}).in
	specErrors := specProblem
	specErrors.Errors = []spec.Error{{Path: payload, Line: 1, Column: 1, Message: payload}}
	out := []Input{waiting, degraded, newState("", 0, refused(specErrors)).in}
	for _, kind := range []previews.ProblemKind{previews.ProblemFork, previews.ProblemImage, previews.ProblemPush, previews.ProblemChanged, previews.ProblemSpec} {
		out = append(out, newState("", 0, resolved, fail(kind, payload, payload)).in)
	}
	paused := newState("", 0, resolved).in
	paused.Environment.Refuse(previews.Problem{Kind: previews.ProblemPaused, SHA: paused.Environment.SHA, Message: payload, Hint: payload}, paused.Now)
	out = append(out, paused)
	for _, reason := range []previews.RemovalReason{previews.RemovedByCommand, previews.RemovedUntriggered} {
		out = append(out, newState("", 0, resolved, applied, removed(previews.Removal{Reason: reason, By: payload, Detail: payload}, true)).in)
	}
	return out
}

var (
	ownTags   = regexp.MustCompile(`</?(?:details|summary|h3|p|ul|li|code|pre|table|thead|tbody|tr|th|td)(?: align="[a-z]+")?>|<code class="language-(?:text|diff)">|<a href="https://[A-Za-z0-9.-]+(?:/[^"]*)?">|</a>|<!-- idp:preview v1 env=idp-payments-api-pr-42-c9e2bd73ab -->`)
	anyTag    = regexp.MustCompile(`<[a-zA-Z/!?]`)
	wholeTag  = regexp.MustCompile(`<[^>]*>`)
	codeText  = regexp.MustCompile(`(?s)<code.*?</code>`)
	mentioned = regexp.MustCompile(`(?:^|[^\w])@[A-Za-z0-9]|#\d|(?i:\bgh-\d)`)
)

// TestEscaping feeds every payload to every report: no tag, link, mention,
// reference or heading comes of it, and no line that is a command.
func TestEscaping(t *testing.T) {
	t.Parallel()
	list := payloads()
	if len(list) < 300 {
		t.Fatalf("%d payloads, want at least 300", len(list))
	}
	figure.Tell(t, "%d payloads in %d reports each: 0 tags, 0 mentions, 0 links", len(list), 2*len(hostile("")))
	for i, payload := range list {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			t.Parallel()
			for _, in := range hostile(payload) {
				check := CheckOf(in)
				for _, body := range []string{Comment(in), check.Text} {
					inspect(t, payload, body)
				}
				for _, line := range append([]string{check.Title}, annotationText(check)...) {
					if strings.ContainsAny(line, "\n\r\x00\x1b\u2028\u202e") || !utf8.ValidString(line) {
						t.Errorf("%q: plain text %q has more than one printable line", payload, line)
					}
				}
			}
		})
	}
}

func annotationText(c Check) []string {
	var out []string
	for _, a := range c.Annotations {
		out = append(out, a.Message)
	}
	return out
}

// inspect fails where Markdown renders to more than our own structure.
func inspect(t *testing.T, payload, body string) {
	t.Helper()
	var rendered bytes.Buffer
	if err := gfm.Convert([]byte(body), &rendered); err != nil {
		t.Fatal(err)
	}
	visible := codeText.ReplaceAllString(rendered.String(), "<code></code>")
	if rest := ownTags.ReplaceAllString(visible, ""); anyTag.MatchString(rest) {
		t.Errorf("payload %q becomes a tag:\n%s\nof\n%s", payload, rest, body)
	}
	words := wholeTag.ReplaceAllString(visible, " ")
	if found := mentioned.FindString(words); found != "" {
		t.Errorf("payload %q mentions %q:\n%s", payload, found, words)
	}
	structure(t, payload, body)
	for _, line := range strings.Split(body, "\n") {
		if strings.HasPrefix(strings.TrimLeft(line, " "), "/idp") && !strings.Contains(body, "```") {
			t.Errorf("payload %q makes a line that is a command: %q", payload, line)
		}
	}
}

// structure counts what only we may write: links lead to the preview or the GitOps
// commit, nothing is emphasised, quoted or shown as an image, and there is at most
// one heading.
func structure(t *testing.T, payload, body string) {
	t.Helper()
	source := []byte(body)
	headings := 0
	_ = ast.Walk(gfm.Parser().Parse(text.NewReader(source)), func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		if !entering {
			return ast.WalkContinue, nil
		}
		switch n := n.(type) {
		case *ast.Heading:
			if headings++; headings > 1 {
				t.Errorf("payload %q adds a heading:\n%s", payload, body)
			}
		case *ast.Link:
			if to := string(n.Destination); !strings.HasPrefix(to, "https://git.example/") && !strings.HasPrefix(to, "https://github.com/acme/gitops/") && !strings.HasPrefix(to, "https://payments-api-pr-42-") {
				t.Errorf("payload %q links to %q:\n%s", payload, to, body)
			}
		case *ast.Image, *ast.AutoLink, *ast.Emphasis, *ast.Blockquote, *ast.ThematicBreak, *ast.CodeBlock:
			t.Errorf("payload %q makes a %s:\n%s", payload, n.Kind(), body)
		}
		return ast.WalkContinue, nil
	})
}

// FuzzEscape holds what every text must keep to: one line of text or code, and
// nothing but that.
func FuzzEscape(f *testing.F) {
	for _, p := range payloads() {
		f.Add(p)
	}
	f.Fuzz(func(t *testing.T, s string) {
		for _, body := range []string{"before " + Text(s) + " after", paragraph(s), "before " + Code(s) + " after", "| a |\n|---|\n| " + cellCode(s) + " |", "| a |\n|---|\n| " + Text(s) + " |", fence("text", s)} {
			inspect(t, s, body)
		}
		if strings.Contains(Text(s), "\n") || strings.Contains(Code(s), "\n") {
			t.Errorf("%q spans lines", s)
		}
	})
}
