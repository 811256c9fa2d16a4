package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/idp-bot/idp/bot/github/githubtest"
)

// show prints what is new in Git and on the pull request, whether or not what was
// waited for came about, and passes err on.
func (s *story) show(ctx context.Context, err error) error {
	if errors.Is(ctx.Err(), context.Canceled) {
		return err // interrupted
	}
	s.showDeliveries()
	if gitErr := s.showCommit(ctx); gitErr != nil && err == nil {
		err = gitErr
	}
	s.showCheck()
	s.showDeployment()
	s.showComment()
	return err
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

// ofPeople are the events that a person's act emits and that the story is about.
var ofPeople = []string{"pull_request", "issue_comment", "workflow_run"}

// showDeliveries prints the webhooks of people's acts that GitHub delivered since
// the last time, and how idp answered.
func (s *story) showDeliveries() {
	all := s.w.app.Deliveries()
	for _, d := range all[min(s.shown.deliveries, len(all)):] {
		if slices.Contains(ofPeople, d.Event) && d.StatusCode != 0 && byPerson(d) {
			fmt.Fprintf(s.out, "  GitHub delivered %s.%s, signed; idp answered %d.\n", d.Event, d.Action, d.StatusCode)
		}
	}
	s.shown.deliveries = len(all)
}

func (s *story) showCheck() {
	check := s.check()
	if line := check.Status + check.Conclusion + check.Title + check.Summary; check.Name != "" && line != s.shown.check {
		s.shown.check = line
		state := check.Status
		if check.Conclusion != "" {
			state = check.Conclusion
		}
		s.page(fmt.Sprintf("check %q: %s", check.Name, state), "### "+check.Title+"\n\n"+check.Summary)
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
		s.page("comment", body)
	}
}

// page prints what somebody wrote for a page of GitHub's.
func (s *story) page(title, markdown string) { s.box(title, readable(markdown, s.style)) }

// box prints a titled, indented text.
func (s *story) box(title, text string) {
	fmt.Fprintf(s.out, "  %s\n", s.style.dim("── "+title+" "+strings.Repeat("─", max(2, 74-len([]rune(title))))))
	for line := range strings.Lines(strings.TrimRight(text, "\n")) {
		fmt.Fprint(s.out, strings.TrimRight("  "+line, " \n"), "\n")
	}
}

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
