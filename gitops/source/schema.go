package source

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/chartutil"
)

// fit holds the values of a chart, and those of the charts in it, to their
// values.schema.json, as Helm does: the error has the path of each value that does not fit. A
// schema that refers to what is not in it is not asked, since nothing is fetched; that is told,
// a note each.
func fit(c *chart.Chart, given chartutil.Values) (notes []string, err error) {
	values, err := given.Table("Values")
	if err != nil {
		return nil, fmt.Errorf("the chart's values: %w", err)
	}
	s := &schemas{}
	s.hold(c, values)
	if len(s.wrong) > 0 {
		return nil, fmt.Errorf("the values do not fit %s", strings.Join(s.wrong, "; "))
	}
	return s.notes, nil
}

// schemas are asked one after the other.
type schemas struct{ notes, wrong []string }

func (s *schemas) hold(c *chart.Chart, values chartutil.Values) {
	name := "values.schema.json of chart " + oneLine(c.Name())
	if len(c.Schema) > 0 {
		if elsewhere := refersTo(c.Schema); elsewhere != "" {
			s.notes = append(s.notes, fmt.Sprintf("%s refers to %s, and nothing is fetched: values are not held to it", name, oneLine(elsewhere)))
		} else if err := chartutil.ValidateAgainstSingleSchema(values, c.Schema); err != nil {
			s.wrong = append(s.wrong, name+": "+listed(err.Error()))
		}
	}
	for _, dependency := range c.Dependencies() {
		// One without a table of its own has no values that could not fit.
		if of, err := values.Table(dependency.Name()); err == nil {
			s.hold(dependency, of)
		}
	}
}

// listed has a list of Helm's, a line each after a dash, in one line.
func listed(text string) string {
	var out []string
	for line := range strings.Lines(text) {
		out = append(out, strings.TrimPrefix(strings.TrimSpace(line), "- "))
	}
	return strings.Join(out, ", ")
}

// refersTo is the first reference of a schema to what is not in it; "" where there is none,
// or where it is no JSON, which Helm says better.
func refersTo(schema []byte) string {
	var root any
	if err := json.Unmarshal(schema, &root); err != nil {
		return ""
	}
	return reference(root)
}

func reference(value any) string {
	switch value := value.(type) {
	case []any:
		for _, one := range value {
			if found := reference(one); found != "" {
				return found
			}
		}
	case map[string]any:
		if to, ok := value["$ref"].(string); ok && !strings.HasPrefix(to, "#") {
			return to
		}
		for _, key := range slices.Sorted(maps.Keys(value)) {
			if found := reference(value[key]); found != "" {
				return found
			}
		}
	}
	return ""
}
