// Package api is idp's own HTTP API: commands are given to it as they are in comments.
//
//	GET  /api/v1                                                  how to sign in
//	POST /api/v1/repos/{owner}/{repo}/pulls/{number}/commands     give commands
//	GET  /api/v1/commands/{id}                                    what came of them
//	POST /api/v1/repos/{owner}/{repo}/images                      report an image that a workflow built
//
// Whoever asks is a person with a user access token of idp's own GitHub App, which GitHub
// is asked about: a token that was given to another program counts for nothing. What is
// asked for is stored as a delivery before it is answered, and decided about as a comment
// is, by the same rules and with what GitHub says of the person then.
//
// Images are reported by workflows of GitHub Actions, whose tokens GitHub signs: a run speaks
// for the commit that it ran at, in its own repository, and for nothing else.
//
// Guarantees: 202 says that the request is on disk; the same person's Idempotency-Key is
// acted on once; a repository that somebody may not read is not there for them, and neither
// is another's request. Bodies, tokens and questions to GitHub are bounded. A Handler may
// be used concurrently.
package api
