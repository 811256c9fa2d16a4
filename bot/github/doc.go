// Package github speaks to GitHub's REST API as a GitHub App. It is the only
// package that imports go-github and ghinstallation; everything it takes and
// returns is in the words of package bot, so that its Client meets bot's small
// interfaces as it is.
//
// It owns the App's private key, the installation tokens made with it, and the
// politeness that GitHub asks for. Every request passes one chain of small
// round-trippers, each in its file, from the outside in:
//
//	redirect.go  follows a renamed repository, also for writes
//	cache.go     asks again only for what changed (ETag), per token
//	retry.go     repeats what may be repeated when the connection or GitHub fails
//	pace.go      keeps writes below GitHub's limits for content
//	limit.go     obeys 403 and 429: nothing leaves before the time they name
//	auth.go      adds the token, scoped to one repository and one use
//	meter.go     counts
//	deadline.go  bounds the time and the size of one attempt
//
// Guarantees: a token reaches one repository with the permissions of one use
// (tokens.go); no error and no log line holds a token, a JWT or a URL's query;
// what GitHub answers 404 to is bot.ErrNotFound, and a token that cannot be had
// is never taken for that; a limit that is longer than a few seconds is returned
// as *RateLimited, for the caller to come back later.
//
// An App and its Clients are safe for concurrent use. They start no goroutine
// that outlives a call by more than the token request it shares with others.
// Nothing here decides anything.
package github
