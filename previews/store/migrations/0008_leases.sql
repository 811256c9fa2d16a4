-- Who does what only one process may do at a time. token grows with every process that
-- takes the lease: what an older one writes is refused. holder is '' once it was given
-- back; expires_at is 0 where a lease does not end by itself.
CREATE TABLE leases (
    name       TEXT    PRIMARY KEY,
    holder     TEXT    NOT NULL,
    token      INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
);
