package webhooks

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/idp-bot/idp/gitops/figure"
	"github.com/idp-bot/idp/gitops/secret"
	"github.com/idp-bot/idp/previews/store"
)

// mutations take a good request's body and signature and spoil one of them.
var mutations = []func(*rand.Rand, []byte, string) ([]byte, string){
	func(r *rand.Rand, body []byte, signature string) ([]byte, string) { // a bit of the body
		body = bytes.Clone(body)
		body[r.IntN(len(body))] ^= 1 << r.IntN(8)
		return body, signature
	},
	func(r *rand.Rand, body []byte, signature string) ([]byte, string) { // a bit of the MAC
		mac, _ := hex.DecodeString(signature[7:])
		mac[r.IntN(len(mac))] ^= 1 << r.IntN(8)
		return body, "sha256=" + hex.EncodeToString(mac)
	},
	func(r *rand.Rand, body []byte, signature string) ([]byte, string) { // cut the body
		return body[:r.IntN(len(body))], signature
	},
	func(r *rand.Rand, body []byte, signature string) ([]byte, string) { // add to the body
		return append(bytes.Clone(body), byte(r.Uint32())), signature
	},
	func(r *rand.Rand, body []byte, signature string) ([]byte, string) { // cut the signature
		return body, signature[:r.IntN(len(signature))]
	},
	func(r *rand.Rand, body []byte, signature string) ([]byte, string) { // another algorithm
		return body, []string{"sha1=", "sha512=", "SHA256=", "sha256:", "md5=", " sha256="}[r.IntN(6)] + signature[7:]
	},
	func(r *rand.Rand, body []byte, signature string) ([]byte, string) { // another key
		key := make([]byte, r.IntN(64))
		for i := range key {
			key[i] = byte(r.Uint32())
		}
		return body, sign(string(key), body)
	},
	func(r *rand.Rand, body []byte, signature string) ([]byte, string) { // a character that is no digit
		at := 7 + r.IntN(64)
		return body, signature[:at] + string(rune('g'+r.IntN(20))) + signature[at+1:]
	},
}

func TestForgedAreRefused(t *testing.T) {
	t.Parallel()
	h, rows := setup(t, Options{})
	forgeries := figure.Scaled(t, 100_000)
	random := rand.New(rand.NewPCG(1, 2))
	good := sign(newSecret, opened)
	r := delivery("pull_request", someGUID, opened)
	for i := range forgeries {
		body, signature := mutations[i%len(mutations)](random, opened, good)
		r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
		r.Header.Set("X-Hub-Signature-256", signature)
		if w := send(t, h, r); w.Code != http.StatusUnauthorized {
			t.Fatalf("answered %d to %q with %q", w.Code, body, signature)
		}
	}
	if len(rows.rows) != 0 {
		t.Fatalf("%d rows after %d forgeries", len(rows.rows), forgeries)
	}
	figure.Tell(t, "%d forged requests: 0 accepted, 0 stored, 0 panics", forgeries)
}

// FuzzSignature sends arbitrary bodies under arbitrary signatures: only what was
// signed with a live secret is stored, and nothing panics.
func FuzzSignature(f *testing.F) {
	f.Add(opened, sign(newSecret, opened), "pull_request", someGUID)
	f.Add(opened, sign(oldSecret, opened), "issue_comment", someGUID)
	f.Add([]byte(`{`), sign(newSecret, []byte(`{`)), "push", "x")
	f.Add([]byte(`null`), "sha256=", "", "")
	f.Fuzz(func(t *testing.T, body []byte, signature, event, guid string) {
		rows := &inbox{rows: map[string]store.Delivery{}}
		h, err := New(Options{Secrets: []secret.String{secret.New(newSecret), secret.New(oldSecret)}, Inbox: rows})
		if err != nil {
			t.Fatal(err)
		}
		r := delivery(event, guid, body)
		r.Header["X-Hub-Signature-256"] = []string{signature}
		code := send(t, h, r).Code
		lower := strings.ToLower(signature)
		signed := lower == sign(newSecret, body) || lower == sign(oldSecret, body)
		if !signed && code != http.StatusUnauthorized || (code == http.StatusAccepted) != (len(rows.rows) == 1) {
			t.Errorf("answered %d, stored %d, signed %v", code, len(rows.rows), signed)
		}
	})
}

// FuzzEnvelope sends signed bytes: what is a JSON object is stored once, as it came, and
// anything else is refused and not stored. What is built with an event's facts is found by
// just these.
func FuzzEnvelope(f *testing.F) {
	f.Add(opened, "opened", 7, int64(1), int64(2), true)
	f.Add([]byte(`{"number":"x","issue":[],"pull_request":null}`), "created", 7, int64(1), int64(2), false)
	f.Add([]byte(`[{}]`), "\"\x00\u2028", -1, int64(-1), int64(1)<<62, true)
	f.Add([]byte(` {} {}`), "", 0, int64(0), int64(0), false)
	f.Add([]byte(`{"repository":{"id":1e3},"issue":{"number":-1,"pull_request":{}}}`), "x", 1<<40, int64(3), int64(4), true)
	f.Fuzz(func(t *testing.T, payload []byte, action string, number int, installation, repository int64, comment bool) {
		object := json.Valid(payload) && bytes.HasPrefix(bytes.TrimLeft(payload, " \t\r\n"), []byte("{"))
		row, code := deliver(t, payload)
		if object != (row != nil) || object != (code == http.StatusAccepted) || !object && code != http.StatusBadRequest {
			t.Fatalf("%q was answered %d, stored: %v", payload, code, row != nil)
		}
		if row != nil && (!bytes.Equal(row.Payload, payload) || row.PR < 0) {
			t.Errorf("%q is stored as %q of pull request %d", payload, row.Payload, row.PR)
		}
		about, want := map[string]any{"number": number}, max(number, 0)
		event := map[string]any{"action": action, "installation": map[string]any{"id": installation}, "repository": map[string]any{"id": repository}}
		if event["issue"] = about; comment {
			about["pull_request"] = map[string]any{"url": action}
		} else if number != 0 {
			want = 0 // a plain issue
		}
		body, err := json.Marshal(event)
		if err != nil {
			t.Fatal(err)
		}
		row, code = deliver(t, body)
		if row == nil {
			t.Fatalf("%s was answered %d", body, code)
		}
		if utf8.ValidString(action) && row.Action != action || row.PR != want || row.InstallationID != installation || row.RepositoryID != repository {
			t.Errorf("%s is found by action %q, pull request %d, installation %d, repository %d", body, row.Action, row.PR, row.InstallationID, row.RepositoryID)
		}
	})
}

// deliver sends a signed body to a new handler, and returns what is stored of it, nil for
// nothing, and the answer's status.
func deliver(t *testing.T, body []byte) (*store.Delivery, int) {
	t.Helper()
	h, rows := setup(t, Options{})
	code := send(t, h, delivery("issue_comment", someGUID, body)).Code
	if row, ok := rows.rows[someGUID]; ok {
		return &row, code
	}
	return nil, code
}
