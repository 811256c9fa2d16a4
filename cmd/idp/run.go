package main

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"github.com/idp-bot/idp/bot"
	"github.com/idp-bot/idp/gitops/fault"
	"github.com/idp-bot/idp/webhooks/api"
)

func newRun(p *program) *cobra.Command {
	var timeout time.Duration
	cmd := &cobra.Command{
		Use:   "run PULL-REQUEST COMMAND [ARGUMENT…]",
		Short: "Give an idp a command about a pull request, as a comment would",
		Long: `Gives the idp that you are signed in to a command about a pull request, and prints what came
of it. Commands, and who may give them, are those of comments: "idp run acme/web#12 deploy staging"
is "/idp deploy staging" in a comment of yours, but that the answer is printed here.

A pull request is OWNER/REPOSITORY#NUMBER or its URL. "idp run acme/web#12 help" lists the
commands.`,
		Example: `  idp run acme/web#12 deploy staging
  idp run https://github.com/acme/web/pull/12 status -o json`,
		Args: func(cmd *cobra.Command, args []string) error {
			switch len(args) {
			case 0:
				return misused(cmd, "the pull request is missing")
			case 1:
				return misused(cmd, "the command is missing")
			}
			return nil
		},
		ValidArgsFunction: completeRun,
	}
	cmd.Flags().DurationVar(&timeout, "timeout", time.Minute, "how long to wait for what comes of it; 0 does not wait")
	server, output := addServerFlag(cmd), addOutputFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		out, err := p.give(cmd.Context(), *server, args, timeout)
		if err != nil {
			return err
		}
		return p.printOutcome(output, out)
	}
	return cmd
}

// completeRun completes the command's name.
func completeRun(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) != 1 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var names []string
	for _, c := range bot.Commands() {
		names = append(names, c.Name+"\t"+c.Summary)
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

var (
	pullName = regexp.MustCompile(`^([A-Za-z0-9-]+)/([A-Za-z0-9._-]+)#([1-9][0-9]{0,9})$`)
	pullPage = regexp.MustCompile(`^https?://[^/]+/([A-Za-z0-9-]+)/([A-Za-z0-9._-]+)/pull/([1-9][0-9]{0,9})(?:[/?#].*)?$`)
)

// commandsPath is where commands about a pull request are given.
func commandsPath(pull string) (string, error) {
	for _, pattern := range []*regexp.Regexp{pullName, pullPage} {
		if m := pattern.FindStringSubmatch(pull); m != nil {
			return fmt.Sprintf("%s/repos/%s/%s/pulls/%s/commands", api.Root, url.PathEscape(m[1]), url.PathEscape(m[2]), m[3]), nil
		}
	}
	return "", fault.Newf(fault.Usage, "%s is no pull request", strconv.Quote(pull)).WithHint("write it like acme/web#12")
}

// give gives the command and waits for what comes of it. It is given once, however often
// the way there fails.
func (p *program) give(ctx context.Context, server string, args []string, timeout time.Duration) (api.Outcome, error) {
	var out api.Outcome
	path, err := commandsPath(args[0])
	if err != nil {
		return out, err
	}
	r, err := p.newAPIClient(server)
	if err != nil {
		return out, err
	}
	token, err := p.token(ctx, r)
	if err != nil {
		return out, err
	}
	order := api.Order{Command: strings.Join(args[1:], " ")}
	header := http.Header{"Idempotency-Key": {uuid.NewString()}, "Content-Type": {"application/json"}}
	if err := r.call(ctx, http.MethodPost, path, token, header, order, &out); err != nil {
		return out, err
	}
	return out, r.await(ctx, token, &out, timeout)
}

// await asks until something came of a request, or the time is over.
func (r *apiClient) await(ctx context.Context, token string, out *api.Outcome, timeout time.Duration) error {
	const first, most = 100 * time.Millisecond, 2 * time.Second
	deadline := time.NewTimer(timeout)
	defer deadline.Stop()
	for pause := first; out.State == api.Pending; pause = min(2*pause, most) {
		if timeout <= 0 {
			return nil
		}
		next := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			next.Stop()
			return ctx.Err()
		case <-deadline.C:
			next.Stop()
			return fault.New(fault.Timeout, fmt.Sprintf("nothing has come of it in %s", timeout), "idp has it and goes on with it: look at the pull request")
		case <-next.C:
		}
		if err := r.call(ctx, http.MethodGet, api.Root+"/commands/"+url.PathEscape(out.ID), token, nil, nil, out); err != nil {
			return err
		}
	}
	return nil
}

// printOutcome prints what came of commands; its error is that of one that was refused.
func (p *program) printOutcome(output *format, out api.Outcome) error {
	rows := table{header: []string{"COMMAND", "ENVIRONMENT", "COMMIT", "DONE", "REASON"}}
	refused := ""
	for _, result := range out.Results {
		done := "yes"
		if !result.Done {
			done = "no"
			if refused == "" {
				refused = result.Command
			}
		}
		rows.rows = append(rows.rows, []string{result.Command, result.Environment, result.SHA[:min(7, len(result.SHA))], done, result.Reason})
	}
	if *output != formatTable || len(rows.rows) > 0 {
		if err := output.print(p.stdout, p.styled(p.stdout), out, rows); err != nil {
			return err
		}
	}
	if *output == formatTable && out.Answer != "" {
		if _, err := fmt.Fprintf(p.stdout, "\n%s\n", out.Answer); err != nil {
			return wrapOutput(err)
		}
	}
	switch {
	case out.State == api.GivenUp:
		return fault.New(fault.Failure, out.Problem, "")
	case out.State == api.Pending:
		fmt.Fprintf(p.stderr, "idp has it as %s\n", out.ID)
		return nil
	case out.Problem != "":
		return fault.New(fault.Failure, "nothing came of it: "+out.Problem, "")
	case refused != "":
		return fault.Newf(fault.Denied, "it was not done: %s", refused)
	}
	return nil
}
