package report

import (
	"fmt"
	"strings"
)

// manifestDiff is what the last commit changed in the manifests, where whoever reads this
// may know it.
func manifestDiff(in Input, room int) string {
	e := &in.Environment
	if e.Diff != "" && !in.Class.ShowsDiffs(e.Private) {
		if e.Private {
			return "" // nobody expects it
		}
		return diffHidden
	}
	return diffText(e.Diff, room)
}

// diffHidden stands where a diff would in a repository that everybody can read.
const diffHidden = "What changed in the manifests is not shown, since everybody can read this repository. The GitOps repository has it."

// diffText puts a unified diff into a fenced block of at most limit bytes. What
// does not fit is left out file by file, and named.
func diffText(diff string, limit int) string {
	if strings.TrimSpace(diff) == "" {
		return ""
	}
	files := splitFiles(diff)
	for n := mayFit(files, limit); n > 0; n-- {
		text := fence("diff", strings.Join(files[:n], ""))
		if rest := leftOut(files[n:]); rest != "" {
			text += "\n\n" + rest
		}
		if len(text) <= limit {
			return text
		}
	}
	return "The manifest diff is too long to show: " + plural(len(files), "file") + "."
}

// mayFit is how many files fit before anything is added to them.
func mayFit(files []string, limit int) int {
	size := 0
	for i, file := range files {
		if size += len(file); size > limit {
			return i
		}
	}
	return len(files)
}

// splitFiles cuts a diff where files begin. No other line of a diff starts with
// "diff --git": those of a file's content begin with a blank, "+", "-" or "\".
func splitFiles(diff string) []string {
	const begin = "diff --git "
	var files []string
	start := 0
	for i := 1; i < len(diff); i++ {
		if diff[i-1] == '\n' && strings.HasPrefix(diff[i:], begin) {
			files = append(files, diff[start:i])
			start = i
		}
	}
	return append(files, diff[start:])
}

// leftOut names files that are not shown.
func leftOut(files []string) string {
	const most = 20
	if len(files) == 0 {
		return ""
	}
	var names []string
	for i, file := range files {
		if i == most {
			names = append(names, fmt.Sprintf("and %d more", len(files)-most))
			break
		}
		names = append(names, Code(fileName(file)))
	}
	return "Left out, for want of room: " + strings.Join(names, ", ") + "."
}

// fileName is the path in the first line of a file's diff, "diff --git a/X b/X".
func fileName(file string) string {
	line, _, _ := strings.Cut(file, "\n")
	if _, name, found := strings.Cut(line, " b/"); found {
		return name
	}
	return line
}
