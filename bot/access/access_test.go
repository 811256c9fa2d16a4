package access

import (
	"fmt"
	"testing"
)

// TestMatrix is every cell of permission × needed.
func TestMatrix(t *testing.T) {
	t.Parallel()
	for i, has := range ladder {
		for j, needed := range ladder {
			t.Run(fmt.Sprintf("%s for %s", has, needed), func(t *testing.T) {
				t.Parallel()
				v := Authorize(Request{ActorID: 1, Login: "ann", Permission: has, Action: "/idp pin", Needed: needed})
				if want := needed != None && i >= j; v.Allowed != want {
					t.Errorf("allowed = %v (%s), want %v", v.Allowed, v.Reason, want)
				}
				if v.Reason == "" || v.Allowed != (v.WhoMay == "") {
					t.Errorf("verdict without its reason or who may: %+v", v)
				}
			})
		}
	}
}

// TestDoubt refuses the most powerful user wherever something is not known.
func TestDoubt(t *testing.T) {
	t.Parallel()
	good := Request{ActorID: 1, Login: "ann", Permission: Admin, Action: "/idp pin", Needed: Write}
	if v := Authorize(good); !v.Allowed {
		t.Fatalf("refused: %s", v.Reason)
	}
	for name, change := range map[string]func(*Request){
		"nothing known":          func(r *Request) { *r = Request{} },
		"a bot":                  func(r *Request) { r.Bot = true },
		"no id":                  func(r *Request) { r.ActorID = 0 },
		"no login":               func(r *Request) { r.Login = "" },
		"permission not read":    func(r *Request) { r.PermissionErr = "503" },
		"unknown permission":     func(r *Request) { r.Permission = "superuser" },
		"permission in capitals": func(r *Request) { r.Permission = "ADMIN" },
		"empty permission":       func(r *Request) { r.Permission = "" },
		"unknown need":           func(r *Request) { r.Needed = "owner" },
		"no need":                func(r *Request) { r.Needed = "" },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := good
			change(&r)
			if v := Authorize(r); v.Allowed || v.Reason == "" || v.WhoMay == "" {
				t.Errorf("verdict %+v, want a refusal that says why and who may", v)
			}
		})
	}
}
