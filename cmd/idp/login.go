package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"
	"golang.org/x/oauth2"

	"github.com/idp-bot/idp/gitops/fault"
)

func newLogin(p *program) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "login",
		Short: "Sign in to an idp, to give it commands from here",
		Long: `Signs you in with GitHub to an idp that runs elsewhere, for "idp run": it prints a code, which
you enter on GitHub's page. The token lets that idp know who you are, and nothing more than its
GitHub App may be done with it; it is kept in a file that only you read.`,
		Example:           `  idp login --server https://idp.example.com`,
		Args:              noArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	server := addServerFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return p.login(cmd.Context(), *server) }
	return cmd
}

func (p *program) login(ctx context.Context, server string) error {
	r, err := p.newAPIClient(server)
	if err != nil {
		return err
	}
	said, err := r.describe(ctx)
	if err != nil {
		return err
	}
	at, err := offered(r.root, said)
	if err != nil {
		return err
	}
	path, err := p.tokenFile(r.root) // before GitHub is asked for what could not be kept
	if err != nil {
		return err
	}
	ctx = context.WithValue(ctx, oauth2.HTTPClient, r.client)
	config := at.signIn()
	code, err := at.code(ctx)
	if err != nil {
		return fault.Wrap(err, fault.Failure, "GitHub gives no code to sign in with",
			`whoever runs idp ticks "Enable Device Flow" in the settings of its GitHub App`)
	}
	fmt.Fprintf(p.stderr, "Enter %s at %s\n", printable(code.UserCode), printable(code.VerificationURI))
	if at.Token, err = config.DeviceAccessToken(ctx, code); err != nil {
		return notSignedIn(ctx, err)
	}
	if err := locked(path, func() error { return at.keep(path) }); err != nil {
		return err
	}
	fmt.Fprintf(p.stderr, "You are signed in to %s.\n", r.root)
	return nil
}

// notSignedIn says why GitHub gave no token.
func notSignedIn(ctx context.Context, err error) error {
	refused, _ := errors.AsType[*oauth2.RetrieveError](err)
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case refused != nil && refused.ErrorCode == "access_denied":
		return fault.Wrap(err, fault.Denied, "you did not let idp know who you are", "")
	case refused != nil && refused.ErrorCode == "expired_token", errors.Is(err, context.DeadlineExceeded):
		return fault.Wrap(err, fault.Timeout, "nobody entered the code in time", "run this again")
	}
	return fault.Wrap(err, fault.Failure, "GitHub gives no token", "run this again")
}

func newLogout(p *program) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "logout",
		Short: "Forget the token that idp login kept",
		Long: `Forgets the token of an idp. To take it back for good, revoke the App's authorization
in your settings on GitHub.`,
		Example:           `  idp logout --server https://idp.example.com`,
		Args:              noArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	server := addServerFlag(cmd)
	cmd.RunE = func(*cobra.Command, []string) error {
		r, err := p.newAPIClient(*server)
		if err != nil {
			return err
		}
		return p.forget(r.root)
	}
	return cmd
}
