package argocd

import (
	"context"
	"fmt"
	"strings"
)

// Logs returns the last lines that a service of an Application wrote, from its newest
// pod. ErrNotFound where it has none; ErrLogsNotPermitted where the token may not read
// them.
func (c *Client) Logs(ctx context.Context, application, service string) ([]string, error) {
	nodes, err := c.tree(ctx, application)
	if err != nil {
		return nil, err
	}
	family := newLineage(nodes)
	var newest *node
	for i := range nodes {
		n := &nodes[i]
		if n.Kind != "Pod" || family.outdated(n) || family.root(n).Name != service && !strings.HasPrefix(n.Name, service+"-") {
			continue
		}
		if newest == nil || n.created().After(newest.created()) {
			newest = n
		}
	}
	if newest == nil {
		return nil, fmt.Errorf("find a pod of %s: %w", service, ErrNotFound)
	}
	return c.logs(ctx, application, *newest, service, false, maxLines)
}
