package github

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
)

// maxRedirects bounds a chain: a renamed repository takes one, a renamed
// repository of a renamed owner two.
const maxRedirects = 3

var errRedirect = errors.New("GitHub redirects to somewhere that is not its API")

// ownRedirects keeps http.Client from following redirects: it would turn a POST
// into a GET.
func ownRedirects(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// redirecting follows GitHub to where a renamed or transferred repository is
// now, with the same method and body. The token is added further in, so a
// redirect away from the API's own root is refused instead of followed.
// Source: docs.github.com/rest/using-the-rest-api/best-practices-for-using-the-rest-api#follow-redirects.
type redirecting struct {
	base *url.URL
	next http.RoundTripper
	// leave, when set, says of a redirect's target that the redirect itself is the answer.
	leave func(*url.URL) bool
}

// RoundTrip sends the request to wherever it leads.
func (r redirecting) RoundTrip(req *http.Request) (*http.Response, error) {
	for hop := 0; ; hop++ {
		again, repeatable := rewound(req)
		resp, err := r.next.RoundTrip(req)
		if err != nil || !redirects(resp) || !repeatable || hop == maxRedirects {
			if repeatable {
				closeBody(again)
			}
			return resp, err
		}
		if at, err := resp.Location(); err == nil && r.leave != nil && r.leave(at) {
			closeBody(again)
			return resp, nil
		}
		target, err := r.target(req, resp)
		discard(resp)
		if err != nil {
			closeBody(again)
			return nil, err
		}
		again.URL, again.Host = target, ""
		req = again
	}
}

func redirects(resp *http.Response) bool {
	switch resp.StatusCode {
	case http.StatusMovedPermanently, http.StatusFound, http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
		return resp.Header.Get("Location") != ""
	}
	return false
}

func (r redirecting) target(req *http.Request, resp *http.Response) (*url.URL, error) {
	target, err := req.URL.Parse(resp.Header.Get("Location"))
	if err != nil || target.Scheme != r.base.Scheme || target.Host != r.base.Host || target.User != nil ||
		!strings.HasPrefix(target.Path, r.base.Path) {
		return nil, errRedirect
	}
	if target.RawQuery == "" {
		target.RawQuery = req.URL.RawQuery
	}
	return target, nil
}
