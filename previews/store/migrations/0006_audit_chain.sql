-- The audit log is a chain of hashes, and copied to where idp cannot rewrite it:
-- prev is the hash of the entry before. Entries of before are linked by the program.
ALTER TABLE audit ADD COLUMN prev TEXT NOT NULL DEFAULT '';
ALTER TABLE audit ADD COLUMN hash TEXT NOT NULL DEFAULT '';

-- How far each copy has come.
CREATE TABLE audit_exports (
    sink TEXT   PRIMARY KEY,
    seq  BIGINT NOT NULL
);
