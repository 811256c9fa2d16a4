package api

import (
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/idp-bot/idp/gitops/fault"
)

const (
	// later is how many seconds whoever is refused for now is asked to wait, and longest
	// the most that GitHub's own limits make of that.
	later   = 5
	longest = 3600
)

// Refusal is the body of every answer of the API's own that is no success.
type Refusal struct {
	Message string `json:"message"`
	Hint    string `json:"hint,omitempty"`
}

func refuse(w http.ResponseWriter, status int, problem error) {
	out := Refusal{Message: problem.Error()}
	if told, ok := errors.AsType[*fault.Error](problem); ok {
		out = Refusal{Message: told.Message, Hint: told.Hint}
	}
	write(w, status, out)
}

// malformed answers what is no request.
func malformed(w http.ResponseWriter, problem error) {
	if _, large := errors.AsType[*http.MaxBytesError](problem); large {
		refuse(w, http.StatusRequestEntityTooLarge, fault.New(fault.Invalid, "the body is larger than 16 KiB", ""))
		return
	}
	refuse(w, http.StatusBadRequest, problem)
}

// slower answers whoever asks too often.
func slower(w http.ResponseWriter) {
	w.Header().Set("Retry-After", strconv.Itoa(later))
	refuse(w, http.StatusTooManyRequests, fault.New(fault.Conflict, "too many requests at once", "wait a few seconds"))
}

// fail answers what went wrong without the person's doing.
func (h *Handler) fail(w http.ResponseWriter, err error) {
	h.failed.Do(func() { h.options.Log.Warn("requests of the API cannot be answered", "error", err) })
	wait := later
	var limit interface{ RetryAt() time.Time }
	if errors.As(err, &limit) {
		wait = min(max(int(limit.RetryAt().Sub(h.options.Now()).Seconds())+1, later), longest)
	}
	w.Header().Set("Retry-After", strconv.Itoa(wait))
	refuse(w, http.StatusServiceUnavailable, fault.New(fault.Failure, "idp cannot answer this just now", "try again later, with the same Idempotency-Key where you gave one"))
}

func write(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // whoever is gone reads nothing
}
