package measure

import (
	"context"
	"fmt"
	"time"

	"github.com/idp-bot/idp/gitops"
)

// deployedTo is the declared environment.
const deployedTo = "staging"

// stepped is a service that rolls out in two steps with pauses.
const stepped = `preview:
  enabled: false
service:
  name: web
  replicas: 2
deploy:
  strategy: canary
  canary:
    - weight: 10
      pause: %[1]s
    - weight: 50
      pause: %[1]s
    - weight: 100
`

// canaries deploys by comment, again and again: the first time there is nothing to
// step away from.
func (m *measuring) canaries(ctx context.Context) error {
	if m.o.Deploys == 0 {
		return nil
	}
	r := m.newRepository("stepped", fmt.Sprintf(stepped, m.o.Pause))
	c, err := r.prepare(ctx)
	if err != nil {
		return err
	}
	if err := c.open(); err != nil {
		return err
	}
	if _, _, err := c.deploy(ctx); err != nil {
		return err
	}
	var wells, saids []time.Duration
	for range m.o.Deploys {
		if err := c.commit(ctx); err != nil {
			return err
		}
		if err := m.settle(ctx); err != nil {
			return err
		}
		well, said, err := c.deploy(ctx)
		if err != nil {
			return err
		}
		wells, saids = append(wells, well), append(saids, said)
	}
	m.record(deployHealthy, len(m.repositories), wells)
	m.record(deploySaid, len(m.repositories), saids)
	m.report.Pauses = Seconds(2 * m.o.Pause)
	c.pr.Close(developer)
	return m.settle(ctx)
}

// deploy deploys the head, and returns how long it took from the comment until it was
// healthy, and until its check said so.
func (c *change) deploy(ctx context.Context) (isHealthy, isSaid time.Duration, err error) {
	w, began := c.repo.w, time.Now()
	if _, err := c.pr.Comment(developer, "/idp deploy "+deployedTo); err != nil {
		return 0, 0, err
	}
	said, err := w.seen.await(ctx, concluded(c.sha, "idp / "+deployedTo))
	if err != nil {
		return 0, 0, fmt.Errorf("%w; the end of idp's log:\n%s", err, w.lastLines(20))
	}
	ref := gitops.EnvironmentRef{RepositoryID: c.repo.ID(), Owner: org, Repo: c.repo.name, ID: deployedTo}.Of("web")
	well, err := w.seen.await(ctx, running(ref.Name(), c.image))
	return well.Sub(began), said.Sub(began), err
}
