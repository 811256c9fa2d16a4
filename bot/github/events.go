package github

import gogithub "github.com/google/go-github/v60/github"

// Events returns the names of GitHub's webhook events, sorted: what stands in the
// header X-GitHub-Event.
// https://docs.github.com/en/webhooks/webhook-events-and-payloads
func Events() []string { return gogithub.MessageTypes() }
