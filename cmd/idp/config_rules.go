package main

import (
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"regexp"
	"strconv"
	"strings"

	"github.com/robfig/cron/v3"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/idp-bot/idp/gitops/platform"
	"github.com/idp-bot/idp/gitops/repo"
	"github.com/idp-bot/idp/gitops/spec"
)

// rules are what a value's text is put to, by the name in the field's check tag.
// Each returns a mistake, or nil.
var rules = map[string]func(text string) error{
	"address":   ruleAddress,
	"branch":    ruleBranch,
	"url":       ruleURL,
	"domain":    ruleDomain,
	"name":      ruleName,
	"schedule":  ruleSchedule,
	"quantity":  ruleQuantity,
	"cidrs":     ruleCIDRs,
	"platforms": rulePlatforms,
	"host":      ruleHost,
	"image":     ruleImage,
	"natural":   func(text string) error { return ruleAtLeast(text, 0) },
	"positive":  func(text string) error { return ruleAtLeast(text, 1) },
}

// ruleAddress wants HOST:PORT with a port from 0 (any that is free) to 65535.
func ruleAddress(text string) error {
	_, port, err := net.SplitHostPort(text)
	if err == nil {
		_, err = strconv.ParseUint(port, 10, 16)
	}
	if err != nil {
		return mistake{fmt.Sprintf("%q is not HOST:PORT", text), "write it like :8080 or 127.0.0.1:8080"}
	}
	return nil
}

// ruleURL wants an absolute http or https URL that holds no credentials.
func ruleURL(text string) error {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
		// What did not parse may hold a password: it is not quoted.
		return mistake{"this is not an http or https URL", "write it like https://host.example.com/"}
	}
	if u.User != nil {
		return mistake{"the URL holds credentials", "leave them out: tokens have keys of their own"}
	}
	return nil
}

var (
	dnsLabel = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$`)
	dnsName  = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?(\.[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?)*$`)
)

// ruleBranch wants what git takes as a branch.
func ruleBranch(text string) error {
	if repo.CheckBranch(text) != nil {
		return mistake{fmt.Sprintf("%q is not the name of a branch", text), "write it like main or env/previews"}
	}
	return nil
}

// ruleDomain wants a DNS name without a trailing dot or a wildcard; 160 characters
// leave room for the longest host label and name below it within DNS's 253.
func ruleDomain(text string) error {
	if len(text) > 160 || !dnsName.MatchString(text) {
		return mistake{fmt.Sprintf("%q is not a domain", text), "write it like preview.example.com, in lower case and without *"}
	}
	return nil
}

// ruleName wants what Kubernetes takes as the name of an object.
func ruleName(text string) error {
	if !dnsLabel.MatchString(text) {
		return mistake{fmt.Sprintf("%q is not the name of a Kubernetes object", text), "use up to 63 of a-z, 0-9 and -, beginning and ending with a letter or digit"}
	}
	return nil
}

// ruleSchedule wants what robfig/cron's standard parser takes.
func ruleSchedule(text string) error {
	if _, err := cron.ParseStandard(text); err != nil {
		return mistake{fmt.Sprintf("%q is not a schedule", text), `write it like "*/5 * * * *" or "@every 5m"`}
	}
	return nil
}

// ruleQuantity wants a Kubernetes quantity above zero.
func ruleQuantity(text string) error {
	q, err := resource.ParseQuantity(text)
	if err != nil || q.Sign() <= 0 {
		return mistake{fmt.Sprintf("%q is not a quantity above zero", text), "write it as Kubernetes does: 500m or 2 of CPU, 512Mi or 4Gi of memory"}
	}
	return nil
}

// ruleCIDRs wants address ranges whose host bits are zero, as Kubernetes does.
func ruleCIDRs(text string) error {
	for _, item := range splitList(text) {
		prefix, err := netip.ParsePrefix(item)
		if err != nil {
			return mistake{fmt.Sprintf("%q is not an address range", item), "write it like 203.0.113.0/24 or 2001:db8::/32"}
		}
		if prefix != prefix.Masked() {
			return mistake{fmt.Sprintf("%q has bits set beyond its length", item), fmt.Sprintf("write %s", prefix.Masked())}
		}
	}
	return nil
}

func rulePlatforms(text string) error {
	for _, item := range splitList(text) {
		if !platform.IsNodePlatform(item) {
			return mistake{fmt.Sprintf("%q is not OS/ARCHITECTURE", item), "write it like linux/amd64 or linux/arm/v7"}
		}
	}
	return nil
}

// ruleAtLeast wants a whole number of at least least. What is no number at all
// is left to the parser.
func ruleAtLeast(text string, least int64) error {
	if n, err := strconv.ParseInt(text, 10, 64); err == nil && n < least {
		return mistake{fmt.Sprintf("%d is too small", n), fmt.Sprintf("use %d or more", least)}
	}
	return nil
}

// placeholder finds {words} in a template.
var placeholder = regexp.MustCompile(`\{[^{}]*\}`)

// ruleHost wants a host template in which services and environments differ and the zone occurs.
func ruleHost(text string) error {
	if err := ruleTemplate(text, "service", "env", "hash", "repo", "owner", "zone"); err != nil {
		return err
	}
	for _, word := range []string{"{service}", "{hash}", "{zone}"} {
		if !strings.Contains(text, word) {
			return mistake{"it does without " + word, "hosts would collide: write it like {service}-{env}-{hash}.{zone}"}
		}
	}
	return nil
}

// ruleImage wants what a spec's image may be.
func ruleImage(text string) error {
	if err := spec.CheckImage(text); err != nil {
		why, expected, _ := strings.Cut(err.Error(), ": expected ")
		return mistake{why, "use " + orElse(expected, "an image reference such as ghcr.io/{owner}/{repo}:{sha}")}
	}
	return nil
}

// ruleTemplate wants a template of the known placeholders only.
func ruleTemplate(text string, known ...string) error {
	for _, found := range placeholder.FindAllString(text, -1) {
		word := strings.Trim(found, "{}")
		if nearest(word, known) == word {
			continue
		}
		fix := "use {" + strings.Join(known, "} {") + "}"
		if near := nearest(word, known); near != "" {
			fix = fmt.Sprintf("did you mean {%s}?", near)
		}
		return mistake{fmt.Sprintf("unknown placeholder %s", found), fix}
	}
	if rest := placeholder.ReplaceAllString(text, ""); strings.ContainsAny(rest, "{}") {
		return mistake{"a brace stands alone", "write placeholders like {" + known[0] + "}"}
	}
	return nil
}
