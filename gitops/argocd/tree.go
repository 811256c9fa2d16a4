package argocd

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/argoproj/gitops-engine/pkg/health"
)

// node is one object of an Application's resource tree: those that it applied, and
// those that come of them.
type node struct {
	Group, Version, Kind, Namespace, Name, UID string

	ParentRefs []struct{ UID string }
	Info       []struct{ Name, Value string }
	Health     *healthStatus
	CreatedAt  *time.Time
}

func (n *node) is(status health.HealthStatusCode) bool {
	return n.Health != nil && n.Health.Status == status
}

// well says that nothing is wrong with the object, and that nothing is to come.
func (n *node) well() bool {
	return n.Health == nil || n.is(health.HealthStatusHealthy) || n.is(health.HealthStatusUnknown)
}

// revision is that of a ReplicaSet, as Argo CD shows it; 0 of anything else.
func (n *node) revision() int64 {
	for _, i := range n.Info {
		if i.Name == "Revision" {
			return counted(strings.TrimPrefix(i.Value, "Rev:"))
		}
	}
	return 0
}

func (n *node) created() time.Time {
	if n.CreatedAt == nil {
		return time.Time{}
	}
	return *n.CreatedAt
}

func (n *node) object() managedObject {
	return managedObject{Group: n.Group, Version: n.Version, Kind: n.Kind, Namespace: n.Namespace, Name: n.Name}
}

// tree returns the objects of an Application with their health, Pods included.
func (c *Client) tree(ctx context.Context, application string) ([]node, error) {
	var answer struct{ Nodes []node }
	path := "api/v1/applications/" + url.PathEscape(application) + "/resource-tree"
	if err := c.get(ctx, "tree", path, nil, &answer); err != nil {
		return nil, fmt.Errorf("get the objects of application %s: %w", application, err)
	}
	return answer.Nodes, nil
}

// Event is what Kubernetes noted about an object.
type Event struct {
	At              time.Time
	Warning         bool
	Reason, Message string
	// Count is how often it was noted.
	Count int
}

// maxEvents is how many events are told of an object.
const maxEvents = 5

// events returns the last of what was noted about an object, the newest last.
func (c *Client) events(ctx context.Context, application string, n node) ([]Event, error) {
	var answer struct {
		Items []struct {
			Type, Reason, Message string
			Count                 int
			Series                *struct {
				Count            int
				LastObservedTime time.Time
			}
			FirstTimestamp, LastTimestamp, EventTime time.Time
		}
	}
	query := url.Values{"resourceUID": {n.UID}, "resourceNamespace": {n.Namespace}, "resourceName": {n.Name}}
	path := "api/v1/applications/" + url.PathEscape(application) + "/events"
	if err := c.get(ctx, "events", path, query, &answer); err != nil {
		return nil, fmt.Errorf("get the events of %s %s: %w", n.Kind, n.Name, err)
	}
	out := make([]Event, 0, len(answer.Items))
	for _, e := range answer.Items {
		one := Event{At: e.LastTimestamp, Warning: e.Type == "Warning", Reason: e.Reason, Message: oneLine(e.Message), Count: max(e.Count, 1)}
		if e.Series != nil {
			one.At, one.Count = e.Series.LastObservedTime, max(e.Series.Count, 1)
		}
		for _, at := range []time.Time{e.EventTime, e.FirstTimestamp} {
			if one.At.IsZero() {
				one.At = at
			}
		}
		out = append(out, one)
	}
	slices.SortStableFunc(out, func(a, b Event) int { return a.At.Compare(b.At) })
	return out[max(0, len(out)-maxEvents):], nil
}

// ErrLogsNotPermitted says that idp's account may not get logs.
var ErrLogsNotPermitted = errors.New("logs are not permitted")

// logs returns the last lines that a container of a Pod wrote, those of its last run
// where previous says so.
//
// Argo CD 3 always asks for the right "logs, get". 2.14 asks for it only where
// server.rbac.log.enforce.enable is set, else "applications, get" will do
// (server/application/application.go, PodLogs).
func (c *Client) logs(ctx context.Context, application string, n node, container string, previous bool, lines int) ([]string, error) {
	query := url.Values{
		"namespace": {n.Namespace}, "container": {container}, "tailLines": {strconv.Itoa(lines)},
		"follow": {"false"}, "previous": {strconv.FormatBool(previous)},
	}
	path := "api/v1/applications/" + url.PathEscape(application) + "/pods/" + url.PathEscape(n.Name) + "/logs"
	var out []string
	err := c.ask(ctx, "logs", path, query, func(body []byte) (err error) {
		out, err = c.logLines(body)
		return err
	})
	if errors.Is(err, ErrNotFound) {
		err = ErrLogsNotPermitted
	}
	if err != nil {
		return nil, fmt.Errorf("get the logs of %s: %w", n.Name, err)
	}
	return out[max(0, len(out)-lines):], nil
}

// logLines reads a JSON object a line. An entry that names no pod is Argo CD's own: why
// there are no logs, or that they are at their end.
func (c *Client) logLines(answer []byte) ([]string, error) {
	var out []string
	lines := bufio.NewScanner(bytes.NewReader(answer))
	lines.Buffer(nil, maxResponse)
	for lines.Scan() {
		var line struct {
			Result *struct {
				Content, PodName string
				Last             bool
			}
			Error *struct{ Message string }
		}
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
			return nil, fmt.Errorf("read logs: %w", err)
		}
		switch {
		case line.Error != nil:
			return nil, errors.New(c.clean(line.Error.Message))
		case line.Result != nil && !line.Result.Last && line.Result.PodName != "":
			out = append(out, line.Result.Content)
		}
	}
	return out, lines.Err()
}

// culprit returns the object that explains best why others are not well: the deepest of
// those that belong to an applied object that is not well either. Among equals it is the
// newest. What an older revision left behind explains nothing. Nil where nothing shows.
func culprit(nodes []node) *node {
	t := newLineage(nodes)
	var best *node
	bestRank := 0
	for i := range nodes {
		n := &nodes[i]
		rank := t.rank(n)
		if rank == 0 || t.outdated(n) {
			continue
		}
		if best == nil || rank > bestRank || rank == bestRank && cmp.Or(n.created().Compare(best.created()), cmp.Compare(best.Name, n.Name)) > 0 {
			best, bestRank = n, rank
		}
	}
	return best
}

// lineage knows what came of what.
type lineage struct {
	byUID map[string]*node
	// newest are the newest ReplicaSets by the UID of what they are of.
	newest map[string]*node
	// degraded says that an object that Argo CD applied is degraded: then one that is
	// only on its way is not to blame.
	degraded bool
}

func newLineage(nodes []node) *lineage {
	t := &lineage{byUID: map[string]*node{}, newest: map[string]*node{}}
	for i := range nodes {
		t.byUID[nodes[i].UID] = &nodes[i]
	}
	for i := range nodes {
		n := &nodes[i]
		t.degraded = t.degraded || len(n.ParentRefs) == 0 && n.is(health.HealthStatusDegraded)
		if n.Kind != "ReplicaSet" || len(n.ParentRefs) == 0 {
			continue
		}
		of := n.ParentRefs[0].UID
		if last := t.newest[of]; last == nil || cmp.Or(cmp.Compare(n.revision(), last.revision()), n.created().Compare(last.created())) > 0 {
			t.newest[of] = n
		}
	}
	return t
}

// root is the object that Argo CD applied, of which n came.
func (t *lineage) root(n *node) *node {
	for range 5 { // it never is as deep
		if len(n.ParentRefs) == 0 {
			return n
		}
		parent := t.byUID[n.ParentRefs[0].UID]
		if parent == nil {
			return n
		}
		n = parent
	}
	return n
}

// outdated says that an object is of a ReplicaSet that a newer one has replaced.
func (t *lineage) outdated(n *node) bool {
	if n.Kind == "Pod" && len(n.ParentRefs) > 0 {
		if owner := t.byUID[n.ParentRefs[0].UID]; owner != nil {
			n = owner
		}
	}
	return n.Kind == "ReplicaSet" && len(n.ParentRefs) > 0 && t.newest[n.ParentRefs[0].UID] != n
}

// rank says how much an object explains; 0 for nothing.
func (t *lineage) rank(n *node) int {
	root := t.root(n)
	if root.well() || t.degraded && !root.is(health.HealthStatusDegraded) {
		return 0
	}
	degraded := n.is(health.HealthStatusDegraded)
	switch {
	case n.Kind == "AnalysisRun":
		// Failed ones of earlier revisions stay for a while; the Rollout says whether it
		// is an analysis that ended it.
		if degraded && strings.Contains(root.Health.Message, "assessed") {
			return 9
		}
		return 0
	case n.Kind == "Pod" && degraded:
		return 8
	case n.Kind == "ReplicaSet" && degraded:
		return 7
	case n.Kind == "Job" && degraded:
		return 6
	case n.Kind == "Pod" && n.is(health.HealthStatusProgressing):
		return 5
	case n.Kind == "PersistentVolumeClaim" && !n.well():
		return 4
	case n != root:
		return 0
	case (n.Kind == "Deployment" || n.Kind == "Rollout") && degraded:
		return 3
	case degraded:
		return 2
	case n.is(health.HealthStatusProgressing):
		return 1
	}
	return 0
}
