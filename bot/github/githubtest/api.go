package githubtest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// maxRequestBody is more than any request of the API needs.
const maxRequestBody = 10 << 20

// call is one request while it is answered, under the server's mutex.
type call struct {
	s       *Server
	request *http.Request
	path    string // below the API root, as it was asked for
	route   *route // nil where there is none
	params  map[string]string
	query   url.Values
	body    []byte
	cred    credential
	repo    *Repository // set for routes below /repos/{owner}/{repo}
}

// reply is an answer before it is encoded.
type reply struct {
	status int
	body   any // nil: no body
	header http.Header
}

// wire is an answer as it goes out.
type wire struct {
	status int
	header http.Header
	body   []byte
	fault  *Fault
}

func (s *Server) serveAPI(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxRequestBody))
	if err != nil {
		http.Error(w, err.Error(), http.StatusRequestEntityTooLarge)
		return
	}
	if mirrored := s.mirroredAt(r); mirrored != nil {
		if err := mirrored.catchUp(r.Context()); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
	}
	out := s.answer(r, body)
	if out.fault != nil {
		out.fault.wait(r.Context())
		if out.fault.Drop {
			panic(http.ErrAbortHandler)
		}
	}
	for name, values := range out.header {
		w.Header()[name] = values
	}
	if out.status != http.StatusNoContent && out.status != http.StatusNotModified {
		w.Header().Set("Content-Length", strconv.Itoa(len(out.body)))
	}
	w.WriteHeader(out.status)
	if out.fault != nil && out.fault.Truncate {
		_, _ = w.Write(out.body[:len(out.body)/2])
		_ = http.NewResponseController(w).Flush() // else the abort takes the half along
		panic(http.ErrAbortHandler)
	}
	_, _ = w.Write(out.body)
}

// answer decides, records and encodes under the mutex.
func (s *Server) answer(r *http.Request, body []byte) wire {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.newCall(r, body)
	var refusal *reply
	c.cred, refusal = s.authenticate(r.Header.Get("Authorization"))
	banned := s.banned(c.cred)
	fault := s.takeFault(c, banned != nil)

	var out wire
	switch {
	case banned != nil:
		out = s.encode(c, *banned)
	case fault != nil && !fault.AfterEffect && fault.replaces():
		out = s.encode(c, fault.reply())
	default:
		out = s.encode(c, s.handle(c, refusal))
		if fault != nil && fault.replaces() {
			out = s.encode(c, fault.reply())
		}
	}
	if fault != nil {
		fault.mark(&out)
		s.ban(c.cred, fault.Status, fault.RetryAfter)
	}
	s.record(c, out, banned != nil)
	return out
}

// newCall matches the route. /repositories/{id}/… is answered as the
// repository's own path, which is where GitHub's redirects of renamed
// repositories lead.
func (s *Server) newCall(r *http.Request, body []byte) *call {
	c := &call{s: s, request: r, body: body, query: r.URL.Query()}
	c.path = strings.TrimPrefix(r.URL.EscapedPath(), apiPrefix)
	target := c.path
	if rest, ok := strings.CutPrefix(target, "/repositories/"); ok {
		number, rest, _ := strings.Cut(rest, "/")
		id, err := strconv.ParseInt(number, 10, 64)
		if repo := s.repositories[id]; err == nil && repo != nil {
			target = strings.TrimSuffix("/repos/"+repo.fullName()+"/"+rest, "/")
		}
	}
	c.route, c.params = s.router.match(r.Method, target)
	return c
}

// handle authorises and runs the route. refusal is what authentication said.
func (s *Server) handle(c *call, refusal *reply) reply {
	if refusal == nil {
		refusal = s.spend(c)
	}
	if refusal == nil && c.route == nil {
		refusal = notFound()
	}
	if refusal == nil {
		refusal = c.authorize()
	}
	if refusal != nil {
		return *refusal
	}
	return c.route.handle(c)
}

// encode adds what every answer of GitHub's carries, and turns an unchanged
// representation into 304, which costs nothing of the primary limit.
func (s *Server) encode(c *call, r reply) wire {
	out := wire{status: r.status, header: http.Header{}}
	for name, values := range r.header {
		out.header[name] = values
	}
	out.header.Set("X-GitHub-Request-Id", fmt.Sprintf("%04X:%X", s.nextID(), c.s.now().Unix()))
	out.header.Set("Date", c.s.now().Format(http.TimeFormat))
	out.header.Set("X-GitHub-Media-Type", "github.v3; format=json")
	if raw, ok := r.body.([]byte); ok {
		out.body = raw
	} else if r.body != nil {
		out.body = mustJSON(r.body)
		out.header.Set("Content-Type", "application/json; charset=utf-8")
	}
	if c.request.Method == http.MethodGet && r.status == http.StatusOK && len(out.body) > 0 {
		sum := sha256.Sum256(append([]byte(out.header.Get("Link")), out.body...))
		etag := `W/"` + hex.EncodeToString(sum[:]) + `"`
		out.header.Set("ETag", etag)
		out.header.Set("Cache-Control", "private, max-age=60, s-maxage=60")
		if sameTag(c.request.Header.Get("If-None-Match"), etag) {
			out.status, out.body = http.StatusNotModified, nil
			s.refund(c)
		}
	}
	s.limitHeaders(c, out.header)
	return out
}

// sameTag compares weakly (RFC 9110, 8.8.3.2).
func sameTag(header, etag string) bool {
	for _, one := range strings.Split(header, ",") {
		if strings.TrimPrefix(strings.TrimSpace(one), "W/") == strings.TrimPrefix(etag, "W/") {
			return true
		}
	}
	return false
}

// mustJSON encodes without escaping HTML. What it is given is made of maps,
// strings and numbers, which always encode.
func mustJSON(v any) []byte {
	var buffer bytes.Buffer
	encoder := json.NewEncoder(&buffer)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(v); err != nil {
		panic(fmt.Sprintf("githubtest: encode %T: %v", v, err))
	}
	return bytes.TrimSpace(buffer.Bytes())
}

// decode reads the JSON body into v; a refusal where it is none.
func (c *call) decode(v any) *reply {
	if err := json.Unmarshal(c.body, v); err != nil {
		if _, mistyped := err.(*json.UnmarshalTypeError); mistyped {
			return refuse(http.StatusUnprocessableEntity, "Invalid request.\n\n"+err.Error())
		}
		return refuse(http.StatusBadRequest, "Problems parsing JSON")
	}
	return nil
}

// decodeOptional is decode where an empty body is fine.
func (c *call) decodeOptional(v any) *reply {
	if len(bytes.TrimSpace(c.body)) == 0 {
		return nil
	}
	return c.decode(v)
}

// number returns a numeric path parameter; 0, which is no id, where it is none.
func (c *call) number(name string) int64 {
	n, err := strconv.ParseInt(c.params[name], 10, 64)
	if err != nil {
		return 0
	}
	return n
}

// actor is who the call's effects are by: the App's bot.
func (c *call) actor() *account {
	if c.cred.token == nil {
		return nil
	}
	return c.cred.token.installation.app.bot
}

// asApp is the App that acts by an installation token, or nil.
func (c *call) asApp() *App {
	if c.cred.token == nil {
		return nil
	}
	return c.cred.token.installation.app
}

// wait delays an answer as the fault says, or until the client gives up.
func (f *Fault) wait(ctx context.Context) {
	if f.Until != nil {
		select {
		case <-ctx.Done():
		case <-f.Until:
		}
	}
	if f.Delay > 0 {
		delay, cancel := context.WithTimeout(ctx, f.Delay)
		defer cancel()
		<-delay.Done()
	}
}
