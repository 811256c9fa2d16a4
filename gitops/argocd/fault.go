package argocd

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/idp-bot/idp/gitops"
)

// maxLines is how many lines of its logs are told of a container.
const maxLines = 20

// Fault is the object that an Application is not well for, and what is known of it.
type Fault struct {
	// Kind and Name name the object, Of what Argo CD applied that it came of: a service,
	// as a rule.
	Kind, Name, Of string
	// Broken says that it does not only take its time.
	Broken bool
	// Message is in its own words, or in Kubernetes'.
	Message string
	Diagnosis
	// Measured is what ended a rollout by analysis.
	Measured *Measured
	// Events are the last ones that were noted about it, the newest last.
	Events []Event
	// Ran says that its container ran. Logs are the last lines that it wrote. LogsMissing says why there are
	// none, where there should be.
	Ran         bool
	Logs        []string
	LogsMissing string
}

// Fault returns what explains best why an Application is not well: the container that
// crashes before the Deployment that waits for it. It is nil where nothing shows. With
// logs it has the container's last lines, too. What cannot be learnt of it is left out.
func (c *Client) Fault(ctx context.Context, application string, logs bool) (*Fault, error) {
	nodes, err := c.tree(ctx, application)
	if err != nil {
		return nil, err
	}
	n := culprit(nodes)
	if n == nil {
		return nil, nil
	}
	f := &Fault{Kind: n.Kind, Name: n.Name, Of: newLineage(nodes).root(n).Name, Broken: n.is("Degraded")}
	if n.Health != nil {
		f.Message = oneLine(n.Health.Message)
	}
	seen := symptoms{kind: n.Kind, message: f.Message}
	if f.Events, err = c.events(ctx, application, *n); err != nil && ctx.Err() != nil {
		return nil, err
	}
	switch n.Kind {
	case "Pod":
		c.examine(ctx, application, *n, logs, f, &seen)
	case "AnalysisRun":
		var run analysisRun
		if err := c.manifest(ctx, application, n.object(), &run); err == nil {
			m := run.measured()
			f.Measured, seen.measured = &m, &m
		}
	}
	if f.Message == "" || !f.Broken {
		f.Message = warned(f.Events, f.Message)
	}
	seen.message = f.Message
	f.Diagnosis = diagnose(seen)
	return f, ctx.Err()
}

// warned is the newest warning about an object that says nothing of itself.
func warned(events []Event, message string) string {
	for _, e := range slices.Backward(events) {
		if e.Warning {
			return e.Message
		}
	}
	return message
}

// pod is the part of a live Pod that is read. Its environment is not.
type pod struct {
	Metadata struct {
		Labels map[string]string `json:"labels"`
	} `json:"metadata"`
	Spec struct {
		Containers, InitContainers []struct {
			Name      string                      `json:"name"`
			Resources corev1.ResourceRequirements `json:"resources"`
		}
	} `json:"spec"`
	Status struct {
		Reason                string                   `json:"reason"`
		InitContainerStatuses []corev1.ContainerStatus `json:"initContainerStatuses"`
		ContainerStatuses     []corev1.ContainerStatus `json:"containerStatuses"`
	} `json:"status"`
}

// examine finds the container of a Pod that is at fault.
func (c *Client) examine(ctx context.Context, application string, n node, logs bool, f *Fault, seen *symptoms) {
	var p pod
	if err := c.manifest(ctx, application, n.object(), &p); err != nil {
		return
	}
	if service := p.Metadata.Labels[gitops.LabelName]; service != "" {
		f.Of = service
	}
	for _, e := range f.Events {
		if e.Warning {
			seen.reason = e.Reason // of what is only on its way, no status tells more
		}
	}
	status, ended := p.atFault()
	if status == nil {
		return
	}
	seen.container, seen.restarts = status.Name, int(status.RestartCount)
	seen.limit = p.memoryLimit(status.Name)
	if w := status.State.Waiting; w != nil {
		seen.reason = w.Reason
		if w.Message != "" {
			f.Message = oneLine(w.Message)
		}
	}
	if ended != nil {
		f.Ran = true
		seen.exited, seen.exit, seen.killed = true, int(ended.ExitCode), ended.Reason == "OOMKilled"
		f.Message = fmt.Sprintf("container %s ended with exit code %d", status.Name, ended.ExitCode)
		if text := oneLine(ended.Message); text != "" {
			f.Message += ": " + text
		}
		c.addLogs(ctx, application, n, status, logs, f)
	}
}

// atFault returns the first container that does not run as it should, and how it ended
// where it did.
func (p *pod) atFault() (*corev1.ContainerStatus, *corev1.ContainerStateTerminated) {
	all := slices.Concat(p.Status.InitContainerStatuses, p.Status.ContainerStatuses)
	for i := range all {
		s := &all[i]
		switch ended, last := s.State.Terminated, s.LastTerminationState.Terminated; {
		case s.Ready, ended != nil && ended.ExitCode == 0 && i < len(p.Status.InitContainerStatuses):
		case ended != nil:
			return s, ended
		case last != nil:
			return s, last
		case s.State.Waiting != nil && s.State.Waiting.Reason != "ContainerCreating" && s.State.Waiting.Reason != "PodInitializing":
			return s, nil
		}
	}
	return nil, nil
}

func (p *pod) memoryLimit(container string) string {
	for _, c := range slices.Concat(p.Spec.InitContainers, p.Spec.Containers) {
		if limit, ok := c.Resources.Limits[corev1.ResourceMemory]; ok && c.Name == container {
			return limit.String()
		}
	}
	return ""
}

// addLogs adds what the container wrote before it ended. One that runs again wrote that
// in its run before.
func (c *Client) addLogs(ctx context.Context, application string, n node, status *corev1.ContainerStatus, logs bool, f *Fault) {
	if !logs {
		return
	}
	lines, err := c.logs(ctx, application, n, status.Name, status.State.Running != nil, maxLines)
	switch {
	case errors.Is(err, ErrLogsNotPermitted):
		f.LogsMissing = "there are no log lines here, for in Argo CD idp may not read them; the platform team can let it, with what idp bootstrap --logs prints"
	case err != nil:
		f.LogsMissing = "there are no log lines here: Argo CD could not read them"
	case len(lines) == 0:
		f.LogsMissing = "it wrote no logs"
	}
	f.Logs = lines
}

// Refused explains why Argo CD cannot apply what is in Git, from its own words.
func Refused(message string) *Fault {
	return &Fault{Broken: true, Message: message, Diagnosis: diagnose(symptoms{kind: "Sync", message: message})}
}

// String names the object.
func (f *Fault) String() string { return strings.TrimSpace(f.Kind + " " + f.Name) }
