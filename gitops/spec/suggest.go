package spec

import (
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/agext/levenshtein"
)

// suggested is an error that knows what was meant.
type suggested struct{ msg, meant string }

func (e *suggested) Error() string { return e.msg }

// near returns the candidate that word most likely stands for, "" when none is
// near: the same but for case and punctuation, the same letters in another order,
// or few edits away for its length.
func near(word string, candidates []string) string {
	if len(word) > 64 {
		return ""
	}
	folded := fold(word)
	best, bestDistance := "", 1<<30
	for _, candidate := range candidates {
		target := fold(candidate)
		distance := levenshtein.Distance(folded, target, nil)
		if letters(folded) == letters(target) {
			distance = min(distance, 1)
		}
		if distance <= max(1, len(target)/4) && distance < bestDistance && len(folded) > 1 {
			best, bestDistance = candidate, distance
		}
	}
	return best
}

// fold drops what people get wrong most: case, "_" and "-".
func fold(s string) string {
	return strings.NewReplacer("_", "", "-", "").Replace(strings.ToLower(s))
}

func letters(s string) string {
	r := []rune(s)
	slices.Sort(r)
	return string(r)
}

// quote returns s in double quotes, cut.
func quote(s string) string {
	return strconv.Quote(cut(s))
}

// cut shortens s to what fits on a line.
func cut(s string) string {
	const most = 80
	if utf8.RuneCountInString(s) > most {
		return string([]rune(s)[:most]) + "…"
	}
	return s
}
