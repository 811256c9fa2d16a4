-- lane is the way that an environment's changes take into Git, as JSON, and '' for the
-- server's own; proposed says that a pull request of the GitOps repository has one.
ALTER TABLE environments ADD COLUMN lane TEXT NOT NULL DEFAULT '';
ALTER TABLE environments ADD COLUMN proposed INTEGER NOT NULL DEFAULT 0;

DROP INDEX environments_uncommitted;
CREATE INDEX environments_uncommitted ON environments (lane, repository_id, wanted_at, id) WHERE needs_commit = 1;
CREATE INDEX environments_proposed ON environments (lane, id) WHERE proposed = 1;
