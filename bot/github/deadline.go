package github

import (
	"context"
	"errors"
	"io"
	"net/http"
	"time"
)

const (
	// attemptTimeout bounds one attempt, from dialling to the last byte.
	attemptTimeout = 20 * time.Second
	// maxAnswer bounds an answer's size; a page of 100 changed files with their
	// patches is the largest, at a few MiB.
	maxAnswer = 32 << 20
)

var errAnswerTooLarge = errors.New("GitHub's answer is too large")

// deadline bounds one attempt in time and in size.
type deadline struct {
	next http.RoundTripper
	// within is how long it may take, most what it may answer with in bytes, and tooLarge what
	// reading more fails with.
	within   time.Duration
	most     int64
	tooLarge error
}

// ofRequests bounds what every request is answered with.
func ofRequests(next http.RoundTripper) deadline {
	return deadline{next: next, within: attemptTimeout, most: maxAnswer, tooLarge: errAnswerTooLarge}
}

// ofDownloads bounds archives, which are far larger than any answer.
func ofDownloads(next http.RoundTripper) deadline {
	return deadline{next: next, within: downloadTimeout, most: maxDownload, tooLarge: errDownload}
}

// RoundTrip sends the request; the time runs until the answer's body is closed.
func (d deadline) RoundTrip(req *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithTimeout(req.Context(), d.within)
	resp, err := d.next.RoundTrip(req.WithContext(ctx))
	if err != nil {
		cancel()
		return nil, err
	}
	resp.Body = &boundedBody{body: resp.Body, left: d.most, tooLarge: d.tooLarge, cancel: cancel}
	return resp, nil
}

type boundedBody struct {
	body     io.ReadCloser
	left     int64
	tooLarge error
	cancel   context.CancelFunc
}

func (b *boundedBody) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, b.tooLarge
	}
	n, err := b.body.Read(p[:min(int64(len(p)), b.left)])
	b.left -= int64(n)
	return n, err
}

func (b *boundedBody) Close() error {
	defer b.cancel()
	return b.body.Close()
}
