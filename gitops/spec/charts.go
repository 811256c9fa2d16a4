package spec

import (
	"fmt"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"
)

const (
	// ChartName is what the name of a chart matches that the platform team keeps, in at most
	// MaxChartName characters.
	ChartName    = `^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$`
	MaxChartName = 63
)

var chartName = regexp.MustCompile(ChartName)

// CheckChartName says what is wrong with the name of a chart of the platform's, in words that
// follow "chart name …"; "" for nothing.
func CheckChartName(name string) string {
	if chartName.MatchString(name) && len(name) <= MaxChartName {
		return ""
	}
	return fmt.Sprintf(`is not valid: expected at most %d lower-case letters, digits, "-" and ".", with a letter or digit at both ends`, MaxChartName)
}

// chartField is where a source names a chart of the platform's.
const chartField = "source.helm.chart"

// CheckCharts reports every chart of the platform's that a valid deploy.yaml names and that is
// not among known, which has all there are, sorted. where is the file
// that declares them.
func CheckCharts(name string, data []byte, known []string, where string) Errors {
	src := &source{name: name, outlawed: map[*yaml.Node]bool{}}
	root := src.load(data)
	if root == nil {
		return nil
	}
	var doc document
	c := &checker{newDecoder(src, root, reflect.ValueOf(&doc).Elem())}
	for _, field := range slices.Sorted(maps.Keys(c.places)) {
		if !strings.HasSuffix(field, "."+chartField) || !c.ok(field) {
			continue
		}
		if chart := c.places[field].value.Value; !slices.Contains(known, chart) {
			c.reportMeant(field, KindChoice, near(chart, known), "there is no chart %s: %s has %s", quote(chart), where, listed(known))
		}
	}
	return src.errs.sorted()
}

// listed are names for people.
func listed(names []string) string {
	const most = 20
	switch {
	case len(names) == 0:
		return "none"
	case len(names) > most:
		return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
	}
	return strings.Join(names, ", ")
}
