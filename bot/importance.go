package bot

import "context"

// Importance says for whom something is asked of GitHub, whose limits an installation's
// work shares: what matters less leaves a part of them to what matters more, and has its
// turn once there is room again.
type Importance int

// The importances, the greatest first. What says nothing of itself is ForPeople.
const (
	// ForPeople is what somebody waits for: a command, a push, a failure, a verdict.
	ForPeople Importance = iota
	// ForProgress is how far something has come.
	ForProgress
	// ForUpkeep is what a sweep looks for, and what it found.
	ForUpkeep
)

type importanceKey struct{}

// WithImportance has what is asked of GitHub with the context matter so much.
func WithImportance(ctx context.Context, i Importance) context.Context {
	return context.WithValue(ctx, importanceKey{}, i)
}

// ImportanceOf returns what WithImportance said.
func ImportanceOf(ctx context.Context) Importance {
	i, _ := ctx.Value(importanceKey{}).(Importance) // nobody said: for people
	return i
}
