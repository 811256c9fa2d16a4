package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/idp-bot/idp/gitops/adopt"
	"github.com/idp-bot/idp/gitops/argocd"
	"github.com/idp-bot/idp/gitops/cluster"
	"github.com/idp-bot/idp/gitops/platform"
)

// fenced is an AppProject, with the classes whose environments it fences.
type fenced struct {
	project, namespace string
	classes            []platform.Class
	// of says in words whose environments those are; fix is the command that prints it.
	of, fix string
	// away says that Argo CD, and with it the project, may be on another cluster.
	away bool
}

// seesProjects looks whether the AppProjects of previews and of the classes that environments
// have let in what these need, a finding each.
func (x *examination) seesProjects(ctx context.Context) {
	for _, f := range x.projects() {
		x.add(x.judgeProject(ctx, f))
	}
}

// projects are the AppProjects in use, that of previews first.
func (x *examination) projects() []fenced {
	own := x.previewClass()
	out := []fenced{{
		project: own.Project, namespace: own.ArgoCDNamespace, classes: []platform.Class{own}, of: "previews", fix: "idp bootstrap",
		away: own.DestinationServer != inCluster,
	}}
	for _, class := range inUse(x.declared) {
		away := class.DestinationServer != inCluster || class.ArgoCDURL != own.ArgoCDURL
		i := slices.IndexFunc(out, func(f fenced) bool { return f.project == class.Project && f.namespace == class.ArgoCDNamespace })
		if i < 0 {
			out = append(out, fenced{project: class.Project, namespace: class.ArgoCDNamespace})
			i = len(out) - 1
		}
		f := &out[i]
		f.fix = strings.TrimSpace("idp bootstrap --platform DIR " + bootstrapOf(class, own))
		f.classes, f.away = append(f.classes, class), f.away || away
		f.of = strings.TrimPrefix(f.of+" and class "+class.Name, " and ")
	}
	return out
}

// inCluster is how Argo CD calls the cluster that it runs on.
const inCluster = "https://kubernetes.default.svc"

// bootstrapOf is what "idp bootstrap" is given beside the platform folder for a class of
// another Argo CD.
func bootstrapOf(class, own platform.Class) string {
	if class.ArgoCDURL == own.ArgoCDURL {
		return ""
	}
	return "--argocd " + class.ArgoCDURL
}

// judgeProject wants the AppProject to be there, and to let in where environments come from,
// where they go and what they are made of.
func (x *examination) judgeProject(ctx context.Context, f fenced) diagnosis {
	d := diagnosis{Check: checkProject, State: verdictFailure}
	var found cluster.Object
	switch err := x.kube.Get(ctx, appProjects, f.namespace, f.project, &found); {
	case errors.Is(err, cluster.ErrNotFound) && f.away:
		d.State, d.Seen = verdictSkipped, fmt.Sprintf("not checked: %s, for %s, is not on this cluster, and Argo CD may run on another", f.project, f.of)
		d.Look = fmt.Sprintf("kubectl -n %s get appproject %s", f.namespace, f.project)
		return d
	case errors.Is(err, cluster.ErrNotFound):
		d.Seen = fmt.Sprintf("%s, for %s, is not there in namespace %s", f.project, f.of, f.namespace)
		d.Fix = "apply what " + f.fix + " prints, or name another in argocd_project"
		return d
	case err != nil:
		return notSeen(checkProject, err)
	}
	content, err := json.Marshal(found)
	if err != nil {
		return notSeen(checkProject, err)
	}
	var lacks []string
	for _, class := range f.classes {
		of, err := argocd.Lacking(argocd.BootstrapOptions{Class: class, Kinds: adopt.Committed()}, content)
		if err != nil {
			return notSeen(checkProject, err)
		}
		for _, one := range of {
			if !slices.Contains(lacks, one) {
				lacks = append(lacks, one)
			}
		}
	}
	if len(lacks) > 0 {
		d.Seen, d.Fix = fmt.Sprintf("%s, for %s, does not let in: %s", f.project, f.of, strings.Join(lacks, ", ")), "apply what "+f.fix+" prints"
		return d
	}
	d.State, d.Seen = verdictOK, fmt.Sprintf("%s, for %s, lets in all that is rendered, and where from and to", f.project, f.of)
	return d
}
