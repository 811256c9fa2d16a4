package githubtest

import "slices"

// Ruleset is what a repository asks of pushes to one of its branches.
type Ruleset struct {
	Name, Branch string
	// Rules are GitHub's types, such as "pull_request".
	Rules []string
	// Bypass says whether Apps may push past it: "always", "pull_requests_only" or "never".
	Bypass string

	id int64
}

// AddRuleset puts a ruleset in force.
func (r *Repository) AddRuleset(set Ruleset) {
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	set.id = r.s.nextID()
	r.rulesets = append(r.rulesets, set)
}

// Protect protects a branch in the older way, whose content an App without
// administration does not see.
func (r *Repository) Protect(branch string) {
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	r.protected = append(r.protected, branch)
}

// protects says whether a branch is protected, in either way.
func (r *Repository) protects(branch string) bool {
	return slices.Contains(r.protected, branch) || slices.ContainsFunc(r.rulesets, func(set Ruleset) bool { return set.Branch == branch })
}

// listBranchRules answers for branches that do not exist, too (docs.github.com, "Get rules
// for a branch").
func listBranchRules(c *call) reply {
	rules := []object{}
	for _, set := range c.repo.rulesets {
		for _, rule := range set.Rules {
			if set.Branch == c.params["branch"] {
				rules = append(rules, object{
					"type": rule, "ruleset_source_type": "Repository", "ruleset_source": c.repo.fullName(), "ruleset_id": set.id,
				})
			}
		}
	}
	return listed(c, rules, func(rule object) any { return rule })
}

func getRuleset(c *call) reply {
	for _, set := range c.repo.rulesets {
		if set.id != c.number("ruleset_id") {
			continue
		}
		rules := []object{}
		for _, rule := range set.Rules {
			rules = append(rules, object{"type": rule})
		}
		return ok(object{
			"id": set.id, "name": set.Name, "target": "branch", "source_type": "Repository", "source": c.repo.fullName(),
			"enforcement": "active", "current_user_can_bypass": set.Bypass, "node_id": nodeID("RRS", set.id),
			"conditions": object{"ref_name": object{"include": []string{"refs/heads/" + set.Branch}, "exclude": []string{}}},
			"rules":      rules, "created_at": stamp(c.repo.created), "updated_at": stamp(c.repo.created),
		})
	}
	return *notFound()
}
