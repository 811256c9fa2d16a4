package policy

import (
	"github.com/open-policy-agent/opa/v1/ast"
)

// Room says what a verdict about a new preview rests on: how many others there were.
type Room struct {
	// Most is how many previews max_previews lets a scope have, "repository", "team" or
	// "author"; what it does not bound, or only warns of, is not there.
	Most map[string]int
	// Counted says that a policy of the platform team's own may look at how many there are.
	Counted bool
	// Looks says that any policy may, those that only warn included.
	Looks bool
}

// Room returns what holds for new previews, nothing where the policies are broken: then
// none comes.
func (s *Set) Room() Room {
	room := Room{Most: map[string]int{}, Counted: s.counts, Looks: s.counts}
	level := s.settings.levels["max_previews"]
	if s.broken != nil || level == levelOff {
		return room
	}
	for scope, most := range map[string]*int32{"repository": s.settings.most.Repository, "team": s.settings.most.Team, "author": s.settings.most.Author} {
		if *most <= 0 {
			continue
		}
		room.Looks = true
		if level == levelDeny {
			room.Most[scope] = int(*most)
		}
	}
	return room
}

// counting says that one of the modules that are not the starter set's may read
// input.previews: by its name, or with all of input.
func counting(modules map[string]*ast.Module) (found bool) {
	previews := ast.String("previews")
	for _, module := range modules {
		if starterName(module.Package) != "" {
			continue
		}
		ast.WalkRefs(module, func(ref ast.Ref) bool {
			if ref[0].Equal(ast.InputRootDocument) {
				word, constant := ast.String(""), false
				if len(ref) > 1 {
					word, constant = ref[1].Value.(ast.String)
				}
				found = found || !constant || word == previews
			}
			return found
		})
		ast.WalkTerms(module, func(t *ast.Term) bool {
			found = found || t.Equal(ast.InputRootDocument)
			_, isRef := t.Value.(ast.Ref)
			return found || isRef // whose first term is its root
		})
	}
	return found
}
