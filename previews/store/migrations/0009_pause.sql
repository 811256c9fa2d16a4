-- Whether an operator has paused idp, and why.
CREATE TABLE pause (
    id  INTEGER PRIMARY KEY CHECK (id = 1),
    doc TEXT NOT NULL
);

-- Has a row where nothing of what is here was ever done, for its server only observed.
CREATE TABLE observed (
    id INTEGER PRIMARY KEY CHECK (id = 1)
);
