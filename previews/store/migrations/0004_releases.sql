-- Releases that came to their end, healthy or not: what the measures of delivery are
-- counted from. Rows are kept for good.
CREATE TABLE releases (
    id            INTEGER PRIMARY KEY AUTOINCREMENT,
    ref           TEXT    NOT NULL, -- owner/repo/id, or owner/repo/id.service
    repository_id INTEGER NOT NULL,
    repository    TEXT    NOT NULL,
    environment   TEXT    NOT NULL,
    service       TEXT    NOT NULL,
    sha           TEXT    NOT NULL,
    pr            INTEGER NOT NULL,
    kind          TEXT    NOT NULL,
    outcome       TEXT    NOT NULL,
    reason        TEXT    NOT NULL,
    committed_at  INTEGER NOT NULL,
    asked_at      INTEGER NOT NULL,
    applied_at    INTEGER NOT NULL,
    ended_at      INTEGER NOT NULL
);
CREATE INDEX releases_ended ON releases (ended_at, id);
