package openapi

import (
	"net/http"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
)

// Exception is a kind of exchange that GitHub's description does not cover.
type Exception struct {
	Name   string
	Reason string
	// Schemas, where given, are the components that the body must fit instead,
	// any of them; else the body is not checked.
	Schemas []string

	applies func(exchange) bool
	// empty, where given, tells of a request body to be read as none.
	empty func(body string) bool
}

// exchange is one request with its answer, as the exceptions see it.
type exchange struct {
	request   *http.Request
	operation *openapi3.Operation
	status    int
	header    http.Header
}

// Exceptions returns the whole list. The first that applies to an exchange counts.
func Exceptions() []Exception { return append([]Exception(nil), exceptions...) }

var exceptions = []Exception{
	{
		Name:    "null for an optional body",
		Reason:  "ghinstallation asks for a token of the whole installation with the JSON null, which GitHub takes for no body",
		applies: func(exchange) bool { return false },
		empty:   func(body string) bool { return body == "null" },
	},
	{
		Name:    "injected fault",
		Reason:  "a test asked for an answer that GitHub's edge gives when it is ill: HTML, half an answer, a status of its own",
		applies: func(x exchange) bool { return x.header.Get("X-Githubtest-Fault") != "" },
	},
	{
		Name:   "redirect",
		Reason: "GitHub redirects the former name of any repository; the description mentions 301 for few operations and 307 for fewer",
		applies: func(x exchange) bool {
			return x.status == http.StatusMovedPermanently || x.status == http.StatusTemporaryRedirect
		},
		Schemas: []string{"basic-error"},
	},
	{
		Name:    "not modified",
		Reason:  "any conditional read may answer 304 without a body; the description mentions it for some",
		applies: func(x exchange) bool { return x.status == http.StatusNotModified },
	},
	{
		Name:   "raw content",
		Reason: "the raw media type of contents is described in prose only",
		applies: func(x exchange) bool {
			return x.status == http.StatusOK && strings.HasPrefix(x.header.Get("Content-Type"), "application/vnd.github.raw")
		},
	},
	{
		Name: "error not described for the operation",
		Reason: "any operation may answer 400, 401, 403, 404, 409, 422 and 429; the description mentions few of them. " +
			"The body must be one of GitHub's error objects all the same",
		applies: func(x exchange) bool {
			switch x.status {
			case http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound, http.StatusConflict,
				http.StatusUnprocessableEntity, http.StatusTooManyRequests:
				return x.operation == nil || x.operation.Responses.Status(x.status) == nil
			}
			return false
		},
		Schemas: []string{"validation-error", "basic-error"},
	},
}

// withoutEmpty returns the body to check.
func withoutEmpty(body []byte) []byte {
	for _, e := range exceptions {
		if e.empty != nil && e.empty(strings.TrimSpace(string(body))) {
			return nil
		}
	}
	return body
}

// undocumented maps the one path that GitHub has and does not describe:
// /repositories/{id} and everything below it is the repository by its number,
// where redirects lead. It is checked as /repos/{owner}/{repo}.
func undocumented(path string) string {
	rest, ok := strings.CutPrefix(path, Prefix+"/repositories/")
	if !ok {
		return path
	}
	_, below, nested := strings.Cut(rest, "/")
	if !nested {
		return Prefix + "/repos/owner/repo"
	}
	return Prefix + "/repos/owner/repo/" + below
}
