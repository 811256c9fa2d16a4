package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"
)

// diffLines is how much of the check's diff the picture shows.
const diffLines = 14

// picture is what a pull request shows, for the README: the comment and the check
// that the bot really wrote in a scenario, which holds them word for word. Only
// what differs between two runs is filled in again.
func picture(t *testing.T) string {
	t.Helper()
	archive, err := txtar.ParseFile(filepath.Join("..", "..", "testdata", "scenarios", "golden-ready.txtar"))
	if err != nil {
		t.Fatal(err)
	}
	parts := map[string]string{}
	for _, file := range archive.Files {
		parts[file.Name] = string(file.Data)
	}
	fill := strings.NewReplacer("registry.test", "ghcr.io", "DIGEST", "sha256:2d82ebb4dfb1", "pr@1", "a1b2c3d", "COMMIT", "5c0ffee")
	comment := visible(fill.Replace(parts["comment.md"]))
	check := fill.Replace(parts["check.md"])
	if comment == "" || check == "" {
		t.Fatal("the scenario golden-ready has no comment.md or check.md")
	}
	var b strings.Builder
	b.WriteString("> **idp** `bot` commented\n>\n")
	for line := range strings.Lines(comment) {
		b.WriteString(strings.TrimRight("> "+strings.TrimSuffix(line, "\n"), " ") + "\n")
	}
	head, rest, _ := strings.Cut(check, "\n")
	title, rest, _ := strings.Cut(strings.TrimPrefix(rest, "title: "), "\n")
	_, diff, _ := strings.Cut(rest, "```diff\n")
	name, conclusion, _ := strings.Cut(strings.Replace(head, ": completed", ":", 1), ":")
	b.WriteString("\n> ⚪ **" + name + "** — " + title + " · *" + strings.TrimSpace(conclusion) + "*, with the manifests behind it:\n>\n> ```diff\n")
	for _, line := range strings.SplitN(diff, "\n", diffLines+1)[:diffLines] {
		b.WriteString(strings.TrimRight("> "+line, " ") + "\n")
	}
	b.WriteString("> …\n> ```\n")
	return b.String()
}

// broughtPicture is how repositories that have something already came to a preview on the
// real cluster: what was typed there, what was printed, and the check of the first pull
// request after that. The end-to-end tests write it down, and hold what they see against it.
func broughtPicture(t *testing.T) string {
	t.Helper()
	var b strings.Builder
	const merged = "That merged, the check of the next pull request:"
	for _, one := range [][3]string{
		{"chart", "A Helm chart", merged}, {"overlay", "Kustomize overlays", merged}, {"manifests", "Plain manifests", merged},
		{"monorepo", "Six services in one repository, of which CI builds one", merged},
		{"layout", "A GitOps layout and an Application of one's own", "With the platform team's [`update`](#you-have-a-gitops-layout-already) for it, the check of a pull request after its comment `/idp deploy staging`:"},
	} {
		told, err := os.ReadFile(filepath.Join("testdata", "brought", one[0]+".told"))
		if err != nil {
			t.Fatal(err)
		}
		typed, check, ok := strings.Cut(string(told), "\n\n")
		if !ok {
			t.Fatalf("%s.told has no check", one[0])
		}
		head, summary, _ := strings.Cut(check, "\n")
		name, title, _ := strings.Cut(head, ": ")
		b.WriteString("\n<details><summary>" + one[1] + "</summary>\n\n```console\n" + typed + "\n```\n\n" + one[2] + "\n\n> ✅ **" + name + "** — " + title + "\n")
		for line := range strings.Lines(strings.TrimRight(summary, "\n")) {
			b.WriteString(strings.TrimRight("> "+strings.TrimSuffix(line, "\n"), " ") + "\n")
		}
		b.WriteString("\n</details>\n")
	}
	return b.String()
}

// canaryRecord has the checks that a canary got on the real cluster: the end-to-end tests
// write it, and hold what they see against it.
const canaryRecord = "testdata/canary-check.txtar"

// canaryPicture is a canary's check as it really looked, step by step.
func canaryPicture(t *testing.T) string {
	t.Helper()
	archive, err := txtar.ParseFile(filepath.FromSlash(canaryRecord))
	if err != nil || len(archive.Files) == 0 {
		t.Fatalf("%d checks, %v", len(archive.Files), err)
	}
	var b strings.Builder
	for _, file := range archive.Files {
		head, rest, _ := strings.Cut(string(file.Data), "\n")
		title, summary, _ := strings.Cut(strings.TrimPrefix(rest, "title: "), "\n")
		name, state, _ := strings.Cut(head, ": ")
		mark, state := "🟡", strings.TrimSpace(strings.TrimPrefix(state, "completed"))
		if state == "success" {
			mark = "✅"
		}
		b.WriteString("\n> " + mark + " **" + name + "** — " + title + " · *" + strings.ReplaceAll(state, "_", " ") + "*\n")
		for line := range strings.Lines(strings.TrimRight(summary, "\n")) {
			b.WriteString(strings.TrimRight("> "+strings.TrimSuffix(line, "\n"), " ") + "\n")
		}
	}
	return b.String()
}
