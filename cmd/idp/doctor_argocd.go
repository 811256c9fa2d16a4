package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/idp-bot/idp/gitops/argocd"
	"github.com/idp-bot/idp/gitops/platform"
)

// The checks of Argo CD.
const (
	checkArgoCD  = "Argo CD"
	checkToken   = "Argo CD token"
	checkRights  = "Argo CD rights"
	checkProject = "AppProject"
	checkRoot    = "root Application"
	checkBeside  = "Argo CD of classes"
)

func (x *examination) argocd(ctx context.Context) {
	checks := []string{checkArgoCD, checkToken, checkRights, checkProject, checkRoot}
	if x.lacks([]string{"argocd_url", "argocd_token"}, checks...) {
		return
	}
	if x.cfg.ArgoCDURL == "" {
		x.skip(checkArgoCD, "argocd_url is not set: what becomes of a commit is then not known to idp", "")
		return
	}
	client, err := argocd.New(argocd.Options{
		URL: x.cfg.ArgoCDURL, Token: x.cfg.ArgoCDToken,
		Wrap: func(next http.RoundTripper) http.RoundTripper { return x.clocks.around(peerArgoCD, next) },
	})
	if err != nil {
		x.fail(checkArgoCD, err.Error(), "write argocd_url like https://argocd.example.com")
		return
	}
	version, err := client.Ping(ctx)
	if err != nil {
		x.fail(checkArgoCD, err.Error(), "check argocd_url and this machine's way there: its DNS, HTTPS_PROXY, and SSL_CERT_FILE for an authority of your own")
		for _, check := range checks[1:] {
			x.skip(check, "Argo CD has to answer first", "")
		}
		return
	}
	if argocd.Supported(version) {
		x.ok(checkArgoCD, "%s answers", version)
	} else {
		x.warn(checkArgoCD, version+" answers, and idp is tested with 2.14 and 3", "move to one of these")
	}
	account, err := client.Who(ctx)
	if err != nil || account == "" {
		x.fail(checkToken, cmp.Or(errorText(err), "Argo CD does not know it"), "make a new one with argocd account generate-token --account "+argocd.Account+", and set argocd_token to it")
		for _, check := range checks[2:] {
			x.skip(check, "the token has to be valid first", "")
		}
		return
	}
	x.ok(checkToken, "of account %s", account)
	x.client = client
	x.rights(ctx, client)
	x.project(ctx, client)
	x.root(ctx, client)
}

// argocdsBeside asks each Argo CD that classes may name.
func (x *examination) argocdsBeside(ctx context.Context) {
	if len(x.cfg.ArgoCDTokenFiles) == 0 || x.lacks([]string{"argocd_url", "argocd_token_files"}, checkBeside) {
		return
	}
	for i, address := range x.cfg.argoCDsBeside() {
		_, file, _ := cutTokenFile(x.cfg.ArgoCDTokenFiles[i])
		seen, fix := x.besideIs(ctx, address, file)
		if fix != "" {
			x.fail(checkBeside, address+": "+seen, fix)
			continue
		}
		x.ok(checkBeside, "%s: %s", address, seen)
	}
}

// besideIs says how an Argo CD answers to the token in a file, and what to do where it is
// not as it should.
func (x *examination) besideIs(ctx context.Context, address, file string) (seen, fix string) {
	token, err := tokenIn(file)
	if err != nil {
		return err.Error(), "let this user read the file"
	}
	client, err := argocd.New(argocd.Options{URL: address, Token: token})
	if err != nil {
		return err.Error(), "write the item like https://argocd.example.com=FILE"
	}
	version, err := client.Ping(ctx)
	if err != nil {
		return err.Error(), "check the URL in argocd_token_files and this machine's way there: its DNS, HTTPS_PROXY, and SSL_CERT_FILE for an authority of your own"
	}
	account, err := client.Who(ctx)
	if err != nil || account == "" {
		return cmp.Or(errorText(err), "it does not know the token"), "make a new one there with argocd account generate-token --account " + argocd.Account + ", and write it into " + file
	}
	may, err := client.May(ctx, argocd.Needed, x.cfg.ArgoCDProject+"/"+x.cfg.ArgoCDRoot)
	switch {
	case err != nil:
		return err.Error(), "see there what the account's policies are: kubectl -n argocd get configmap argocd-rbac-cm -o yaml"
	case !may:
		return "account " + account + " may not get applications", "apply there what idp bootstrap --platform DIR --argocd " + address + " prints"
	}
	return version + " answers to account " + account, ""
}

// rights asks what the token's account may do with what is idp's.
func (x *examination) rights(ctx context.Context, client *argocd.Client) {
	object := x.cfg.ArgoCDProject + "/" + x.cfg.ArgoCDRoot
	rights := append([]argocd.Right{argocd.Needed, argocd.Logged}, argocd.Needless()...)
	var has []argocd.Right
	for _, right := range rights {
		may, err := client.May(ctx, right, object)
		if err != nil {
			x.fail(checkRights, err.Error(), "see what the account's policies are: kubectl -n "+x.cfg.ArgoCDNamespace+" get configmap argocd-rbac-cm -o yaml")
			return
		}
		if may {
			has = append(has, right)
		}
	}
	x.findings = append(x.findings, judgeRights(has, x.cfg.PreviewLogs)...)
}

// judgeRights wants the right to get Applications, and hardly any beside it.
func judgeRights(has []argocd.Right, logs platform.ShowMode) (out []diagnosis) {
	say := func(state verdict, seen, fix string) {
		out = append(out, diagnosis{Check: checkRights, State: state, Seen: seen, Fix: fix})
	}
	held := map[argocd.Right]bool{}
	for _, right := range has {
		held[right] = true
	}
	if !held[argocd.Needed] {
		say(verdictFailure, "it may not get applications", "apply what idp bootstrap prints, which has the account's policy")
	}
	var more []string
	for _, right := range argocd.Needless() {
		if held[right] {
			more = append(more, right.String())
		}
	}
	if len(more) > 0 {
		say(verdictWarning, "it may do more than idp needs: "+strings.Join(more, ", "), "take it away from the account's policies: get applications is enough")
	}
	if held[argocd.Logged] && logs == platform.ShowNever {
		say(verdictWarning, "it may get logs, and preview_logs is never", "apply what idp bootstrap prints without --logs; before Argo CD 3 set server.rbac.log.enforce.enable, too")
	}
	switch {
	case len(out) > 0:
	case held[argocd.Logged]:
		say(verdictOK, "it may get applications and logs, and nothing else of what was asked", "")
	default:
		say(verdictOK, "it may get applications, and nothing else of what was asked; not logs, whose lines idp then does not show (idp bootstrap --logs)", "")
	}
	return out
}

// project is not shown to the account that idp bootstrap makes.
func (x *examination) project(ctx context.Context, client *argocd.Client) {
	if x.kube != nil {
		return // it is looked at in the cluster
	}
	name := x.cfg.ArgoCDProject
	switch err := client.HasProject(ctx, name); {
	case err == nil:
		x.ok(checkProject, "%s is there", name)
	case errors.Is(err, argocd.ErrNotFound):
		x.skip(checkProject, "the token may not see projects, and need not", fmt.Sprintf("kubectl -n %s get appproject %s", x.cfg.ArgoCDNamespace, name))
	default:
		x.fail(checkProject, err.Error(), "look into Argo CD's log")
	}
}

func (x *examination) root(ctx context.Context, client *argocd.Client) {
	name := x.cfg.ArgoCDRoot
	app, err := client.Application(ctx, name)
	switch {
	case errors.Is(err, argocd.ErrNotFound):
		x.fail(checkRoot, fmt.Sprintf("%s is not there, or the token may not see it", name), "apply what idp bootstrap prints, or name it in argocd_root")
	case err != nil:
		x.fail(checkRoot, err.Error(), "look into Argo CD's log")
	default:
		x.add(judgeRoot(app))
	}
}

// judgeRoot wants Argo CD to be able to read the lists of environments and to apply them.
func judgeRoot(app argocd.Application) diagnosis {
	f := diagnosis{Check: checkRoot, State: verdictOK, Seen: fmt.Sprintf("%s is %s and %s", app.Name, app.Sync, app.Health)}
	switch {
	case app.Error != "":
		f.State, f.Seen = verdictFailure, app.Name+": "+app.Error
		f.Fix = "let Argo CD read the GitOps repository (argocd repo add), and apply what idp bootstrap prints"
	case app.Health == "Degraded" || app.Health == "Missing" || app.SyncFailed():
		f.State, f.Seen = verdictFailure, f.Seen+": "+cmp.Or(app.Message, app.OperationMessage)
		f.Fix = "argocd app get " + app.Name + " shows what fails"
	case app.Sync != "Synced" || app.Health != "Healthy":
		f.State, f.Seen = verdictWarning, strings.TrimSuffix(f.Seen+": "+app.Message, ": ")
		f.Fix = "wait, and where it stays: argocd app get " + app.Name
	}
	return f
}
