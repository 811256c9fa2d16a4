package main

import (
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/idp-bot/idp/bot/github/githubtest"
)

const (
	// longFile is how many lines of one file's patch are shown.
	longFile = 12
	branch   = "main"
)

// show prints what is new in Git and on the pull request, whether or not what was
// waited for came about, and passes err on.
func (s *story) show(ctx context.Context, err error) error {
	s.showDeliveries()
	if gitErr := s.showCommit(ctx); gitErr != nil && err == nil {
		err = gitErr
	}
	s.showCheck()
	s.showDeployment()
	s.showComment()
	return err
}

func (s *story) showCommit(ctx context.Context) error {
	tip, err := s.w.gitops.Tip(ctx, branch)
	if err != nil || tip == "" || tip == s.shown.commit {
		return err
	}
	s.shown.commit = tip
	messages, err := s.w.gitops.Messages(ctx, tip)
	if err != nil {
		return err
	}
	files, err := s.files(ctx)
	if err != nil {
		return err
	}
	stat, patch, err := s.w.gitops.Show(ctx, tip)
	if err != nil {
		return err
	}
	if !strings.Contains(patch, "\n+++ b/") {
		patch = stat // everything is removed: what it was has been shown before
	}
	s.box("GitOps commit "+tip[:7], strings.TrimSpace(messages[0]))
	s.box("its tree", files)
	s.box("its diff", cutFiles(patch))
	return nil
}

// cutFiles cuts what a patch says of each file to longFile lines.
func cutFiles(patch string) string {
	var out strings.Builder
	for _, file := range strings.SplitAfter(strings.ReplaceAll(patch, "\ndiff --git ", "\n\x00diff --git "), "\x00") {
		lines := strings.Split(strings.TrimRight(file, "\x00\n"), "\n")
		if more := len(lines) - longFile; more > 1 {
			lines = append(lines[:longFile], fmt.Sprintf("… and %d lines more", more))
		}
		out.WriteString(strings.Join(lines, "\n") + "\n")
	}
	return out.String()
}

// byPerson says that a delivery tells of what a person did, not idp itself.
func byPerson(d githubtest.Delivery) bool {
	var payload struct {
		Sender struct {
			Type string `json:"type"`
		} `json:"sender"`
	}
	return json.Unmarshal(d.Payload, &payload) == nil && payload.Sender.Type == "User"
}

// showDeliveries prints the webhooks of people's acts that GitHub delivered since
// the last time, and how idp answered.
func (s *story) showDeliveries() {
	all := s.w.app.Deliveries()
	for _, d := range all[min(s.shown.deliveries, len(all)):] {
		if (d.Event == "pull_request" || d.Event == "issue_comment") && d.StatusCode != 0 && byPerson(d) {
			fmt.Fprintf(s.out, "  GitHub delivered %s.%s, signed; idp answered %d.\n", d.Event, d.Action, d.StatusCode)
		}
	}
	s.shown.deliveries = len(all)
}

// files returns the paths in the GitOps repository, a line each.
func (s *story) files(ctx context.Context) (string, error) {
	tip, err := s.w.gitops.Tip(ctx, branch)
	if err != nil || tip == "" {
		return "", err
	}
	listed, err := s.w.gitops.List(ctx, tip)
	if err != nil {
		return "", err
	}
	for i, line := range listed {
		listed[i] = strings.SplitN(line, " ", 3)[2]
	}
	return strings.Join(listed, "\n"), nil
}

func (s *story) showCheck() {
	check := s.check()
	if line := check.Status + check.Conclusion + check.Title + check.Summary; check.Name != "" && line != s.shown.check {
		s.shown.check = line
		state := check.Status
		if check.Conclusion != "" {
			state = check.Conclusion
		}
		s.box(fmt.Sprintf("check %q: %s", check.Name, state), check.Title+"\n\n"+visible(check.Summary))
	}
}

func (s *story) showDeployment() {
	d := s.deployment()
	if len(d.Statuses) == 0 {
		return
	}
	last := d.Statuses[len(d.Statuses)-1]
	if line := d.SHA + last.State; line != s.shown.deployment {
		s.shown.deployment = line
		s.box(fmt.Sprintf("deployment of %.7s to %s: %s", d.SHA, d.Environment, last.State), last.EnvironmentURL)
	}
}

func (s *story) showComment() {
	if body := s.comment().Body; body != "" && body != s.shown.comment {
		s.shown.comment = body
		s.box("comment", visible(body))
	}
}

// box prints a titled, indented text.
func (s *story) box(title, text string) {
	fmt.Fprintf(s.out, "  %s\n", s.style.dim("── "+title+" "+strings.Repeat("─", max(2, 74-len([]rune(title))))))
	for line := range strings.Lines(strings.TrimRight(text, "\n") + "\n") {
		fmt.Fprint(s.out, strings.TrimRight("  "+line, " \n"), "\n")
	}
}

var hidden = regexp.MustCompile(`(?s)<!--.*?-->\n*`)

// visible is Markdown without what a page does not show.
func visible(markdown string) string { return strings.TrimSpace(hidden.ReplaceAllString(markdown, "")) }

// check is idp's check of the pull request's head, empty while there is none.
func (s *story) check() githubtest.CheckRun {
	for _, run := range s.pr.CheckRuns() {
		if run.HeadSHA == s.pr.HeadSHA() && run.App == "idp" {
			return run
		}
	}
	return githubtest.CheckRun{}
}

// comment is idp's comment on the pull request, empty while there is none.
func (s *story) comment() githubtest.Comment {
	for _, comment := range s.pr.Comments() {
		if comment.App == "idp" {
			return comment
		}
	}
	return githubtest.Comment{}
}

// deployment is the newest deployment of the pull request's head or, when that
// has none, of the repository.
func (s *story) deployment() githubtest.Deployment {
	all := s.repo.Deployments()
	for _, d := range all {
		if d.SHA == s.pr.HeadSHA() {
			return d
		}
	}
	return githubtest.Deployment{}
}

func (s *story) reaction(commentID int64, content string) bool {
	for _, comment := range s.pr.Comments() {
		if comment.ID != commentID {
			continue
		}
		for _, reaction := range comment.Reactions {
			if reaction.Content == content {
				return true
			}
		}
	}
	return false
}

// short prints a duration in seconds, or milliseconds below one.
func short(d time.Duration) string {
	if d < time.Second {
		return d.Round(time.Millisecond).String()
	}
	return d.Round(10 * time.Millisecond).String()
}
