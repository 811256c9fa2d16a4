package main

import (
	"strings"

	"github.com/agext/levenshtein"
)

// nearest returns the candidate that word was probably meant to be, "" when none
// is near: at most one edit, and one more in four characters, or a beginning of
// three or more.
func nearest(word string, candidates []string) string {
	best, bestDistance := "", len(word)/4+1
	for _, candidate := range candidates {
		d := levenshtein.Distance(strings.ToLower(word), strings.ToLower(candidate), nil)
		if len(word) >= 3 && strings.HasPrefix(candidate, word) {
			d = min(d, 1)
		}
		if d <= bestDistance && (best == "" || d < bestDistance) {
			best, bestDistance = candidate, d
		}
	}
	return best
}
