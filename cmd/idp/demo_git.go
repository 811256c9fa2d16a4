package main

import (
	"context"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

const (
	branch = "main"
	// longFile is how many lines of one file's diff are shown.
	longFile = 45
)

// showCommit prints the newest commit of the GitOps repository unless it has been
// shown: its message, its tree and its diff.
func (s *story) showCommit(ctx context.Context) error {
	tip, err := s.w.gitops.Tip(ctx, branch)
	if err != nil || tip == "" || tip == s.shown.commit {
		return err
	}
	messages, err := s.w.gitops.Messages(ctx, tip)
	if err != nil {
		return err
	}
	files, err := s.files(ctx)
	if err != nil {
		return err
	}
	_, patch, err := s.w.gitops.Show(ctx, tip)
	if err != nil {
		return err
	}
	s.box("GitOps commit "+tip[:7], strings.TrimSpace(messages[0]))
	s.box("its tree: + new, ~ changed, - removed", markedTree(s.shown.files, files))
	s.box("its diff", readableDiff(patch, s.style))
	s.shown.commit, s.shown.files = tip, files
	return nil
}

// files returns the ids of the contents in the GitOps repository, by path.
func (s *story) files(ctx context.Context) (map[string]string, error) {
	tip, err := s.w.gitops.Tip(ctx, branch)
	if err != nil || tip == "" {
		return nil, err
	}
	listed, err := s.w.gitops.List(ctx, tip)
	if err != nil {
		return nil, err
	}
	files := make(map[string]string, len(listed))
	for _, line := range listed {
		fields := strings.SplitN(line, " ", 3)
		files[fields[2]] = fields[1]
	}
	return files, nil
}

// markedTree lists the paths before and after a commit with what it did to each.
func markedTree(before, after map[string]string) string {
	all := maps.Clone(after)
	maps.Copy(all, before)
	var out strings.Builder
	for _, path := range slices.Sorted(maps.Keys(all)) {
		mark := " "
		switch was, is := before[path], after[path]; {
		case was == "":
			mark = "+"
		case is == "":
			mark = "-"
		case was != is:
			mark = "~"
		}
		fmt.Fprintf(&out, "%s %s\n", mark, path)
	}
	return out.String()
}

// telling are the new files whose content says most; of the others the tree says
// enough, and so it does of removed ones.
var telling = regexp.MustCompile(`^applicationsets/|-deployment\.yaml$`)

// readableDiff is git's patch without its headers and without the content of new
// and removed files that tell little.
func readableDiff(patch string, style style) string {
	var out strings.Builder
	added, removed := 0, 0
	for _, file := range strings.Split("\n"+patch, "\ndiff --git ")[1:] {
		head, hunks, _ := strings.Cut(file, "\n@@ ")
		_, path, _ := strings.Cut(strings.SplitN(head, "\n", 2)[0], " b/")
		isNew := strings.Contains(head, "\nnew file ")
		switch {
		case strings.Contains(head, "\ndeleted file "):
			removed++
			continue
		case isNew && !telling.MatchString(path):
			added++
			continue
		}
		lines := strings.Split(strings.TrimRight("@@ "+hunks, "\n"), "\n")
		if isNew {
			lines = lines[1:] // "@@ -0,0 +1,59 @@"
		}
		if more := len(lines) - longFile; more > 1 {
			lines = append(lines[:longFile], fmt.Sprintf("… and %d lines more", more))
		}
		fmt.Fprintf(&out, "%s\n  %s\n", style.bold(path), strings.Join(lines, "\n  "))
	}
	if added > 0 {
		fmt.Fprintf(&out, "… and %s, as in the tree\n", plural(added, "new file"))
	}
	if removed > 0 {
		fmt.Fprintf(&out, "… and %s, as in the tree\n", plural(removed, "removed file"))
	}
	return out.String()
}
