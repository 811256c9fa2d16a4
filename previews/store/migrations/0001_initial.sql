-- Times are nanoseconds since 1970 in UTC; 0 means "not yet" or "never".

CREATE TABLE deliveries (
    seq             INTEGER PRIMARY KEY AUTOINCREMENT,
    guid            TEXT    NOT NULL UNIQUE,
    event           TEXT    NOT NULL,
    action          TEXT    NOT NULL,
    installation_id INTEGER NOT NULL,
    repository_id   INTEGER NOT NULL,
    pr              INTEGER NOT NULL,
    payload         BLOB, -- NULL once it is no longer kept
    received_at     INTEGER NOT NULL,
    state           TEXT    NOT NULL CHECK (state IN ('pending', 'done', 'dead')),
    attempts        INTEGER NOT NULL DEFAULT 0,
    error           TEXT    NOT NULL DEFAULT '',
    result          TEXT    NOT NULL DEFAULT '',
    ended_at        INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX deliveries_pending ON deliveries (repository_id, pr, seq) WHERE state = 'pending';
CREATE INDEX deliveries_oldest  ON deliveries (received_at)            WHERE state = 'pending';
CREATE INDEX deliveries_dead    ON deliveries (seq)                    WHERE state = 'dead';
CREATE INDEX deliveries_ended   ON deliveries (ended_at)               WHERE state <> 'pending';
CREATE INDEX deliveries_payload ON deliveries (ended_at)               WHERE state = 'done' AND payload IS NOT NULL;

-- doc is the whole environment as JSON, but for its diff; the columns beside it
-- are projections to find it by, written together with it.
CREATE TABLE environments (
    id                INTEGER PRIMARY KEY AUTOINCREMENT,
    repository_id     INTEGER NOT NULL,
    env_id            TEXT    NOT NULL,
    name              TEXT    NOT NULL,
    folder            TEXT    NOT NULL, -- "owner/repo" in the GitOps repository
    version           INTEGER NOT NULL,
    doc               TEXT    NOT NULL,
    diff              TEXT    NOT NULL DEFAULT '',
    head_sha          TEXT    NOT NULL,
    state             TEXT    NOT NULL,
    present           INTEGER NOT NULL,
    committed         INTEGER NOT NULL, -- it has files in the GitOps repository
    needs_commit      INTEGER NOT NULL,
    wanted_at         INTEGER NOT NULL,
    image_check_at    INTEGER NOT NULL, -- 0 unless it waits for images
    expires_at        INTEGER NOT NULL, -- 0 when absent or pinned
    report_rank       INTEGER NOT NULL, -- 0 failures, 1 ends, 2 progress
    reported_version  INTEGER NOT NULL DEFAULT 0,
    report_not_before INTEGER NOT NULL DEFAULT 0,
    UNIQUE (repository_id, env_id)
);
CREATE UNIQUE INDEX environments_name ON environments (name);
CREATE UNIQUE INDEX environments_folder ON environments (folder, env_id);
CREATE INDEX environments_head       ON environments (repository_id, head_sha);
CREATE INDEX environments_state      ON environments (state);
CREATE INDEX environments_present    ON environments (id)                        WHERE present = 1;
CREATE INDEX environments_committed  ON environments (repository_id)             WHERE committed = 1;
CREATE INDEX environments_uncommitted ON environments (repository_id, wanted_at, id) WHERE needs_commit = 1;
CREATE INDEX environments_images     ON environments (image_check_at, id)        WHERE image_check_at > 0;
CREATE INDEX environments_expiry     ON environments (expires_at, id)            WHERE expires_at > 0;
CREATE INDEX environments_unreported ON environments (report_rank, id)           WHERE version <> reported_version;

-- What idp said on GitHub about an environment; apart from it, so that saying
-- something does not count as a change of it.
CREATE TABLE reports (
    environment_id INTEGER PRIMARY KEY REFERENCES environments (id) ON DELETE CASCADE,
    doc            TEXT NOT NULL
);

CREATE TABLE effects (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    delivery        TEXT    NOT NULL,
    idx             INTEGER NOT NULL,
    kind            TEXT    NOT NULL,
    installation_id INTEGER NOT NULL,
    repository_id   INTEGER NOT NULL,
    owner           TEXT    NOT NULL,
    repo            TEXT    NOT NULL,
    pr              INTEGER NOT NULL,
    comment_id      INTEGER NOT NULL,
    content         TEXT    NOT NULL,
    created_at      INTEGER NOT NULL,
    attempts        INTEGER NOT NULL DEFAULT 0,
    not_before      INTEGER NOT NULL DEFAULT 0,
    error           TEXT    NOT NULL DEFAULT '',
    done_at         INTEGER NOT NULL DEFAULT 0,
    UNIQUE (delivery, idx)
);
CREATE INDEX effects_pending ON effects (id)      WHERE done_at = 0;
CREATE INDEX effects_done    ON effects (done_at) WHERE done_at > 0;

CREATE TABLE audit (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    at          INTEGER NOT NULL,
    delivery    TEXT    NOT NULL,
    actor_id    INTEGER NOT NULL,
    actor       TEXT    NOT NULL,
    action      TEXT    NOT NULL,
    environment TEXT    NOT NULL,
    sha         TEXT    NOT NULL,
    allowed     INTEGER NOT NULL,
    reason      TEXT    NOT NULL
);
CREATE INDEX audit_environment ON audit (environment, id);

-- The breaker's memory: one row per removal that a sweep inferred, and its latch.
CREATE TABLE inferred_removals (
    id             INTEGER PRIMARY KEY AUTOINCREMENT,
    at             INTEGER NOT NULL,
    environment_id INTEGER NOT NULL
);
CREATE INDEX inferred_removals_at ON inferred_removals (at);

CREATE TABLE breaker (
    id  INTEGER PRIMARY KEY CHECK (id = 1),
    doc TEXT NOT NULL
);
