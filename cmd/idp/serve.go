package main

import (
	"io"
	"log/slog"
	"time"

	"github.com/spf13/cobra"
)

func newServe(p *program) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run the bot",
		Long: `Runs the bot: takes GitHub's webhooks, keeps the environments that pull requests
ask for, commits them to the GitOps repository and reports what came of it.

Configuration comes from flags, then IDP_… in the environment, then the file of
--config, then the defaults. Everything that is wrong with it is told at once,
before anything starts. Peers that cannot be reached do not keep it from
starting: /readyz and the log name them, and their work waits.

SIGTERM stops it in order: no new webhooks, what is under way is finished.`,
		Example: "  idp serve --config idp.yaml",
		Args:    cobra.NoArgs,
	}
	flags := addConfigFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		cfg, err := p.loadConfig(flags, forServing)
		if err != nil {
			return err
		}
		stopProfiles, err := startProfiles()
		if err != nil {
			return err
		}
		defer func() { _ = stopProfiles() }() // the process ends
		m := NewMain(cfg, newLogger(cfg, p.stderr), time.Now)
		m.out = p.stdout
		if err := m.Open(cmd.Context()); err != nil {
			return err
		}
		if _, err := m.children(cmd.Context()); err != nil {
			m.log.Error("charts cannot be rendered", "error", err)
		}
		err = m.Run(cmd.Context())
		if closeErr := m.Close(); err == nil {
			err = closeErr
		}
		return err
	}
	return cmd
}

// newLogger returns the log that the configuration asks for.
func newLogger(cfg *Config, w io.Writer) *slog.Logger {
	options := &slog.HandlerOptions{Level: cfg.LogLevel}
	if cfg.LogFormat == "json" {
		return slog.New(slog.NewJSONHandler(w, options))
	}
	return slog.New(slog.NewTextHandler(w, options))
}
