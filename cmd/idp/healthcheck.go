package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	neturl "net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/idp-bot/idp/gitops/fault"
)

// newHealthcheck is for the image's HEALTHCHECK: it has no shell or curl of its
// own to ask with.
func newHealthcheck(p *program) *cobra.Command {
	var timeout time.Duration
	cmd := &cobra.Command{
		Use:   "healthcheck",
		Short: "Ask the bot on this machine whether it is alive",
		Long: `Asks GET /healthz of the bot that listens on this machine. Exit status 0 when it
answers 200, 5 when it does not answer in time, 1 otherwise.`,
		Example: `  idp healthcheck
  idp healthcheck --listen :9000 --timeout 1s`,
		Args:              noArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	flags := addConfigFlags(cmd, "listen", "tls_cert_file")
	cmd.Flags().DurationVar(&timeout, "timeout", 3*time.Second, "how long to wait for the answer")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		cfg, err := p.loadConfig(flags, forReading)
		if err != nil {
			return err
		}
		ctx, cancel := context.WithTimeout(cmd.Context(), timeout)
		defer cancel()
		return checkHealth(ctx, cfg.Listen, cfg.TLSCertFile)
	}
	return cmd
}

// checkHealth asks /healthz at a listen address; an address without a host, or
// with the unspecified one, is asked on loopback. With a certificate's file it is asked
// by TLS, and has to have that certificate.
func checkHealth(ctx context.Context, address, certFile string) error {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return fault.Newf(fault.Usage, "listen address %q is not HOST:PORT", address)
	}
	if ip := net.ParseIP(host); host == "" || ip.IsUnspecified() {
		host = "localhost"
	}
	client, url := http.DefaultClient, "http://"+net.JoinHostPort(host, port)+"/healthz"
	if certFile != "" {
		if client, err = trusting(certFile); err != nil {
			return fault.Newf(fault.Invalid, "cannot read %s: %s", certFile, reason(err))
		}
		url = "https" + strings.TrimPrefix(url, "http")
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return fmt.Errorf("ask %s: %w", url, err)
	}
	resp, err := client.Do(req)
	if err != nil {
		return unanswered(url, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fault.Newf(fault.Failure, "%s answered %s", url, resp.Status)
	}
	return nil
}

// unanswered says that nothing answers at the URL; what took too long is a timeout.
func unanswered(url string, err error) error {
	code := fault.Failure
	if errors.Is(err, context.DeadlineExceeded) {
		code = fault.Timeout
	}
	if inner, ok := errors.AsType[*neturl.Error](err); ok {
		err = inner.Err // the rest repeats the URL
	}
	return fault.Wrap(err, code, "no answer from "+url, "is idp serve running, and is this its listen address?")
}
