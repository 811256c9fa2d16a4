//go:build e2e

package main

import (
	"fmt"
	"strings"

	appsv1 "k8s.io/api/apps/v1"

	"github.com/idp-bot/idp/gitops"
	"github.com/idp-bot/idp/gitops/platform"
	"github.com/idp-bot/idp/gitops/repo/gittest"
)

// theirFile is what a team has in the GitOps repository, and has Argo CD sync.
const theirFile = "apps/web/staging/web.yaml"

// theirLayout is a file as a team writes it, with its own ideas of indentation.
const theirLayout = `# Everything of web in staging.
apiVersion: v1
kind: Service
metadata: {name: web, namespace: team-web}
spec:
    selector:   {app: web}
    ports: [{port: 80}]
---
apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
  namespace: team-web
spec:
  replicas: 2   # enough for staging
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - name: web
        image: %s   # set by idp


        ports: [{containerPort: 8080}]
`

// theirCluster is what a team's platform made for it: a namespace, who deploys there, an
// AppProject and an Application that reads the team's folder.
const theirCluster = `apiVersion: v1
kind: Namespace
metadata: {name: team-web}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: deployer, namespace: team-web}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: deployer, namespace: team-web}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: cluster-admin}
subjects: [{kind: ServiceAccount, name: deployer, namespace: team-web}]
---
apiVersion: argoproj.io/v1alpha1
kind: AppProject
metadata: {name: team-web, namespace: argocd}
spec:
  sourceRepos: ["*"]
  destinations: [{server: "https://kubernetes.default.svc", namespace: team-web}]
  destinationServiceAccounts: [{server: "https://kubernetes.default.svc", namespace: team-web, defaultServiceAccount: deployer}]
---
apiVersion: argoproj.io/v1alpha1
kind: Application
metadata: {name: web-staging, namespace: argocd}
spec:
  project: team-web
  source: {repoURL: %q, path: apps/web/staging, targetRevision: main}
  destination: {server: "https://kubernetes.default.svc", namespace: team-web}
  syncPolicy: {automated: {selfHeal: true}}
`

// updatesTheirs: a team that has files and an Application of its own deploys by a command,
// and goes back by one; but for the image its file stays as it was, byte for byte.
func updatesTheirs(s *scene) {
	b := s.bring("layout", "updated")
	before := s.registryAddr + "/acme/updated:v0"
	s.putTheirs(b.repo.ID(), before)
	b.types("validate")
	s.must(s.cluster.Apply(s.ctx, fmt.Appendf(nil, theirCluster, s.gitops.URL)))
	s.await("the team's own Application has synced", func() error { return s.theirsRuns(before) })

	d := staged{s.open(b.repo, "acme/updated"), "staging", "web"}
	d.say("/idp deploy staging")
	first := d.updatedTo()
	b.tells(d.check(d.pr.HeadSHA()))
	b.records(d.proposal, "layout")
	d.push(d.pr.Push, nil)
	d.say("/idp deploy staging")
	d.updatedTo()

	d.say("/idp rollback staging")
	d.await("the release before is back", func() error { return d.theirsRuns(first) })
	d.told("taging is back at")
	if want := fmt.Sprintf(theirLayout, first); d.theirs() != want {
		d.Errorf("after the way back the file is\n%s\nand not\n%s", d.theirs(), want)
	}
	d.say("/idp destroy staging")
	d.told("no command in a pull request takes it away")
	if err := d.theirsRuns(first); err != nil {
		d.Errorf("after that: %v", err)
	}
}

// putTheirs has the team's file and what the platform team lets idp change in it in Git.
func (s *scene) putTheirs(repositoryID int64, image string) {
	s.Helper()
	_, err := s.gitops.Commit(s.ctx, branch, gittest.Edit{Message: "Let idp set the image of web", Put: []gitops.File{
		{Path: theirFile, Content: fmt.Appendf(nil, theirLayout, image)},
		{Path: platform.EnvironmentsPath, Content: fmt.Appendf(nil, `environments:
  staging:
    update:
      - id: %d
        services:
          web:
            application: web-staging
            fields:
              - file: %s
                object: Deployment/web
                field: spec.template.spec.containers[name=web].image
`, repositoryID, theirFile)},
	}})
	s.must(err)
}

// theirs is the team's file at the tip.
func (s *scene) theirs() string {
	s.Helper()
	tip, err := s.gitops.Tip(s.ctx, branch)
	s.must(err)
	content, err := s.gitops.Content(s.ctx, tip, theirFile)
	s.must(err)
	return content
}

// theirsRuns wants the team's Deployment to run an image in all its pods.
func (s *scene) theirsRuns(image string) error {
	var live appsv1.Deployment
	if err := s.get(deployments, "team-web", "web", &live); err != nil {
		return err
	}
	if has := live.Spec.Template.Spec.Containers[0].Image; has != image {
		return fmt.Errorf("it has %s, not %s", has, image)
	}
	if st := live.Status; st.ObservedGeneration != live.Generation || st.UpdatedReplicas != 2 || st.AvailableReplicas != 2 || st.Replicas != 2 {
		return fmt.Errorf("%d of %d pods are of it, and %d are available", st.UpdatedReplicas, st.Replicas, st.AvailableReplicas)
	}
	return nil
}

// updatedTo waits until the head is said to be deployed, and wants it to run and nothing but
// the image to differ in the team's file. It returns the image.
func (d staged) updatedTo() string {
	d.Helper()
	sha, image := d.pr.HeadSHA(), d.built()
	d.await("staging is said to be healthy", func() error { return d.says(sha, "success", "", "eployed to staging", "success") })
	if err := d.theirsRuns(image); err != nil {
		d.Errorf("it is said to be healthy, and is not: %v", err)
	}
	if want := fmt.Sprintf(theirLayout, image); d.theirs() != want {
		d.Errorf("the file is\n%s\nand not\n%s", d.theirs(), want)
	}
	row, err := d.row()
	d.must(err)
	tip, err := d.gitops.Tip(d.ctx, branch)
	d.must(err)
	list, err := d.gitops.List(d.ctx, tip)
	d.must(err)
	for _, line := range list {
		if strings.Contains(line, row.Ref.ManifestsDir()) {
			d.Errorf("something was rendered beside it: %s", line)
		}
	}
	if said := d.comment(); !strings.Contains(said, "Application `web-staging` reads `"+theirFile+"`") {
		d.Errorf("the comment does not name the team's Application and file:\n%s", said)
	}
	return image
}
