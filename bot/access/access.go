// Package access decides who may do what. It is pure: it reads nothing, and any
// doubt is a refusal that names its reason and who may.
package access

// Permission is a user's permission on a repository, from least to most, as
// GitHub's collaborator permission API names it.
type Permission string

// The permissions, in GitHub's words.
const (
	None     Permission = "none"
	Read     Permission = "read"
	Triage   Permission = "triage"
	Write    Permission = "write"
	Maintain Permission = "maintain"
	Admin    Permission = "admin"
)
