// The kinds of the External Secrets Operator that end-to-end tests teach the API server.
module github.com/idp-bot/idp/testdata/cluster/external-secrets

go 1.26.0

require github.com/external-secrets/external-secrets v1.3.2
