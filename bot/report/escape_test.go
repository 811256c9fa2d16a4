package report

import (
	"bytes"
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
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

// corpus is the folder of texts that try to become something, and of what becomes of each.
const corpus = "../../testdata/hostile/markdown"

// payloads reads the corpus: a quoted text in each line.
func payloads(t testing.TB) []string {
	t.Helper()
	raw, err := os.ReadFile(corpus + "/payloads.txt")
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for line := range strings.Lines(string(raw)) {
		payload, err := strconv.Unquote(strings.TrimSuffix(line, "\n"))
		if err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		out = append(out, payload)
	}
	if len(out) < 300 {
		t.Fatalf("%d payloads, want at least 300", len(out))
	}
	return out
}

// escapes are the ways in which what others wrote is shown.
var escapes = []struct {
	name string
	show func(string) string
}{
	{"text", Text}, {"paragraph", paragraph}, {"code", Code}, {"cell", cellCode}, {"fence", func(s string) string { return fence("text", s) }},
}

// TestPayloads holds each payload, in each of the ways that it may be shown, to the words
// that the golden file has for it.
func TestPayloads(t *testing.T) {
	t.Parallel()
	list := payloads(t)
	var b strings.Builder
	for _, payload := range list {
		fmt.Fprintf(&b, "%q\n", payload)
		for _, e := range escapes {
			fmt.Fprintf(&b, "  %-9s %q\n", e.name, e.show(payload))
		}
	}
	golden := corpus + "/payloads.golden"
	if *update {
		if err := os.WriteFile(golden, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), b.String()); diff != "" {
		t.Errorf("%s (-want +got; -update rewrites):\n%s", golden, diff)
	}
	figure.Tell(t, "%d payloads × %d ways to show one: each as it is written down", len(list), len(escapes))
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
	list := payloads(t)
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
	for line := range strings.Lines(outsideFences(body)) {
		if strings.HasPrefix(strings.TrimLeft(line, " "), "/idp") {
			t.Errorf("payload %q makes a line that is a command: %q", payload, line)
		}
	}
}

// outsideFences is the body without what stands in fences of code, where no line is a
// command.
func outsideFences(body string) string {
	source := []byte(body)
	out := bytes.Clone(source)
	_ = ast.Walk(gfm.Parser().Parse(text.NewReader(source)), func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		if n, ok := n.(*ast.FencedCodeBlock); ok && entering {
			for i := range n.Lines().Len() {
				line := n.Lines().At(i)
				copy(out[line.Start:line.Stop], bytes.Repeat([]byte(" "), line.Len()))
			}
		}
		return ast.WalkContinue, nil
	})
	return string(out)
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
	for _, p := range payloads(f) {
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
