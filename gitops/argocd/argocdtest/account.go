package argocdtest

import (
	"net/http"
	"slices"
)

// Account is whom the token is of.
const Account = "idp"

// Grant gives the account a right beyond the one to get Applications, such as
// "applications sync".
func (s *Server) Grant(right string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.granted = append(s.granted, right)
}

// Deny takes from the account even the right to get Applications.
func (s *Server) Deny() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.denied = true
}

// SetVersion says which version it claims to be.
func (s *Server) SetVersion(version string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.claimed = version
}

// userinfo tells whose the token is.
func (s *Server) userinfo(w http.ResponseWriter, _ *http.Request) {
	answer(w, http.StatusOK, map[string]any{"loggedIn": true, "username": Account, "iss": "argocd"})
}

func (s *Server) canI(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	right := r.PathValue("resource") + " " + r.PathValue("action")
	value := "no"
	if right == "applications get" && !s.denied || slices.Contains(s.granted, right) {
		value = "yes"
	}
	answer(w, http.StatusOK, map[string]string{"value": value})
}

// project answers as it does for an account that may not see projects.
func (s *Server) project(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !slices.Contains(s.granted, "projects get") {
		refuse(w, http.StatusForbidden, 7, "permission denied")
		return
	}
	answer(w, http.StatusOK, map[string]any{"metadata": map[string]string{"name": r.PathValue("name")}})
}
