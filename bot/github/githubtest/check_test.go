package githubtest_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/idp-bot/idp/bot/github/githubtest"
)

func annotations(n int) []githubtest.Annotation {
	out := make([]githubtest.Annotation, n)
	for i := range out {
		out[i] = githubtest.Annotation{Path: "a", StartLine: i + 1, EndLine: i + 1, Level: "failure", Message: "m"}
	}
	return out
}

func asJSON(t *testing.T, v any) string {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestCheckRunLimits(t *testing.T) {
	t.Parallel()
	w := setup(t)
	sha := w.repo.Branch("main")
	token := w.token("")
	action := map[string]string{"label": "l", "description": "d", "identifier": "i"}
	long := strings.Repeat("é", 65535)
	output := func(key string, value any) map[string]any {
		return map[string]any{"output": merge(map[string]any{"title": "t", "summary": "s"}, map[string]any{key: value})}
	}
	rows := []struct {
		name   string
		with   map[string]any
		status int
	}{
		{"plain", nil, 201},
		{"summary to the limit", output("summary", long), 201},
		{"summary over", output("summary", long+"x"), 422},
		{"text over", output("text", long+"x"), 422},
		{"no title", output("title", nil), 422},
		{"no summary", output("summary", nil), 422},
		{"50 annotations", output("annotations", annotations(50)), 201},
		{"51 annotations", output("annotations", annotations(51)), 422},
		{"lines backwards", output("annotations", []any{map[string]any{"path": "a", "start_line": 2, "end_line": 1, "annotation_level": "failure", "message": "m"}}), 422},
		{"3 actions", map[string]any{"actions": []any{action, action, action}}, 201},
		{"4 actions", map[string]any{"actions": []any{action, action, action, action}}, 422},
		{"long label", map[string]any{"actions": []any{merge2(action, "label", strings.Repeat("x", 21))}}, 422},
		{"unknown status", map[string]any{"status": "done"}, 422},
		{"unknown conclusion", map[string]any{"conclusion": "great"}, 422},
		{"completed without conclusion", map[string]any{"status": "completed"}, 422},
		{"details elsewhere", map[string]any{"details_url": "javascript:alert(1)"}, 422},
		{"no such commit", map[string]any{"head_sha": strings.Repeat("0", 40)}, 422},
		{"no name", map[string]any{"name": nil}, 422},
		{"mistyped", map[string]any{"name": 7}, 422},
	}
	for _, row := range rows {
		body := merge(map[string]any{"name": "c", "head_sha": sha}, row.with)
		if got := w.do("POST", "/repos/acme/web/check-runs", token, asJSON(t, body), 0); got.status != row.status {
			t.Errorf("%s: %d, want %d: %.200s", row.name, got.status, row.status, got.body)
		}
	}
	w.do("POST", "/repos/acme/web/check-runs", token, `{"name":`, 400)
}

func merge(a, b map[string]any) map[string]any {
	out := map[string]any{}
	for _, m := range []map[string]any{a, b} {
		for k, v := range m {
			out[k] = v
		}
	}
	return out
}

func merge2(a map[string]string, key, value string) map[string]string {
	out := map[string]string{key: value}
	for k, v := range a {
		if k != key {
			out[k] = v
		}
	}
	return out
}

func TestCheckRunUpdates(t *testing.T) {
	t.Parallel()
	w := setup(t)
	pr := w.open("feature")
	token := w.token("")
	var run struct{ ID int64 }
	body := map[string]any{"name": "c", "head_sha": pr.HeadSHA(), "output": map[string]any{"title": "t", "summary": "s", "annotations": annotations(50)}}
	w.do("POST", "/repos/acme/web/check-runs", token, asJSON(t, body), 201).decode(&run)
	path := "/repos/acme/web/check-runs/" + itoa(run.ID)
	w.do("PATCH", path, token, asJSON(t, map[string]any{"output": map[string]any{"title": "u", "summary": "s2", "annotations": annotations(7)}}), 200)
	w.do("PATCH", path, token, `{"conclusion":"failure"}`, 200)

	runs := pr.CheckRuns()
	if len(runs) != 1 || runs[0].Status != "completed" || runs[0].Conclusion != "failure" || runs[0].Title != "u" ||
		len(runs[0].Annotations) != 57 || runs[0].CompletedAt.IsZero() {
		t.Errorf("%+v", runs)
	}
	w.do("PATCH", path, token, `{"status":"in_progress"}`, 200)
	if runs := pr.CheckRuns(); runs[0].Conclusion != "" || !runs[0].CompletedAt.IsZero() {
		t.Errorf("a run that began again still concludes %q", runs[0].Conclusion)
	}

	other := w.server.AddApp(githubtest.AppOptions{Slug: "other", Key: &w.key.PublicKey})
	w.app, w.install = other, other.Install("acme", githubtest.InstallOptions{})
	w.do("PATCH", path, w.token(""), `{"conclusion":"success"}`, 403)
}

func TestDeploymentSemantics(t *testing.T) {
	t.Parallel()
	w := setup(t)
	token := w.token("")
	deploy := func(environment string, transient bool) int64 {
		var out struct{ ID int64 }
		body := fmt.Sprintf(`{"ref":"main","environment":%q,"transient_environment":%v,"auto_merge":false,"required_contexts":[]}`, environment, transient)
		w.do("POST", "/repos/acme/web/deployments", token, body, 201).decode(&out)
		return out.ID
	}
	status := func(id int64, body string, want int) {
		w.do("POST", "/repos/acme/web/deployments/"+itoa(id)+"/statuses", token, body, want)
	}
	states := func() []string {
		var out []string
		for _, d := range w.repo.Deployments() {
			out = append(out, d.Environment+"="+d.State())
		}
		return out
	}
	first, shared, production := deploy("staging", false), deploy("preview", true), deploy("production", false)
	for _, id := range []int64{first, shared, production} {
		status(id, `{"state":"success"}`, 201)
	}
	status(deploy("staging", false), `{"state":"success","auto_inactive":false}`, 201)
	status(deploy("preview", true), `{"state":"success"}`, 201)
	status(deploy("production", false), `{"state":"success"}`, 201)
	want := []string{"staging=success", "preview=success", "production=success", "staging=success", "preview=success", "production=success"}
	if got := states(); !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	status(deploy("staging", false), `{"state":"success"}`, 201)
	if got := states(); got[0] != "staging=inactive" || got[3] != "staging=inactive" || got[6] != "staging=success" {
		t.Errorf("%v: the earlier two should be retired", got)
	}

	status(first, `{"state":"done"}`, 422)
	status(first, `{"state":"success","environment_url":"ftp://x"}`, 422)
	w.do("DELETE", "/repos/acme/web/deployments/"+itoa(shared), token, "", 422)
	status(shared, `{"state":"inactive"}`, 201)
	w.do("DELETE", "/repos/acme/web/deployments/"+itoa(shared), token, "", 204)
	w.do("POST", "/repos/acme/web/deployments", token, `{"ref":"nowhere"}`, 422)
}

func TestDeploymentDefaultsCheckAndMerge(t *testing.T) {
	t.Parallel()
	w := setup(t)
	token := w.token("")
	pr := w.open("feature")
	w.repo.Commit("main", map[string]string{"new": "x"})
	w.do("POST", "/repos/acme/web/deployments", token, `{"ref":"feature"}`, 202)
	w.do("POST", "/repos/acme/web/check-runs", token, `{"name":"ci","head_sha":"`+pr.HeadSHA()+`"}`, 201)
	w.do("POST", "/repos/acme/web/deployments", token, `{"ref":"feature"}`, 409)
	w.do("POST", "/repos/acme/web/deployments", token, `{"ref":"feature","required_contexts":[]}`, 201)
}

func TestReactionsAreChecked(t *testing.T) {
	t.Parallel()
	w := setup(t)
	pr := w.open("feature")
	c, err := pr.Comment("alice", "/idp status")
	if err != nil {
		t.Fatal(err)
	}
	token, path := w.token(""), "/repos/acme/web/issues/comments/"+itoa(c.ID)+"/reactions"
	w.do("POST", path, token, `{"content":"thumbsup"}`, 422)
	var first, second struct{ ID int64 }
	w.do("POST", path, token, `{"content":"eyes"}`, 201).decode(&first)
	w.do("POST", path, token, `{"content":"eyes"}`, 200).decode(&second)
	if first != second || len(pr.Comments()[0].Reactions) != 1 {
		t.Errorf("%v %v %+v", first, second, pr.Comments())
	}
	w.do("DELETE", path+"/"+itoa(first.ID), token, "", 204)
	w.do("POST", "/repos/acme/web/issues/1/comments", token, `{"body":"`+strings.Repeat("x", 65537)+`"}`, 422)
	w.do("POST", "/repos/acme/web/issues/1/comments", token, `{}`, 422)
	w.do("POST", "/repos/acme/web/issues/9/comments", token, `{"body":"x"}`, 404)
}
