-- Whose the previews are, to count those that live: preview tells them from declared
-- environments.
ALTER TABLE environments ADD COLUMN preview INTEGER NOT NULL DEFAULT 0;
ALTER TABLE environments ADD COLUMN author TEXT NOT NULL DEFAULT '';
ALTER TABLE environments ADD COLUMN team TEXT NOT NULL DEFAULT '';
UPDATE environments SET preview = CASE WHEN json_extract(doc, '$.Deployed') IS NULL THEN 1 ELSE 0 END,
    author = coalesce(json_extract(doc, '$.Author'), ''), team = coalesce(json_extract(doc, '$.Team'), '');

CREATE INDEX environments_live_repository ON environments (repository_id, wanted_at, id) WHERE present = 1 AND preview = 1;
CREATE INDEX environments_live_author     ON environments (author, wanted_at, id)        WHERE present = 1 AND preview = 1;
CREATE INDEX environments_live_team       ON environments (team, wanted_at, id)          WHERE present = 1 AND preview = 1;
