package openapi_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/idp-bot/idp/bot/github/githubtest/openapi"
)

// exchange sends one request through a validator to a server that answers so.
func exchange(t *testing.T, method, path, body string, status int, answer string, headers ...string) *openapi.Validator {
	t.Helper()
	schema, err := openapi.Shared()
	if err != nil {
		t.Fatal(err)
	}
	v := schema.NewValidator()
	server := httptest.NewServer(v.Middleware(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
		for i := 0; i+1 < len(headers); i += 2 {
			w.Header().Set(headers[i], headers[i+1])
		}
		w.WriteHeader(status)
		if status != http.StatusNotModified {
			_, _ = w.Write([]byte(answer))
		}
	})))
	defer server.Close()
	request, err := http.NewRequest(method, server.URL+openapi.Prefix+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	return v
}

func TestViolations(t *testing.T) {
	t.Parallel()
	const ref = `{"ref":"refs/heads/a/b","node_id":"x","url":"https://x","object":{"type":"commit","sha":"` + "0123456789012345678901234567890123456789" + `","url":"https://x"}}`
	const fail = `{"message":"Not Found","documentation_url":"https://x","status":"404"}`
	get, git := "GET", "/repos/o/r/git/ref/heads/a/b"
	rows := []struct {
		name, method, path, body string
		status                   int
		answer                   string
		headers                  []string
		want                     string // in the only violation; empty: none
	}{
		{"right", get, git, "", 200, ref, nil, ""},
		{"a field missing", get, git, "", 200, `{"ref":"x"}`, nil, `"node_id" is missing`},
		{"a field mistyped", get, git, "", 200, strings.Replace(ref, `"node_id":"x"`, `"node_id":7`, 1), nil, "must be a string"},
		{"no JSON", get, git, "", 200, `<html>`, nil, "answer 200"},
		{"a status of its own", get, git, "", 418, `{}`, nil, "status is not supported"},
		{"no such operation", get, "/repos/o/r/git/nothing", "", 404, fail, nil, "no such operation"},
		{"undescribed error", get, git, "", 401, fail, nil, ""},
		{"undescribed error of another shape", get, git, "", 401, `{"message":7}`, nil, "answer 401"},
		{"a bad request", "POST", "/repos/o/r/issues/1/comments", `{"text":"x"}`, 422, `{"message":"m","documentation_url":"d"}`, nil, `"body" is missing`},
		{"redirect", get, git, "", 301, fail, nil, ""},
		{"not modified", get, git, "", 304, "", nil, ""},
		{"injected", get, git, "", 502, "<html>", []string{"X-Githubtest-Fault", "injected"}, ""},
		{"by number", get, "/repositories/7/git/ref/heads/x", "", 200, ref, nil, ""},
		{"by number, wrong", get, "/repositories/7/git/ref/heads/x", "", 200, `{}`, nil, "is missing"},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			got := exchange(t, row.method, row.path, row.body, row.status, row.answer, row.headers...).Violations()
			switch {
			case row.want == "" && len(got) > 0, row.want != "" && len(got) != 1:
				t.Errorf("violations %q", got)
			case row.want != "" && !strings.Contains(got[0], row.want):
				t.Errorf("%q lacks %q", got[0], row.want)
			}
		})
	}
}

func TestExceptionsHaveReasons(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, e := range openapi.Exceptions() {
		if e.Name == "" || e.Reason == "" || seen[e.Name] {
			t.Errorf("%+v", e)
		}
		seen[e.Name] = true
	}
}

func TestLoadReportsWhatItCannotRead(t *testing.T) {
	t.Parallel()
	if _, err := openapi.Load("nowhere.json"); err == nil {
		t.Error("loaded nothing")
	}
}
