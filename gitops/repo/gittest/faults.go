package gittest

import (
	"net/http"
	"strings"
	"time"
)

// answer is what becomes of the response to a request.
type answer int

const (
	answerSent answer = iota
	answerDropped
	answerHeld
	answerError
)

// RefusePushes makes the pre-receive hook refuse the next n pushes with message.
func (r *Repository) RefusePushes(n int, message string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.refuse, r.message = n, message
}

// DropPushAnswers lets the next n pushes take effect and breaks the connection
// instead of answering.
func (r *Repository) DropPushAnswers(n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.drop = n
}

// HoldPushAnswers lets the next n pushes take effect and never answers, until
// the client hangs up.
func (r *Repository) HoldPushAnswers(n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.hold = n
}

// FailPushes answers the next n pushes with 503 and does nothing.
func (r *Repository) FailPushes(n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.fail = n
}

// BeforePush calls f when a push's commands have come in and before git gets
// them: the moment at which another writer may still be faster. nil calls
// nothing.
func (r *Repository) BeforePush(f func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.beforePush = f
}

// AfterPush calls f after git has dealt with a push and before its answer is
// sent, dropped or held. nil calls nothing.
func (r *Repository) AfterPush(f func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.afterPush = f
}

// Pushes returns how many pushes came in, refused ones included.
func (r *Repository) Pushes() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.pushes
}

// Served returns how long git has worked on pushes, from when a push had come in until its
// answer was ready: what is the remote's part of them.
func (r *Repository) Served() time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.served
}

func (r *Repository) serve(took time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.served += took
}

// disturbance is what a request meets: env reaches the hooks, after is called
// before the answer.
type disturbance struct {
	env    []string
	answer answer
	after  func()
	push   bool
}

// disturb counts a push and says which fault it meets.
func (r *Repository) disturb(req *http.Request) disturbance {
	d := disturbance{after: func() {}}
	// Ahead of a large or chunked push git sends an empty one of four bytes.
	if req.Method != http.MethodPost || !strings.HasSuffix(req.URL.Path, "/git-receive-pack") || req.ContentLength == 4 {
		return d
	}
	d.push = true
	r.mu.Lock()
	before := r.beforePush
	if r.afterPush != nil {
		d.after = r.afterPush
	}
	r.pushes++
	switch {
	case due(&r.fail):
		d.answer = answerError
	case due(&r.refuse):
		d.env = []string{"GITTEST_REFUSE=" + r.message}
	case due(&r.drop):
		d.answer = answerDropped
	case due(&r.hold):
		d.answer = answerHeld
	}
	r.mu.Unlock()
	if before != nil {
		before()
	}
	return d
}

func due(n *int) bool {
	if *n <= 0 {
		return false
	}
	*n--
	return true
}
