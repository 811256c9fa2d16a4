package githubtest

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// maxForm is more than any form of the pages holds.
const maxForm = 1 << 20

// actOnPull does what a button of a pull request's page says and shows the page
// again, with what went wrong if anything did.
func (s *Server) actOnPull(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	if err := r.ParseForm(); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	s.mu.Lock()
	pr := s.pullAt(r)
	s.mu.Unlock()
	if pr == nil {
		http.NotFound(w, r)
		return
	}
	target := url.URL{Path: r.URL.Path}
	if err := pr.press(r.PostForm); err != nil {
		target.RawQuery = url.Values{"problem": {err.Error()}}.Encode()
	}
	http.Redirect(w, r, target.String(), http.StatusSeeOther)
}

// press does one button of the page.
func (pr *PullRequest) press(form url.Values) error {
	by, label := form.Get("user"), strings.TrimSpace(form.Get("label"))
	if by == "" {
		by = pr.author.login
	}
	switch do := form.Get("do"); {
	case (do == "push" || do == "edit") && pr.headRepo.mirrored():
		return fmt.Errorf("the commits of %s are in git: push there", pr.headRepo.FullName())
	case do == "comment":
		_, err := pr.Comment(by, strings.ReplaceAll(form.Get("body"), "\r\n", "\n"))
		return err
	case do == "push":
		path := fmt.Sprintf("notes/%s.md", pr.HeadSHA()[:7])
		pr.Push(by, map[string]string{path: "Pushed from the page, by " + by + ".\n"})
	case do == "edit":
		pr.Push(by, map[string]string{form.Get("path"): strings.ReplaceAll(form.Get("content"), "\r\n", "\n")})
	case do == "close":
		pr.Close(by)
	case do == "reopen":
		pr.Reopen(by)
	case do == "merge":
		return pr.Merge(by)
	case do == "draft":
		pr.ConvertToDraft(by)
	case do == "ready":
		pr.ReadyForReview(by)
	case label == "" && (do == "label" || do == "unlabel"):
		return errors.New("name the label")
	case do == "label":
		pr.Label(by, label)
	case do == "unlabel":
		pr.Unlabel(by, label)
	default:
		return pr.pressCheck(by, do, form.Get("run"))
	}
	return nil
}

// pressCheck does a button of a check run.
func (pr *PullRequest) pressCheck(by, do, run string) error {
	id, err := strconv.ParseInt(run, 10, 64)
	if err != nil {
		return fmt.Errorf("there is no button %q", do)
	}
	if identifier, ok := strings.CutPrefix(do, "press:"); ok {
		return pr.repo.PressAction(by, id, identifier)
	}
	return pr.repo.RerequestCheck(by, id)
}
