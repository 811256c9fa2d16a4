-- The images that workflows reported they built, by the commit and the service.
CREATE TABLE image_reports (
    repository_id INTEGER NOT NULL,
    sha           TEXT    NOT NULL,
    service       TEXT    NOT NULL,
    digest        TEXT    NOT NULL,
    run           TEXT    NOT NULL,
    at            INTEGER NOT NULL,
    PRIMARY KEY (repository_id, sha, service)
);
CREATE INDEX image_reports_at ON image_reports (at);
