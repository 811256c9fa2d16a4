package githubtest

import "fmt"

// CI is somebody else's App that runs checks on commits, such as tests.
type CI struct{ app *App }

// AddCI registers a CI under that slug; "" is "ci".
func (s *Server) AddCI(slug string) *CI {
	if slug == "" {
		slug = "ci"
	}
	return &CI{s.AddApp(AppOptions{
		Slug: slug, Owner: slug, Events: []string{"check_suite"},
		Permissions: map[string]string{"metadata": "read", "contents": "read", "checks": "write"},
	})}
}

// App returns the App that the CI's check runs are of.
func (ci *CI) App() *App { return ci.app }

// Check says how a check of the CI's stands at a commit, by its whole SHA, a short
// one or a branch: running with no conclusion, else completed. A run that is still
// running is completed; after a completed one there is a new run. The CI installs
// itself on an owner at the first check there.
func (ci *CI) Check(r *Repository, ref, name, conclusion string) (CheckRun, error) {
	s := r.s
	s.mu.Lock()
	defer s.mu.Unlock()
	at := r.resolve(ref)
	if at == nil {
		return CheckRun{}, fmt.Errorf("run check %s: %s has no commit %s", name, r.fullName(), ref)
	}
	want := checkRequest{Status: new("in_progress")}
	if conclusion != "" {
		want = checkRequest{Status: new("completed"), Conclusion: &conclusion}
	}
	if problems := want.problems(false); len(problems) > 0 {
		return CheckRun{}, fmt.Errorf("run check %s: %s", name, problems[0].Message)
	}
	if ci.app.covering(r) == nil {
		ci.app.install(r.owner, InstallOptions{})
	}
	run, action := ci.running(r, at.sha, name), ""
	if run == nil {
		run = &checkRun{suite: r.suite(ci.app, at.sha), id: s.nextID(), name: name, status: "queued", started: s.now(), title: name}
		r.runs, action = append(r.runs, run), "created"
	}
	s.applyRun(run, ci.app.bot, want, action)
	return run.snapshot(), nil
}

// NewSuite begins another check suite on a commit, which the checks after it are part
// of: Actions has one for each workflow run, such as that of a push and that of a pull
// request.
func (ci *CI) NewSuite(r *Repository, ref string) error {
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	at := r.resolve(ref)
	if at == nil {
		return fmt.Errorf("begin a suite: %s has no commit %s", r.fullName(), ref)
	}
	r.newSuite(ci.app, at.sha)
	return nil
}

// running returns the CI's run of that name that is not completed, or nil.
func (ci *CI) running(r *Repository, sha, name string) *checkRun {
	for _, run := range r.runs {
		if run.suite.app == ci.app && run.suite.sha == sha && run.name == name && run.status != "completed" {
			return run
		}
	}
	return nil
}
