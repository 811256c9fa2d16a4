package github

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	gh "github.com/google/go-github/v60/github"

	"github.com/idp-bot/idp/bot"
	"github.com/idp-bot/idp/gitops/fault"
)

var (
	// ErrNoAccess is bot.ErrNoAccess.
	ErrNoAccess = bot.ErrNoAccess
	// ErrNotFile says that a path is a directory, a symbolic link or a submodule.
	ErrNotFile = fault.New(fault.Invalid, "this is not a regular file", "make it a plain file")
	// ErrTooLarge says that a file is larger than MaxFile.
	ErrTooLarge = fault.New(fault.Invalid, "the file is larger than 64 KiB", "make it smaller")
)

// RateLimited says that GitHub takes no more requests of an installation for
// now, or that one more would break its limits. Nothing was sent, or what was
// sent was refused: the same request is right again at Until.
type RateLimited struct {
	Until time.Time
	// Reason is "primary", "secondary" or "pace".
	Reason string
}

func (e *RateLimited) Error() string {
	return fmt.Sprintf("rate limited (%s) until %s", e.Reason, e.Until.UTC().Format(time.RFC3339))
}

// RetryAt returns Until; it lets callers that cannot import this package ask for
// it through an interface.
func (e *RateLimited) RetryAt() time.Time { return e.Until }

// APIError is an answer of GitHub's that is not a success.
type APIError struct {
	// Status is the HTTP status.
	Status int
	// Message is GitHub's own, cut to a sensible length.
	Message string
	// RequestID is GitHub's, for its support.
	RequestID string
}

func (e *APIError) Error() string {
	text := fmt.Sprintf("GitHub answered %d", e.Status)
	if e.Message != "" {
		text += ": " + e.Message
	}
	if e.RequestID != "" {
		text += " (request " + e.RequestID + ")"
	}
	return text
}

// Forbidden says that the App may not do what it asked for, and that asking again
// does not help.
func (e *APIError) Forbidden() bool { return e.Status == http.StatusForbidden }

// Temporary says that GitHub is ill, so that the same request may be right later.
func (e *APIError) Temporary() bool { return e.Status >= 500 }

// wireError is a request that GitHub did not answer.
type wireError struct {
	op, url string
	err     error
}

func (e *wireError) Error() string { return e.op + " " + e.url + ": " + e.err.Error() }

// Unwrap returns what went wrong on the way.
func (e *wireError) Unwrap() error { return e.err }

// Temporary says that the same request may be right later.
func (e *wireError) Temporary() bool { return true }

// maxMessage bounds how much of GitHub's words an error repeats.
const maxMessage = 300

// wrap puts an operation and its subject before an error, and takes out of the
// error what must not be seen: go-github's and net/http's hold URLs and whole
// requests. 404 and 410 become bot.ErrNotFound.
func wrap(err error, format string, args ...any) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf(format+": %w", append(args, plain(err))...)
}

func plain(err error) error {
	// What this package made itself is fit to be seen, and what it wraps is not.
	if own, ok := errors.AsType[*RateLimited](err); ok {
		return own
	}
	if own, ok := errors.AsType[*tokenError](err); ok {
		return own
	}
	if limit, ok := errors.AsType[*gh.RateLimitError](err); ok {
		return fromResponse(limit.Response, limit.Message)
	}
	if limit, ok := errors.AsType[*gh.AbuseRateLimitError](err); ok {
		return fromResponse(limit.Response, limit.Message)
	}
	if refused, ok := errors.AsType[*gh.ErrorResponse](err); ok {
		return fromResponse(refused.Response, message(refused))
	}
	if wire, ok := errors.AsType[*url.Error](err); ok {
		return &wireError{wire.Op, withoutQuery(wire.URL), wire.Err}
	}
	return err
}

func fromResponse(resp *http.Response, message string) error {
	if resp == nil {
		return &APIError{Message: cut(message, maxMessage)}
	}
	answer := &APIError{Status: resp.StatusCode, Message: cut(message, maxMessage), RequestID: cut(resp.Header.Get("X-GitHub-Request-Id"), 64)}
	if resp.StatusCode == http.StatusNotFound || resp.StatusCode == http.StatusGone {
		return fmt.Errorf("%w: %w", bot.ErrNotFound, answer)
	}
	return answer
}

// message joins what GitHub says with the fields it says it of.
func message(refused *gh.ErrorResponse) string {
	text := refused.Message
	for _, detail := range refused.Errors {
		switch {
		case detail.Message != "":
			text += "; " + detail.Message
		case detail.Field != "":
			text += fmt.Sprintf("; %s %s: %s", detail.Resource, detail.Field, detail.Code)
		}
	}
	return text
}

func withoutQuery(text string) string {
	u, err := url.Parse(text)
	if err != nil {
		return "GitHub"
	}
	return (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}).String()
}

// cut shortens text to so many characters, and one for the sign that it was cut.
func cut(text string, most int) string {
	count := 0
	for at := range text {
		if count == most {
			return text[:at] + "…"
		}
		count++
	}
	return text
}
