package webhooks

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/idp-bot/idp/gitops/secret"
	"github.com/idp-bot/idp/gitops/secret/secrettest"
	"github.com/idp-bot/idp/previews/store"
)

var newSecret, oldSecret = secrettest.New("new"), secrettest.New("old")

const someGUID = "72d3162e-cc78-11e3-81ab-4c9367dc0958"

// inbox keeps deliveries in memory, as the store does on disk.
type inbox struct {
	mu   sync.Mutex
	rows map[string]store.Delivery
	fail error
}

func (i *inbox) AddDelivery(_ context.Context, d store.Delivery) (bool, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.fail != nil {
		return false, i.fail
	}
	if _, known := i.rows[d.GUID]; known {
		return false, nil
	}
	d.Payload = bytes.Clone(d.Payload)
	i.rows[d.GUID] = d
	return true, nil
}

func setup(t testing.TB, opts Options) (*Handler, *inbox) {
	t.Helper()
	rows := &inbox{rows: map[string]store.Delivery{}}
	if opts.Secrets == nil {
		opts.Secrets = []secret.String{secret.New(newSecret), secret.New(oldSecret)}
	}
	if opts.Inbox == nil {
		opts.Inbox = rows
	}
	h, err := New(opts)
	if err != nil {
		t.Fatal(err)
	}
	return h, rows
}

func sign(key string, body []byte) string {
	mac := hmac.New(sha256.New, []byte(key))
	mac.Write(body)
	return "sha256=" + hex.EncodeToString(mac.Sum(nil))
}

// delivery is a request as GitHub sends it, through a proxy.
func delivery(event, guid string, body []byte) *http.Request {
	r := httptest.NewRequest(http.MethodPost, "/webhooks/github", bytes.NewReader(body))
	r.RemoteAddr = "10.0.0.1:1234"
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("X-GitHub-Event", event)
	r.Header.Set("X-GitHub-Delivery", guid)
	r.Header.Set("X-Hub-Signature-256", sign(newSecret, body))
	return r
}

// send has the handler answer a request, and searches the answer for secrets.
func send(t testing.TB, h http.Handler, r *http.Request) *httptest.ResponseRecorder {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	secrettest.Text(t, "an answer", fmt.Append(nil, w.Header(), w.Body))
	return w
}

// example is one payload of @octokit/webhooks-examples.
type example struct {
	source, event string
	payload       []byte
}

// examples reads all of testdata/payloads.
func examples(t testing.TB) []example {
	t.Helper()
	files, err := filepath.Glob("../testdata/payloads/*.json.gz")
	if err != nil || len(files) == 0 {
		t.Fatalf("no payloads: %v", err)
	}
	var all []example
	for _, file := range files {
		for _, group := range readPayloads(t, file) {
			for _, payload := range group.Payloads {
				all = append(all, example{filepath.Base(file), group.Event, payload})
			}
		}
	}
	return all
}

type payloadGroup struct {
	Event    string            `json:"event"`
	Payloads []json.RawMessage `json:"payloads"`
}

func readPayloads(t testing.TB, file string) []payloadGroup {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	unzipped, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	var groups []payloadGroup
	if err := json.NewDecoder(unzipped).Decode(&groups); err != nil {
		t.Fatal(err)
	}
	return groups
}
