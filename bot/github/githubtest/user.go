package githubtest

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// userTokenLife is how long an App's user access token works, and deviceCodeLife how long
// the code is good that it is asked for with (docs.github.com, "Generating a user access
// token for a GitHub App").
const (
	userTokenLife  = 8 * time.Hour
	deviceCodeLife = 15 * time.Minute
)

// userToken is what an App acts for a user with.
type userToken struct {
	app     *App
	user    *account
	made    time.Time
	refresh string
}

// device is a program that waits for somebody to enter its code.
type device struct {
	app      *App
	userCode string
	made     time.Time
	user     *account // nil until somebody entered it
	denied   bool
}

// ClientID and ClientSecret are what the App signs people in with.
func (a *App) ClientID() string     { return fmt.Sprintf("Iv1.%016x", a.id) }
func (a *App) ClientSecret() string { return a.clientSecret }

// UserToken returns a token of a user who lets the App act for them.
func (a *App) UserToken(login string) string {
	a.s.mu.Lock()
	defer a.s.mu.Unlock()
	value, _ := a.s.newUserToken(a, a.s.account(login))
	return value
}

// RevokeUserTokens makes all tokens of a user useless, as the user can.
func (a *App) RevokeUserTokens(login string) {
	a.s.mu.Lock()
	defer a.s.mu.Unlock()
	for value, t := range a.s.userTokens {
		if t.app == a && strings.EqualFold(t.user.login, login) {
			delete(a.s.userTokens, value)
		}
	}
}

// SetDeviceFlow has the App let programs without a browser sign people in, or not: it
// starts with letting them.
func (a *App) SetDeviceFlow(on bool) {
	a.s.mu.Lock()
	defer a.s.mu.Unlock()
	a.deviceFlowOff = !on
}

func (s *Server) newUserToken(app *App, user *account) (string, *userToken) {
	value := "ghu_" + secretText(36)
	s.userTokens[value] = &userToken{app: app, user: user, made: s.now(), refresh: "ghr_" + secretText(76)}
	return value, s.userTokens[value]
}

// canary is what every secret that the stand-in makes has in it, as those of the tests do
// (gitops/secret/secrettest): in whatever form it is told, it is found.
const canary = "idpcanary"

// secretText is a canary of n letters and digits.
func secretText(n int) string { return canary + randomText(n-len(canary)) }

// randomText is n letters and digits.
func randomText(n int) string {
	text := ""
	for len(text) < n {
		text += rand.Text()
	}
	return text[:n]
}

// EnterDeviceCode lets the program that shows the code act for a user, or refuses it, as
// the user does on GitHub's page; false where there is no such code.
func (s *Server) EnterDeviceCode(userCode, login string, allow bool) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, d := range s.devices {
		if d.userCode == userCode && s.now().Sub(d.made) < deviceCodeLife {
			d.user, d.denied = s.account(login), !allow
			return true
		}
	}
	return false
}

// client returns the App that a client id and its secret are of, or nil.
func (s *Server) client(id, secret string) *App {
	for _, a := range s.apps {
		if a.ClientID() == id && subtle.ConstantTimeCompare([]byte(a.clientSecret), []byte(secret)) == 1 {
			return a
		}
	}
	return nil
}

// checkUserToken says whose a token is to the App that it was made for, and to no other.
func checkUserToken(c *call) reply {
	var asked struct {
		Token string `json:"access_token"`
	}
	if err := json.Unmarshal(c.body, &asked); err != nil || asked.Token == "" {
		return *refuse(http.StatusUnprocessableEntity, "Validation Failed")
	}
	t := c.s.userTokens[asked.Token]
	if c.cred.client.ClientID() != c.params["client_id"] || t == nil || t.app != c.cred.client || c.s.now().Sub(t.made) > userTokenLife {
		return *notFound()
	}
	made := t.made.UTC().Format(time.RFC3339)
	return reply{status: http.StatusOK, body: object{
		"id": 1, "url": c.s.api("/authorizations/1"), "scopes": []string{}, "token": asked.Token, "token_last_eight": asked.Token[len(asked.Token)-8:],
		"hashed_token": strings.Repeat("0", 64), "note": nil, "note_url": nil, "fingerprint": nil, "created_at": made, "updated_at": made,
		"expires_at": t.made.Add(userTokenLife).UTC().Format(time.RFC3339), "user": c.s.userShape(t.user),
		"app": object{"client_id": t.app.ClientID(), "name": t.app.slug, "url": c.s.HTMLURL() + "/apps/" + t.app.slug},
	}}
}

// deviceCode starts a sign-in of a program without a browser (docs.github.com, "Using the
// device flow to generate a user access token"). It is asked every second, not every
// five, for tests to be quick.
func (s *Server) deviceCode(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, a := range s.apps {
		if a.ClientID() == r.PostFormValue("client_id") {
			if a.deviceFlowOff {
				writeForm(w, object{"error": "device_flow_disabled"}) // with status 200, as all of them
				return
			}
			code := randomText(40)
			s.devices[code] = &device{app: a, userCode: randomText(4) + "-" + randomText(4), made: s.now()}
			writeForm(w, object{
				"device_code": code, "user_code": s.devices[code].userCode, "verification_uri": s.HTMLURL() + "/login/device",
				"expires_in": int(deviceCodeLife.Seconds()), "interval": 1,
			})
			return
		}
	}
	http.NotFound(w, r)
}

// accessToken gives the token of a sign-in, or a new one for one that ran out. As on
// GitHub a refusal has status 200 and says "error".
func (s *Server) accessToken(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch r.PostFormValue("grant_type") {
	case "urn:ietf:params:oauth:grant-type:device_code":
		writeForm(w, s.deviceToken(r.PostFormValue("client_id"), r.PostFormValue("device_code")))
	case "refresh_token":
		for value, t := range s.userTokens {
			if t.refresh == r.PostFormValue("refresh_token") && t.app.ClientID() == r.PostFormValue("client_id") {
				delete(s.userTokens, value)
				writeForm(w, s.grant(t.app, t.user))
				return
			}
		}
		writeForm(w, object{"error": "bad_refresh_token"})
	default:
		writeForm(w, object{"error": "unsupported_grant_type"})
	}
}

func (s *Server) deviceToken(clientID, code string) object {
	d := s.devices[code]
	switch {
	case d == nil || d.app.ClientID() != clientID:
		return object{"error": "incorrect_device_code"}
	case s.now().Sub(d.made) >= deviceCodeLife:
		return object{"error": "expired_token"}
	case d.denied:
		return object{"error": "access_denied"}
	case d.user == nil:
		return object{"error": "authorization_pending"}
	}
	delete(s.devices, code)
	return s.grant(d.app, d.user)
}

func (s *Server) grant(app *App, user *account) object {
	value, t := s.newUserToken(app, user)
	return object{
		"access_token": value, "token_type": "bearer", "scope": "", "expires_in": int(userTokenLife.Seconds()),
		"refresh_token": t.refresh, "refresh_token_expires_in": 15897600,
	}
}

func writeForm(w http.ResponseWriter, body object) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	_ = json.NewEncoder(w).Encode(body) // a program that is gone reads nothing
}
