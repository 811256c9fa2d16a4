-- The rule by which something was allowed or refused, beside what came of it.
ALTER TABLE audit ADD COLUMN rule TEXT NOT NULL DEFAULT '';
