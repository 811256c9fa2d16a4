-- Since when an environment has had something unreported: of one rank, those that
-- have waited longest are reported first.
ALTER TABLE environments ADD COLUMN unreported_since INTEGER NOT NULL DEFAULT 0;
DROP INDEX environments_unreported;
CREATE INDEX environments_unreported ON environments (report_rank, unreported_since, id) WHERE version <> reported_version;
-- The two greatest values of report_not_before are no times: see parked in report.go.
CREATE INDEX environments_parked ON environments (repository_id) WHERE report_not_before >= 9223372036854775806;
