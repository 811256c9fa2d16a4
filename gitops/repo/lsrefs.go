package repo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

const (
	// maxRefs bounds the answer about one ref, in bytes: other refs may begin with its name.
	maxRefs = 1 << 20
	// askTimeout bounds the question, after which git is asked.
	askTimeout = 10 * time.Second
)

// errNoAnswer is for what is then asked with git.
var errNoAnswer = errors.New("the remote does not answer as git's protocol has it")

// newAsker returns the client for askRef and send. It follows nowhere: the credentials are for the
// remote alone.
func newAsker() *http.Client {
	return &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// askRef asks an http remote for a ref over a connection that is kept, with one request of
// version 2 of git's protocol (ls-refs; see gitprotocol-http(5) and gitprotocol-v2(5)): three
// processes and as many requests less than git ls-remote takes, and that for each decision.
// An error says only that git is to be asked, which knows more ways and explains better.
func (r *Repo) askRef(ctx context.Context, wanted string) (string, error) {
	if r.remote.Host == "" || r.unanswered.Load() {
		return "", errNoAnswer
	}
	body := packet("command=ls-refs\n") + "0001" + packet("ref-prefix "+wanted+"\n") + "0000"
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	request, err := r.request(ctx, "upload-pack", strings.NewReader(body))
	if err != nil {
		return "", err
	}
	response, err := r.asker.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(response.Body, maxRefs))
	if err != nil {
		return "", err
	}
	if response.StatusCode != http.StatusOK {
		// What is unavailable or unauthorized now may not be the next time.
		r.unanswered.Store(neverAnswers(response.StatusCode))
		return "", fmt.Errorf("%w: %s", errNoAnswer, response.Status)
	}
	sha, err := readRefs(answer, wanted)
	r.unanswered.Store(err != nil)
	return sha, err
}

// request is one of git's protocol to an http remote, with the credentials.
func (r *Repo) request(ctx context.Context, service string, body io.Reader) (*http.Request, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, strings.TrimSuffix(r.opts.URL, "/")+"/git-"+service, body)
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", "application/x-git-"+service+"-request")
	request.Header.Set("Accept", "application/x-git-"+service+"-result")
	request.Header.Set("Git-Protocol", "version=2")
	if r.opts.Credentials != nil {
		c, err := r.opts.Credentials(ctx)
		if err != nil {
			return nil, err
		}
		request.SetBasicAuth(c.user(), c.Password)
	}
	return request, nil
}

// neverAnswers says that a status is that of a remote which does not know such a request.
func neverAnswers(status int) bool {
	return status/100 == 3 || status == http.StatusNotFound || status == http.StatusMethodNotAllowed
}

// packet is a line as git's protocol has it: after its own length, in four digits.
func packet(line string) string { return fmt.Sprintf("%04x%s", len(line)+4, line) }

// readRefs finds a ref among the lines "<id> SP <name>" of an answer, which ends with a
// flush; "" where it is not among them.
func readRefs(answer []byte, wanted string) (sha string, err error) {
	err = eachPacket(answer, func(line []byte) error {
		id, name, ok := strings.Cut(strings.TrimSuffix(string(line), "\n"), " ")
		if !ok || !isSHA(id) {
			return fmt.Errorf("%w: unexpected %.80q", errNoAnswer, line)
		}
		if name == wanted {
			sha = id
		}
		return nil
	})
	return sha, err
}
