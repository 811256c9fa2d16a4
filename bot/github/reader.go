package github

import (
	"context"
	"time"

	"github.com/idp-bot/idp/gitops/secret"
)

// AsPerson returns what reads GitHub with somebody's own token, as far as that reaches,
// instead of an App's. AppID and PrivateKey of the options are not looked at. Every request
// that would write is refused with ErrReadOnly before it is sent, whatever the token may do,
// and Installation gives the same client for each id. It asks GitHub nothing.
func AsPerson(opts Options, own secret.String) (*App, error) {
	opts.ReadOnly = true
	return person(opts, own)
}

// AsProposer is AsPerson of what may write, too, as far as the token may.
func AsProposer(opts Options, own secret.String) (*App, error) {
	opts.ReadOnly = false
	return person(opts, own)
}

func person(opts Options, own secret.String) (*App, error) {
	a, err := newApp(opts.withDefaults())
	if err != nil {
		return nil, err
	}
	a.signed = readOnly{next: a.wire} // there is no App to sign as
	a.tokens = &tokens{now: a.clock.now, held: map[scope]token{}, mint: func(context.Context, scope) (token, error) {
		return token{value: own, expires: a.clock.now().Add(time.Hour)}, nil
	}}
	return a, nil
}
