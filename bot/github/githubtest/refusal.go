package githubtest

import (
	"net/http"
	"strconv"
)

const docs = "https://docs.github.com/rest"

// refuse is an error in GitHub's shape ("basic-error").
func refuse(status int, message string) *reply {
	return &reply{status: status, body: object{"message": message, "documentation_url": docs, "status": strconv.Itoa(status)}}
}

func notFound() *reply { return refuse(http.StatusNotFound, "Not Found") }

func notAllowed() *reply {
	return refuse(http.StatusForbidden, "Resource not accessible by integration")
}

// fieldError is one entry of "errors" in a 422 (docs.github.com, "Troubleshooting
// the REST API": codes missing, missing_field, invalid, already_exists, custom).
type fieldError struct {
	Resource string `json:"resource"`
	Field    string `json:"field"`
	Code     string `json:"code"`
	Message  string `json:"message,omitempty"`
}

// String is the error in a line.
func (e *fieldError) String() string {
	if e.Message != "" {
		return e.Message
	}
	return e.Field + " is " + e.Code
}

// invalid is GitHub's 422 "Validation Failed".
func invalid(errs ...fieldError) *reply {
	return &reply{status: http.StatusUnprocessableEntity, body: object{
		"message": "Validation Failed", "documentation_url": docs, "errors": errs, "status": "422",
	}}
}

// ok is a 200 with a body.
func ok(body any) reply { return reply{status: http.StatusOK, body: body} }

// created is a 201 with a body.
func created(body any) reply { return reply{status: http.StatusCreated, body: body} }
