package spec

import (
	"fmt"
	"testing"
)

// TestCheckCharts points at each chart that there is not, and says which there are.
func TestCheckCharts(t *testing.T) {
	t.Parallel()
	of := func(chart string) string {
		return "service: {name: web}\npreview:\n  source:\n    helm: {chart: " + chart + "}\n"
	}
	many := make([]string, 25)
	for i := range many {
		many[i] = fmt.Sprintf("chart-%02d", i)
	}
	for name, c := range map[string]struct {
		raw   string
		known []string
		want  string
	}{
		"one of them":       {of("web"), []string{"web", "worker"}, ""},
		"a chart of theirs": {"service: {name: web}\npreview: {source: {helm: {path: web}}}\n", nil, ""},
		"misspelt":          {of("wbe"), []string{"web", "worker"}, `d.yaml:4:19: there is no chart "wbe": platform/charts.yaml has web, worker: did you mean "web"?`},
		"none at all":       {of("web"), nil, `d.yaml:4:19: there is no chart "web": platform/charts.yaml has none`},
		"of many":           {of("x"), many, `d.yaml:4:19: there is no chart "x": platform/charts.yaml has chart-00, chart-01, chart-02, chart-03, chart-04, chart-05, chart-06, chart-07, chart-08, chart-09, chart-10, chart-11, chart-12, chart-13, chart-14, chart-15, chart-16, chart-17, chart-18, chart-19 and 5 more`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := ""
			if err := CheckCharts("d.yaml", []byte(c.raw), c.known, "platform/charts.yaml").Err(); err != nil {
				got = err.Error()
			}
			if got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

// TestChartSource is made of values alone: the chart is in another repository.
func TestChartSource(t *testing.T) {
	t.Parallel()
	text := "service: {name: web}\npreview: {source: {helm: {chart: web, valuesFiles: [deploy/v.yaml]}}}\n"
	s := *parsed(t, text).Preview.Source
	other := s
	other.Chart = "evil"
	if got := SourcesFrom(Sources{{Source: s}}, Sources{{Source: other}}); got.Sources[0].Chart != "web" || len(got.Left) != 1 || got.Left[0].String() != "preview.source.helm.chart (the base branch's counts)" {
		t.Errorf("a head's chart: %+v", got)
	}
	again := parsed(t, string(Marshal(parsed(t, text))))
	if got := again.Preview.Source; got.Chart != "web" || got.Path != "" {
		t.Errorf("written and read: %+v", got)
	}
}
