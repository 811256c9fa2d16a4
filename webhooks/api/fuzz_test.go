package api

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/idp-bot/idp/bot"
)

// FuzzOrder: whatever is sent, an order that is taken is as many commands as it has lines,
// and what is not is told so.
func FuzzOrder(f *testing.F) {
	for _, body := range []string{
		`{"command":"deploy staging"}`, `{"command":"/idp status\n\npin"}`, `{"command":"/IDP\tlock staging a\u0000b"}`, `{"command":"lock ` + "`" + `\nunlock` + "`" + `"}`,
		`{"command":"a|b\n---|---"}`, `{"command":"x\r\ry\u000bz"}`, `{"command":""}`, `{"command":null}`, `[]`, `{"command":"<!--"}`, `{"command":"a","command":"b"}`, "{\"command\":\"\xff\"}",
	} {
		f.Add([]byte(body), "key")
	}
	f.Fuzz(func(t *testing.T, body []byte, key string) {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, commands, strings.NewReader(string(body)))
		r.Header["Idempotency-Key"] = []string{key}
		text, taken, err := read(httptest.NewRecorder(), r)
		if err != nil {
			var out Refusal
			w := httptest.NewRecorder()
			refuse(w, http.StatusBadRequest, err)
			if text != "" || json.Unmarshal(w.Body.Bytes(), &out) != nil || out.Message == "" {
				t.Fatalf("%q is refused with %q", body, w.Body)
			}
			return
		}
		found, lines := bot.Parse(text), strings.Split(text, "\n")
		if len(found) != len(lines) || taken != key || key != "" && !keyPattern.MatchString(key) || len(body) > maxBody {
			t.Fatalf("%q is taken for %d commands in %d lines, with key %q", body, len(found), len(lines), taken)
		}
		for i, line := range lines {
			if words := strings.Fields(line); !strings.EqualFold(words[0], "/idp") || len(words) > 1 && !strings.EqualFold(words[1], found[i].Name) {
				t.Fatalf("%q is taken for %q, from %q", line, found[i], body)
			}
		}
	})
}
