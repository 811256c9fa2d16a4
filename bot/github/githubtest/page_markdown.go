package githubtest

import (
	"bytes"
	"html/template"
	"regexp"
	"time"

	"github.com/microcosm-cc/bluemonday"
	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/extension"
	"github.com/yuin/goldmark/renderer/html"
)

// markdown renders what a user or an App wrote as GitHub does in conversations:
// GitHub-flavoured, with line breaks kept, and with the HTML that is left after
// sanitising.
func markdown(text string) template.HTML {
	engine := goldmark.New(
		goldmark.WithExtensions(extension.GFM),
		goldmark.WithRendererOptions(html.WithUnsafe(), html.WithHardWraps()), // unsafe: the policy below decides
	)
	var out bytes.Buffer
	if err := engine.Convert([]byte(text), &out); err != nil {
		return template.HTML(template.HTMLEscapeString(text))
	}
	return template.HTML(markdownPolicy().SanitizeBytes(out.Bytes()))
}

// markdownPolicy is bluemonday's for what users write, with the boxes of task
// lists.
func markdownPolicy() *bluemonday.Policy {
	policy := bluemonday.UGCPolicy()
	policy.AllowAttrs("type").Matching(regexp.MustCompile("^checkbox$")).OnElements("input")
	policy.AllowAttrs("checked", "disabled").OnElements("input")
	return policy
}

// when writes a time for the page; absolute, so that nothing changes by itself.
func when(t time.Time) string { return t.UTC().Format("2 Jan 15:04:05 UTC") }
