package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/idp-bot/idp/gitops/fault"
	"github.com/idp-bot/idp/webhooks/api"
)

// The variables that GitHub Actions sets for a job.
const (
	actionsTokenURL   = "ACTIONS_ID_TOKEN_REQUEST_URL"
	actionsTokenToken = "ACTIONS_ID_TOKEN_REQUEST_TOKEN"
	actionsRepository = "GITHUB_REPOSITORY"
)

// reportPatience is how long the way to idp may fail before a report does.
const reportPatience = time.Minute

func newImage(p *program) *cobra.Command {
	cmd := &cobra.Command{Use: "image", Short: "Tell an idp of images"}
	asGroup(cmd)
	cmd.AddCommand(newImageReport(p))
	return cmd
}

func newImageReport(p *program) *cobra.Command {
	var report api.ImageReport
	cmd := &cobra.Command{
		Use:   "report",
		Short: "Tell an idp which image a workflow of GitHub Actions has built",
		Long: `Tells an idp, from a job of GitHub Actions, which image it has built and pushed, so that idp need not
guess its tag nor ask for it again and again. The job needs "permissions: {id-token: write}": GitHub
vouches for the repository, the workflow and the commit, and a job can report images of the commit
that it runs at alone; for a pull request of that one's newest commit.`,
		Example:           `  idp image report --server https://idp.example.com --service web --digest "${{ steps.push.outputs.digest }}"`,
		Args:              noArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	flags := cmd.Flags()
	flags.StringVar(&report.Service, "service", "", "name of the service in .idp/deploy.yaml")
	flags.StringVar(&report.Digest, "digest", "", "the image's digest, sha256:…, as the registry has it; of several architectures that of their index")
	flags.StringVar(&report.SHA, "sha", "", "the commit (default the pull request's newest, or the one that the job runs at)")
	server, output := addServerFlag(cmd), addOutputFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		taken, err := p.reportImage(cmd.Context(), *server, report)
		if err != nil {
			return err
		}
		return output.print(p.stdout, p.styled(p.stdout), taken, table{
			header: []string{"SERVICE", "COMMIT", "DIGEST"}, rows: [][]string{{taken.Service, taken.SHA, taken.Digest}},
		})
	}
	return cmd
}

func (p *program) reportImage(ctx context.Context, server string, report api.ImageReport) (taken api.ImageReport, err error) {
	for flag, value := range map[string]string{"service": report.Service, "digest": report.Digest} {
		if value == "" {
			return taken, fault.Newf(fault.Usage, "--%s is missing", flag)
		}
	}
	r, err := p.newAPIClient(server)
	if err != nil {
		return taken, err
	}
	owner, name, ok := strings.Cut(p.env[actionsRepository], "/")
	if !ok {
		return taken, fault.New(fault.Usage, actionsRepository+" names no repository", "run this in a job of GitHub Actions")
	}
	token, err := p.workflowToken(ctx, r)
	if err != nil {
		return taken, err
	}
	path := fmt.Sprintf("%s/repos/%s/%s/images", api.Root, url.PathEscape(owner), url.PathEscape(name))
	err = r.insist(ctx, request{method: http.MethodPost, path: path, token: "Bearer " + token, body: report}, &taken, time.Now().Add(reportPatience))
	return taken, err
}

// workflowToken asks GitHub Actions for a token that says which job this is, to an idp
// alone.
func (p *program) workflowToken(ctx context.Context, r *apiClient) (string, error) {
	at, err := url.Parse(p.env[actionsTokenURL])
	if err != nil || at.Host == "" {
		return "", fault.New(fault.Denied, "GitHub gives this job no token that says which one it is", `run it in a job of GitHub Actions with "permissions: {id-token: write}"`)
	}
	said, err := r.describe(ctx)
	if err != nil {
		return "", err
	}
	if said.Audience == "" {
		return "", fault.Newf(fault.Failure, "%s takes no reports of images", r.root).WithHint("whoever runs it sets public_url")
	}
	query := at.Query()
	query.Set("audience", said.Audience)
	at.RawQuery = query.Encode()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, at.String(), nil)
	if err != nil {
		return "", err
	}
	req.Header.Set("Authorization", "Bearer "+p.env[actionsTokenToken])
	resp, err := r.client.Do(req)
	if err != nil {
		return "", fault.Wrap(err, fault.Failure, "GitHub Actions cannot be asked for the job's token: "+reason(err), "")
	}
	defer func() { _ = resp.Body.Close() }()
	var answer struct {
		Value string `json:"value"`
	}
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxAnswer)).Decode(&answer); err != nil || answer.Value == "" {
		return "", fault.Newf(fault.Failure, "GitHub Actions answered %d instead of giving the job's token", resp.StatusCode)
	}
	return answer.Value, nil
}
