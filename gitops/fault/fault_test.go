package fault_test

import (
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/idp-bot/idp/gitops/fault"
)

func TestCodeOf(t *testing.T) {
	t.Parallel()
	denied := fault.New(fault.Denied, "not yours", "ask the owner")
	for name, c := range map[string]struct {
		err  error
		want fault.Code
	}{
		"nil":             {nil, ""},
		"uncoded":         {io.EOF, fault.Failure},
		"coded":           {denied, fault.Denied},
		"wrapped":         {fmt.Errorf("extend acme/web#42: %w", denied), fault.Denied},
		"joined":          {errors.Join(io.EOF, denied), fault.Denied},
		"outermost first": {fault.Wrap(denied, fault.Timeout, "took too long", ""), fault.Timeout},
	} {
		if got := fault.CodeOf(c.err); got != c.want {
			t.Errorf("%s: CodeOf = %q, want %q", name, got, c.want)
		}
	}
}

func TestCauseIsForOperatorsOnly(t *testing.T) {
	t.Parallel()
	err := fault.Wrap(io.ErrUnexpectedEOF, fault.Invalid, "the payload is cut short", "send it again")
	if got, want := err.Error(), "the payload is cut short: unexpected EOF"; got != want {
		t.Errorf("Error() = %q, want %q", got, want)
	}
	if err.Message != "the payload is cut short" {
		t.Errorf("Message = %q, it must not show the cause", err.Message)
	}
	if !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Error("the cause is lost")
	}
}

func TestWithHintCopies(t *testing.T) {
	t.Parallel()
	base := fault.Newf(fault.Conflict, "host %s is taken", "a.example.com")
	hinted := base.WithHint("rename the service %q", "a")
	if base.Hint != "" || hinted.Hint != `rename the service "a"` || hinted.Message != base.Message {
		t.Errorf("base %+v, hinted %+v", base, hinted)
	}
}
