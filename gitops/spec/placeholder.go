package spec

import (
	"regexp"
	"slices"
	"strings"
)

// Vars are the values of the placeholders. A value that does not apply, such as
// PR outside previews, is "" and expands to nothing.
type Vars struct {
	// SHA is the commit in full, ShortSHA its first seven digits.
	SHA, ShortSHA string
	// MergeSHA is what github.sha is in the workflow that builds the image: of a pull
	// request the commit by which GitHub would merge it, else SHA. ShortMergeSHA are its
	// first seven digits. Both are for images alone.
	MergeSHA, ShortMergeSHA string
	// PR is the pull request's number, "" in a declared environment.
	PR string
	// Env is the environment's id: "pr-42" or "staging".
	Env string
	// Host is the service's host name, without a scheme; "" where it has none.
	Host string
	// Owner and Repo are the repository's, lower-cased (registries take no upper case).
	Owner, Repo string
	// Service is the service's name.
	Service string
}

// placeholders are the names that image and env values may hold in braces, and
// imagePlaceholders those that images may: what a pull request's merge is called has nothing
// to do with what runs, which would change with it.
var (
	placeholders      = []string{"sha", "short_sha", "pr", "env", "host", "owner", "repo", "service"}
	imagePlaceholders = append([]string{"sha", "short_sha", "merge_sha", "short_merge_sha"}, placeholders[2:]...)
)

// tokenForm finds a word in braces with the character before it that changes what it
// means. Braces around anything else (JSON, "{{ .Go }}", "{2,3}") are text.
var tokenForm = regexp.MustCompile(`[\\${]?\{([A-Za-z][A-Za-z0-9_-]*)\}`)

// Expand replaces the placeholders of a template:
//
//	{sha}    the value
//	\{sha}   the text "{sha}"
//	${sha}   itself, as shells and frameworks write it
//	{{sha}}  itself, as template languages write it
//
// A {word} that is no placeholder stays as it is; Parse refuses such a template.
func (v Vars) Expand(template string) string {
	return tokenForm.ReplaceAllStringFunc(template, func(match string) string {
		switch match[0] {
		case '\\':
			return match[1:]
		case '$':
			return match
		}
		if match[1] == '{' {
			return match
		}
		value, ok := v.value(match[1 : len(match)-1])
		if !ok {
			return match
		}
		return value
	})
}

// value returns the value of a placeholder, false when there is none of the name.
func (v Vars) value(name string) (string, bool) {
	switch name {
	case "sha":
		return v.SHA, true
	case "short_sha":
		return v.ShortSHA, true
	case "merge_sha":
		return v.MergeSHA, true
	case "short_merge_sha":
		return v.ShortMergeSHA, true
	case "pr":
		return v.PR, true
	case "env":
		return v.Env, true
	case "host":
		return v.Host, true
	case "owner":
		return v.Owner, true
	case "repo":
		return v.Repo, true
	case "service":
		return v.Service, true
	}
	return "", false
}

// Placeholders returns the names of the placeholders that Expand would replace in
// a template, without braces, sorted, each once.
func Placeholders(template string) []string {
	var out []string
	for _, t := range tokens(template) {
		if t.guard == 0 && slices.Contains(imagePlaceholders, t.name) {
			out = append(out, t.name)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// braced is one {word} of a template.
type braced struct {
	name  string
	guard byte // '\\', '$' or '{' before it, 0 for none
	at    int  // byte offset of its own opening brace
}

func tokens(template string) []braced {
	var out []braced
	for _, m := range tokenForm.FindAllStringSubmatchIndex(template, -1) {
		t := braced{name: template[m[2]:m[3]], at: m[2] - 1}
		if m[0] != t.at {
			t.guard = template[m[0]]
		}
		out = append(out, t)
	}
	return out
}

// OfMerge says that a template of images holds the name of the commit by which GitHub
// would merge a pull request.
func OfMerge(template string) bool {
	return slices.ContainsFunc(Placeholders(template), func(name string) bool { return strings.HasSuffix(name, "merge_sha") })
}

// OfCommit says that what a template of images names follows from a commit alone, and
// differs from one to the next: not from the pull request or its environment.
func OfCommit(template string) bool {
	held := Placeholders(template)
	of := func(names ...string) bool {
		return slices.ContainsFunc(names, func(name string) bool { return slices.Contains(held, name) })
	}
	return of("sha", "short_sha", "merge_sha", "short_merge_sha") && !of("pr", "env", "host")
}

// inBraces returns "{sha}, {short_sha}, …".
func inBraces(names []string) string {
	return "{" + strings.Join(names, "}, {") + "}"
}
