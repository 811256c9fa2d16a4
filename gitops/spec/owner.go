package spec

import (
	"fmt"
	"reflect"

	"go.yaml.in/yaml/v4"
)

// CheckTeam reports every "team" of a valid deploy.yaml that is not the given one, any
// where that is "". why follows the report: whose the repository is, by what, and who
// may change it.
func CheckTeam(name string, data []byte, team, why string) Errors {
	src := &source{name: name, outlawed: map[*yaml.Node]bool{}}
	root := src.load(data)
	if root == nil {
		return nil
	}
	var doc document
	c := &checker{newDecoder(src, root, reflect.ValueOf(&doc).Elem())}
	check := func(block *serviceBlock, field string) {
		if field = join(field, "team"); block != nil && c.ok(field) && block.Team != team {
			c.reportMeant(field, KindConflict, team, "team %s is not this repository's: %s", quote(block.Team), why)
		}
	}
	check(doc.Service, "service")
	for i, block := range doc.Services {
		check(block, fmt.Sprintf("services[%d]", i))
	}
	return src.errs.sorted()
}
