package main

import (
	"cmp"
	"context"
	"errors"
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
	var a asking
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
	cmd.Flags().DurationVar(&a.timeout, "timeout", time.Minute, "how long to wait for what comes of it; 0 does not wait")
	cmd.Flags().StringVar(&a.key, "key", "", "name for this, so that giving it again is not a second time (default a new one)")
	server, output := addServerFlag(cmd), addOutputFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		a.server = *server
		out, err := p.give(cmd.Context(), a, args)
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
		names = append(names, c.Name()+"\t"+c.Summary)
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

// asking is what "idp run" is asked for.
type asking struct {
	server, key string
	timeout     time.Duration
}

// give gives the command and waits for what comes of it. It is given once, however often
// the way there fails.
func (p *program) give(ctx context.Context, a asking, args []string) (api.Outcome, error) {
	path, err := commandsPath(args[0])
	if err != nil {
		return api.Outcome{}, err
	}
	r, err := p.newAPIClient(a.server)
	if err != nil {
		return api.Outcome{}, err
	}
	token, err := p.token(ctx, r)
	if err != nil {
		return api.Outcome{}, err
	}
	key := cmp.Or(a.key, uuid.NewString())
	until := time.Now().Add(max(a.timeout, patienceOfNone))
	order := request{method: http.MethodPost, path: path, token: token, key: key, body: api.Order{Command: strings.Join(args[1:], " ")}}
	var out api.Outcome
	if err := r.insist(ctx, order, &out, until); err != nil {
		if errors.Is(err, errLater) || ctx.Err() != nil {
			fmt.Fprintf(p.stderr, "It is not known whether idp has it: --key %s gives it again, and not twice.\n", key)
		}
		return out, err
	}
	if a.timeout > 0 {
		out, err = r.await(ctx, token, out, until)
	}
	if out.State == api.Pending {
		fmt.Fprintf(p.stderr, "idp has it: --key %s asks again what came of it.\n", key)
	}
	return out, err
}

// patienceOfNone is how long the way to idp may fail where nobody waits for what comes of
// it.
const patienceOfNone = 10 * time.Second

// await asks until something came of a request, or the time is over.
func (r *apiClient) await(ctx context.Context, token string, out api.Outcome, until time.Time) (api.Outcome, error) {
	const first, most = 100 * time.Millisecond, 2 * time.Second
	for pause := first; out.State == api.Pending; pause = min(2*pause, most) {
		if time.Now().Add(pause).After(until) {
			return out, fault.New(fault.Timeout, "nothing has come of it in time", "idp goes on with it: look at the pull request")
		}
		if err := wait(ctx, pause); err != nil {
			return out, err
		}
		var next api.Outcome
		err := r.insist(ctx, request{method: http.MethodGet, path: api.Root + "/commands/" + url.PathEscape(out.ID), token: token}, &next, until)
		if err != nil {
			return out, err
		}
		out = next
	}
	return out, nil
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
		rows.rows = append(rows.rows, []string{printable(result.Command), printable(result.Environment), printable(shortened(result.SHA)), done, printable(result.Reason)})
	}
	if *output != formatTable || len(rows.rows) > 0 {
		if err := output.print(p.stdout, p.styled(p.stdout), out, rows); err != nil {
			return err
		}
	}
	if *output == formatTable && out.Answer != "" {
		lines := strings.Split(out.Answer, "\n")
		for i, line := range lines {
			lines[i] = printable(line)
		}
		if _, err := fmt.Fprintf(p.stdout, "\n%s\n", strings.Join(lines, "\n")); err != nil {
			return wrapOutput(err)
		}
	}
	if out.Note != "" {
		fmt.Fprintf(p.stderr, "note: %s\n", printable(out.Note))
	}
	switch {
	case out.State == api.GivenUp:
		return fault.New(fault.Failure, printable(out.Problem), "")
	case out.State == api.Pending:
		return nil
	case out.Problem != "":
		return fault.New(fault.Failure, "nothing came of it: "+printable(out.Problem), "")
	case refused != "":
		return fault.Newf(fault.Denied, "it was not done: %s", printable(refused))
	}
	return nil
}
