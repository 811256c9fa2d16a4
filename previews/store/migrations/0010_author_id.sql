-- Who opened a preview's pull request, by GitHub's id: logins change hands. It is 0 of rows
-- from before, which go by author until something new is asked of them.
ALTER TABLE environments ADD COLUMN author_id INTEGER NOT NULL DEFAULT 0;

CREATE INDEX environments_live_author_id ON environments (author_id, wanted_at, id) WHERE present = 1 AND preview = 1;
