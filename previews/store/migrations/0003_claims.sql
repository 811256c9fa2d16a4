-- What was acted on once and must not be again, such as a comment's commands: the
-- body of a webhook is signed and never gets too old, its GUID is neither. Rows are
-- kept for good; they are as many as there were commands.
CREATE TABLE claims (
    key TEXT PRIMARY KEY,
    at  INTEGER NOT NULL
);
