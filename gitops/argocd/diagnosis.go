package argocd

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Diagnosis is a likely cause, in words for whoever pushed.
type Diagnosis struct {
	// Short completes "web: …" in a title; Cause is a sentence about why, and Next one
	// about what to do. All are "" where nothing is known.
	Short, Cause, Next string
	// Push says that only a push helps; else it goes on by itself once it is mended.
	Push bool
}

// symptoms are what a cause is told by.
type symptoms struct {
	kind, reason, message string
	// container is the one at fault, which exited with exit, or was killed for the memory
	// that it used beyond limit.
	container      string
	exited, killed bool
	exit, restarts int
	limit          string
	measured       *Measured
}

// cause is a row of the table below: what it is told by, and what is said then.
type cause struct {
	kinds   []string // any kind where empty
	reasons []string // any reason where empty
	says    *regexp.Regexp
	when    func(symptoms) bool // always where nil
	Diagnosis
}

const (
	imagePull  = "the image cannot be pulled"
	othersMend = "The platform team has to mend that; it then goes on by itself."
)

// says matches words in any case.
func says(words string) *regexp.Regexp { return regexp.MustCompile(`(?i)` + words) }

func exits(code int) func(symptoms) bool {
	return func(s symptoms) bool { return s.exited && s.exit == code }
}

// causes is searched from the top: the first row that fits is told. {exit}, {restarts},
// {limit}, {container} and {measured} are filled in.
var causes = []cause{
	{kinds: []string{"AnalysisRun"}, when: func(s symptoms) bool { return s.measured != nil && s.measured.Metric != "" }, Diagnosis: Diagnosis{
		Short: "the rollout was aborted: {measured}", Cause: "That is what the analysis measured. The revision before serves everybody again.",
		Next: "Fix it and push.", Push: true}},
	{when: func(s symptoms) bool { return s.killed }, Diagnosis: Diagnosis{
		Short: "out of memory{often}", Cause: "Container {container} uses more memory than its limit{limit}, and is killed for it.",
		Next: "Raise resources.limits.memory of the service in .idp/deploy.yaml, or use less, and push.", Push: true}},

	{reasons: []string{"ImagePullBackOff", "ErrImagePull"}, says: says(`not found|manifest unknown|no such manifest|does not exist`), Diagnosis: Diagnosis{
		Short: imagePull, Cause: "The registry has no such image.",
		Next: "Check what CI pushed and what the image is called in .idp/deploy.yaml, and push.", Push: true}},
	{reasons: []string{"ImagePullBackOff", "ErrImagePull"}, says: says(`unauthorized|denied|authentication|forbidden|\b40[13]\b`), Diagnosis: Diagnosis{
		Short: imagePull, Cause: "The cluster may not pull it: its credentials for the registry are missing or wrong.", Next: othersMend}},
	{reasons: []string{"ImagePullBackOff", "ErrImagePull"}, says: says(`no match for platform|exec format`), Diagnosis: Diagnosis{
		Short: imagePull, Cause: "The image is not built for the architecture of the cluster's nodes.", Next: "Build it for that one and push.", Push: true}},
	{reasons: []string{"ImagePullBackOff", "ErrImagePull", "RegistryUnavailable"}, Diagnosis: Diagnosis{
		Short: imagePull, Cause: "The cluster cannot get it from the registry.", Next: "Kubernetes tries again by itself. Should it last, the platform team has to look at it."}},
	{reasons: []string{"InvalidImageName", "ErrImageNeverPull"}, Diagnosis: Diagnosis{
		Short: imagePull, Cause: "The image's name is not one that can be pulled.", Next: "Correct it in .idp/deploy.yaml and push.", Push: true}},

	{says: says(`run(s)? as non-?root|runAsNonRoot|run as root`), Diagnosis: Diagnosis{
		Short: "the image runs as root", Cause: "The environment takes only images whose user is not root.",
		Next: "Set a numeric USER other than 0 in the Dockerfile and push.", Push: true}},
	{says: says(`violates PodSecurity`), Diagnosis: Diagnosis{
		Short: "pods are refused for their security settings", Cause: "They ask for more than the environment's pod security level lets through.",
		Next: "Do without it and push, or ask the platform team for another level.", Push: true}},
	{says: says(`exceeded quota|must specify limits|maximum (cpu|memory).* per (Container|Pod)`), Diagnosis: Diagnosis{
		Short: "the quota is used up", Cause: "Together, its services ask for more than the environment may have.",
		Next: "Ask for less, or for fewer replicas, in .idp/deploy.yaml and push. The platform team sets the quota.", Push: true}},

	{reasons: []string{"CreateContainerConfigError", "CreateContainerError"}, says: says(`(secret|configmap) .*not found|couldn't find key`), Diagnosis: Diagnosis{
		Short: "a Secret or ConfigMap is missing", Cause: "The pod needs it to start.", Next: othersMend}},
	{reasons: []string{"RunContainerError", "CreateContainerError", "StartError"}, Diagnosis: Diagnosis{
		Short: "its container cannot be started", Cause: "Its command, or what it mounts, is not there.", Next: "Fix it and push.", Push: true}},

	{when: exits(126), Diagnosis: Diagnosis{
		Short: "its command cannot be executed (exit 126{more})", Cause: "The file is there, and is not executable on these nodes.", Next: "Fix the image and push.", Push: true}},
	{when: exits(127), Diagnosis: Diagnosis{
		Short: "its command is not in the image (exit 127{more})", Cause: "The shell finds no such command.", Next: "Fix the command or the image and push.", Push: true}},
	{when: exits(137), Diagnosis: Diagnosis{
		Short: "its process is killed (exit 137{more})", Cause: "Either it fails its health check for too long, or it does not end when it is asked to.",
		Next: "Look at its health check, and push what mends it.", Push: true}},
	{when: exits(139), Diagnosis: Diagnosis{
		Short: "its process crashes (exit 139{more})", Cause: "A segmentation fault: it touches memory that it may not.", Next: "Fix it and push.", Push: true}},
	{kinds: []string{"Pod"}, when: func(s symptoms) bool { return s.exited && s.exit == 0 && s.restarts > 0 }, Diagnosis: Diagnosis{
		Short: "its process ends by itself (exit 0{more})", Cause: "It reports no failure, but a service has to go on running.",
		Next: "Keep it in the foreground and push.", Push: true}},
	{when: func(s symptoms) bool { return s.exited && s.exit != 0 && s.restarts > 0 }, Diagnosis: Diagnosis{
		Short: "its process crashes (exit {exit}{more})", Cause: "Its process ends with an error soon after it starts.", Next: "Fix it and push.", Push: true}},
	{when: func(s symptoms) bool { return s.exited && s.exit != 0 }, Diagnosis: Diagnosis{
		Short: "its process fails (exit {exit})", Cause: "Its process ends with an error.", Next: "Fix it and push.", Push: true}},
	{reasons: []string{"CrashLoopBackOff"}, Diagnosis: Diagnosis{
		Short: "its process crashes{often}", Cause: "Its process ends soon after it starts.", Next: "Fix it and push.", Push: true}},

	{reasons: []string{"FailedScheduling"}, says: says(`insufficient`), Diagnosis: Diagnosis{
		Short: "no node has room for it", Cause: "It asks for more CPU or memory than any node has left.",
		Next: "It starts by itself once there is room. Asking for less in .idp/deploy.yaml may help sooner."}},
	{reasons: []string{"FailedScheduling"}, Diagnosis: Diagnosis{
		Short: "no node takes it", Cause: "No node of the cluster fits what the pod needs.", Next: othersMend}},
	{reasons: []string{"FailedMount", "FailedAttachVolume"}, Diagnosis: Diagnosis{
		Short: "a volume cannot be mounted", Cause: "What it mounts is not there, or is in use elsewhere.", Next: othersMend}},
	{reasons: []string{"Unhealthy"}, says: says(`liveness`), Diagnosis: Diagnosis{
		Short: "its health check fails", Cause: "It does not answer as healthcheck in .idp/deploy.yaml asks, and is restarted for it.", Next: "Fix it and push.", Push: true}},
	{reasons: []string{"Unhealthy", "ProbeError"}, Diagnosis: Diagnosis{
		Short: "its health check fails", Cause: "It runs, and does not answer as healthcheck in .idp/deploy.yaml asks.", Next: "Fix it, or the path and port in .idp/deploy.yaml, and push.", Push: true}},

	{kinds: []string{"Job"}, Diagnosis: Diagnosis{
		Short: "its run failed", Cause: "It was tried as often, or for as long, as it may be.", Next: "Fix it and push.", Push: true}},
	{says: says(`progress deadline|timed out progressing`), Diagnosis: Diagnosis{
		Short: "it did not become ready in time", Cause: "None of its new pods became ready.", Next: "Argo CD shows what they wait for. Fix it and push.", Push: true}},
	{kinds: []string{"Rollout"}, says: says(`RolloutAborted`), Diagnosis: Diagnosis{
		Short: "the rollout was aborted", Cause: "The revision before serves everybody again.", Next: "Fix it and push.", Push: true}},

	{kinds: []string{"Sync"}, says: says(`admission webhook|ValidatingAdmissionPolicy|denied the request`), Diagnosis: Diagnosis{
		Short: "the cluster refuses what is in Git", Cause: "A policy of the cluster does not let it through.", Next: "Do as it says and push, or ask the platform team.", Push: true}},
	{kinds: []string{"Sync"}, says: says(`is not permitted in project|cannot (create|patch|update|delete|get|list) resource|is forbidden`), Diagnosis: Diagnosis{
		Short: "Argo CD may not apply what is in Git", Cause: "It lacks a right on the cluster or in its project.", Next: othersMend}},
	{kinds: []string{"Sync"}, says: says(`could not find|no matches for kind|the server could not find the requested resource`), Diagnosis: Diagnosis{
		Short: "the cluster does not know a kind that is in Git", Cause: "The part of the platform that serves it is not installed.", Next: othersMend}},
	{kinds: []string{"Sync"}, Diagnosis: Diagnosis{
		Short: "Argo CD cannot apply what is in Git", Next: "Fix it and push.", Push: true}},
}

// diagnose finds the cause that fits.
func diagnose(s symptoms) Diagnosis {
	for _, c := range causes {
		if c.fits(s) {
			return s.fill(c.Diagnosis)
		}
	}
	return Diagnosis{}
}

func (c cause) fits(s symptoms) bool {
	return (len(c.kinds) == 0 || slices.Contains(c.kinds, s.kind)) &&
		(len(c.reasons) == 0 || slices.Contains(c.reasons, s.reason)) &&
		(c.says == nil || c.says.MatchString(s.message)) &&
		(c.when == nil || c.when(s))
}

func (s symptoms) fill(d Diagnosis) Diagnosis {
	limit, often, more := "", "", ""
	if s.limit != "" {
		limit = " of " + s.limit
	}
	if s.restarts > 0 {
		times := strconv.Itoa(s.restarts) + " restarts"
		if s.restarts == 1 {
			times = "1 restart"
		}
		often, more = " ("+times+")", ", "+times
	}
	measured := ""
	if s.measured != nil {
		measured = s.measured.String()
	}
	fill := strings.NewReplacer("{exit}", strconv.Itoa(s.exit), "{limit}", limit, "{often}", often, "{more}", more,
		"{container}", s.container, "{measured}", measured)
	d.Short, d.Cause, d.Next = fill.Replace(d.Short), fill.Replace(d.Cause), fill.Replace(d.Next)
	return d
}
