package policy

import (
	"slices"
	"strings"
)

// Rules names the policies that deny, each once and sorted, such as "policies limits,
// main.deny"; "" where none does.
func (v Verdict) Rules() string {
	if v.Broken != nil {
		return "policies that cannot be asked"
	}
	var names []string
	for _, f := range v.Denied {
		names = append(names, f.Rule)
	}
	if len(names) == 0 {
		return ""
	}
	slices.Sort(names)
	return "policies " + strings.Join(slices.Compact(names), ", ")
}
