package secret_test

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"go.yaml.in/yaml/v4"

	"github.com/idp-bot/idp/gitops/secret"
	"github.com/idp-bot/idp/gitops/secret/secrettest"
)

var canary = secrettest.New("value")

// holder has the secret both exported and unexported: fmt reaches the second
// without being able to call its methods.
type holder struct {
	Token  secret.String
	hidden secret.String
}

// exported is a struct that every encoder takes.
type exported struct{ Token secret.String }

func TestNothingPrintsTheValue(t *testing.T) {
	t.Parallel()
	s := secret.New(canary)
	h := holder{Token: s, hidden: s}
	var out bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%T"} {
		for _, v := range []any{s, &s, h, &h, []secret.String{s}, map[string]secret.String{"k": s}} {
			fmt.Fprintf(&out, verb+"\n", v)
		}
	}
	fmt.Fprintln(&out, s, h, fmt.Errorf("with %w and %v", fmt.Errorf("%v", s), s))
	for _, log := range []slog.Handler{slog.NewTextHandler(&out, nil), slog.NewJSONHandler(&out, nil)} {
		slog.New(log).Info("x", "token", s, "holder", h, "slice", []secret.String{s})
	}
	for _, marshal := range []func(any) ([]byte, error){json.Marshal, yaml.Marshal, xml.Marshal} {
		b, err := marshal(exported{s})
		if err != nil {
			t.Fatal(err)
		}
		out.Write(b)
	}
	if keyed, err := json.Marshal(map[string]any{"a": h, "b": &s}); err != nil {
		t.Fatal(err)
	} else {
		out.Write(keyed)
	}
	for _, form := range []string{canary, fmt.Sprintf("%x", canary), fmt.Sprintf("%X", canary)} {
		if strings.Contains(out.String(), form) {
			t.Fatalf("%q is in the output:\n%s", form, out.String())
		}
	}
	if !strings.Contains(out.String(), secret.Redacted) {
		t.Error("nothing says that a value was left out")
	}
}

func TestValue(t *testing.T) {
	t.Parallel()
	s := secret.New(canary)
	if s.Reveal() != canary || s.IsZero() {
		t.Error("the value is lost")
	}
	if !s.Equal(secret.New(canary)) || s.Equal(secret.New("other")) || s.Equal(secret.String{}) {
		t.Error("Equal is wrong")
	}
	var absent secret.String
	if absent.Reveal() != "" || absent.String() != "" || !absent.IsZero() || !secret.New("").IsZero() {
		t.Error("the absent secret must be told from a hidden one")
	}
}

func TestFlagValue(t *testing.T) {
	t.Parallel()
	var s secret.String
	if err := s.Set(canary); err != nil || s.Reveal() != canary || s.Type() != "secret" {
		t.Errorf("set %v, type %s, err %v", s, s.Type(), err)
	}
}
