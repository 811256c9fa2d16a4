// Package webhooks is the HTTP edge: it takes GitHub's deliveries in, and turns
// what was stored into bot.Events.
//
// A request is believed only after its HMAC-SHA-256 over the raw bytes matched
// one of the live secrets; until then nothing of it is parsed, and its size, its
// time and the memory of all bodies together are bounded (limits.go). A delivery
// that is answered with 202 is on disk; one that could not be stored is answered
// with 503, and GitHub keeps it redeliverable for three days. Only a minimal
// envelope is read before storing, so an event that idp does not know is kept as
// well.
//
// Decode (decode.go) is pure: one table from event to decoder. The Consumer
// (consumer.go) feeds stored deliveries to the bot, one pull request's in the
// order of their arrival.
//
// Everything is safe for concurrent use. Nothing here decides what an event
// means, and nothing here talks to GitHub.
package webhooks
