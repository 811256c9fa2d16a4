package openapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"sync"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
)

// Validator checks one server's exchanges.
type Validator struct {
	schema *Schema

	mu        sync.Mutex
	requests  []string
	responses []string
	checked   int
}

// NewValidator returns a validator that has seen nothing.
func (s *Schema) NewValidator() *Validator { return &Validator{schema: s} }

// Violations returns all that differed from the description, requests first;
// empty for a client and a server that keep to it.
func (v *Validator) Violations() []string {
	v.mu.Lock()
	defer v.mu.Unlock()
	return append(append([]string(nil), v.requests...), v.responses...)
}

// ResponseViolations returns what differed in the server's answers alone: for
// tests that send bad requests on purpose.
func (v *Validator) ResponseViolations() []string {
	v.mu.Lock()
	defer v.mu.Unlock()
	return append([]string(nil), v.responses...)
}

// Checked returns how many exchanges were seen.
func (v *Validator) Checked() int {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.checked
}

// Middleware checks what passes through next.
func (v *Validator) Middleware(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		input := v.checkRequest(r, body)
		r.Body = io.NopCloser(bytes.NewReader(body))
		copied := &teeWriter{ResponseWriter: w, status: http.StatusOK}
		next.ServeHTTP(copied, r)
		v.checkResponse(r, input, copied)
	})
}

// checkRequest validates the request; what it returns is nil where the
// description has no such operation.
func (v *Validator) checkRequest(r *http.Request, body []byte) *openapi3filter.RequestValidationInput {
	v.mu.Lock()
	v.checked++
	v.mu.Unlock()
	copied := r.Clone(r.Context())
	body = withoutEmpty(body)
	copied.ContentLength = int64(len(body))
	copied.Body = io.NopCloser(bytes.NewReader(body))
	plain, err := url.PathUnescape(undocumented(r.URL.EscapedPath()))
	if err != nil {
		v.violate(&v.requests, r, "path: "+err.Error())
		return nil
	}
	copied.URL.RawPath, copied.URL.Path = undocumented(r.URL.EscapedPath()), plain
	route, params, err := v.schema.router.FindRoute(copied)
	if err != nil {
		v.violate(&v.requests, r, "GitHub describes no such operation: "+err.Error())
		return nil
	}
	input := &openapi3filter.RequestValidationInput{Request: copied, Route: route, PathParams: params, Options: options()}
	if len(body) > 0 && copied.Header.Get("Content-Type") == "" {
		copied.Header.Set("Content-Type", "application/json")
	}
	if err := openapi3filter.ValidateRequest(r.Context(), input); err != nil {
		v.violate(&v.requests, r, "request: "+reason(err))
	}
	return input
}

func options() *openapi3filter.Options {
	return &openapi3filter.Options{
		MultiError: true, IncludeResponseStatus: true, SkipSettingDefaults: true,
		AuthenticationFunc: openapi3filter.NoopAuthenticationFunc,
	}
}

func (v *Validator) checkResponse(r *http.Request, input *openapi3filter.RequestValidationInput, got *teeWriter) {
	x := exchange{request: r, status: got.status, header: got.Header()}
	if input != nil {
		x.operation = input.Route.Operation
	}
	for _, e := range exceptions {
		if e.applies(x) {
			v.checkBody(r, e, got)
			return
		}
	}
	if input == nil {
		v.violate(&v.responses, r, fmt.Sprintf("answered %d outside of GitHub's description", got.status))
		return
	}
	err := openapi3filter.ValidateResponse(r.Context(), &openapi3filter.ResponseValidationInput{
		RequestValidationInput: input, Status: got.status, Header: got.Header(),
		Body: io.NopCloser(bytes.NewReader(got.body.Bytes())), Options: options(),
	})
	if err != nil {
		v.violate(&v.responses, r, fmt.Sprintf("answer %d: %s", got.status, reason(err)))
	}
}

// checkBody holds an exception's body to the schemas that it names.
func (v *Validator) checkBody(r *http.Request, e Exception, got *teeWriter) {
	if len(e.Schemas) == 0 {
		return
	}
	var value any
	if err := json.Unmarshal(got.body.Bytes(), &value); err != nil {
		v.violate(&v.responses, r, fmt.Sprintf("answer %d (%s): %v", got.status, e.Name, err))
		return
	}
	var failures []error
	for _, name := range e.Schemas {
		err := v.schema.doc.Components.Schemas[name].Value.VisitJSON(value)
		if err == nil {
			return
		}
		failures = append(failures, err)
	}
	v.violate(&v.responses, r, fmt.Sprintf("answer %d (%s): %s", got.status, e.Name, reason(errors.Join(failures...))))
}

func (v *Validator) violate(list *[]string, r *http.Request, what string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	*list = append(*list, r.Method+" "+r.URL.RequestURI()+": "+what)
}

// reason shortens kin-openapi's errors to where and why, without the schema and
// the value, which run to pages.
func reason(err error) string {
	var multi openapi3.MultiError
	if errors.As(err, &multi) {
		parts := ""
		for i, one := range multi {
			if i > 0 {
				parts += "; "
			}
			parts += reason(one)
		}
		return parts
	}
	var schema *openapi3.SchemaError
	if errors.As(err, &schema) {
		return fmt.Sprintf("at %v: %s", schema.JSONPointer(), schema.Reason)
	}
	if errors.Is(err, routers.ErrPathNotFound) {
		return "no such path"
	}
	return err.Error()
}

// teeWriter keeps a copy of what goes out.
type teeWriter struct {
	http.ResponseWriter
	status int
	body   bytes.Buffer
}

// WriteHeader notes the status.
func (w *teeWriter) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

// Write copies the body.
func (w *teeWriter) Write(p []byte) (int, error) {
	w.body.Write(p)
	return w.ResponseWriter.Write(p)
}

// Unwrap gives http.ResponseController what lies below.
func (w *teeWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
