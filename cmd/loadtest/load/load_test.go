package load

import (
	"context"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/idp-bot/idp/cmd/internal/stage"
	"github.com/idp-bot/idp/gitops/secret/secrettest"
)

// notYet are the counts whose targets idp does not reach, by a part of what they say.
var notYet = []string{"attempts for a commit"}

// TestWorks measures each work with short sizes. How fast anything is depends on the machine;
// what is counted does not, and has to be so.
func TestWorks(t *testing.T) {
	program := filepath.Join(secrettest.Given(secrettest.Dir(t)), "idp")
	if err := stage.Build(t.Context(), program, ""); err != nil {
		t.Fatal(err)
	}
	for _, w := range works {
		t.Run(w.name, func(t *testing.T) {
			searched := func(s *stage.Stage) error { return searchedStage(t, s) }
			report, err := Run(t.Context(), Options{Only: []string{w.name}, Sizes: Short(), Program: program, Progress: func(line string) { t.Log(line) }, Ending: searched})
			if err != nil {
				t.Fatal(err)
			}
			counts := 0
			for _, row := range report.Rows {
				if row.Work != w.name || row.What == "" || row.Measured == "" {
					t.Errorf("a row without its cells: %+v", row)
				}
				if !row.Count {
					continue
				}
				counts++
				if !row.Met && !slices.ContainsFunc(notYet, func(part string) bool { return strings.Contains(row.What, part) }) {
					t.Errorf("%s: %s, expected %s", row.What, row.Measured, row.Target)
				}
			}
			if counts == 0 {
				t.Error("nothing was counted")
			}
			if missing := report.Missing([]string{w.name}); len(missing) > 0 {
				t.Errorf("the table lacks %v", missing)
			}
		})
	}
}

// searchedStage has the test fail for each secret in what idp wrote on a stage.
func searchedStage(t *testing.T, s *stage.Stage) error {
	t.Helper()
	search, err := s.Search()
	if err != nil {
		return err
	}
	told, err := s.Told(t.Context(), search)
	for _, where := range told {
		t.Error(where)
	}
	return err
}

// The table has a row of each work, and says of each target whether it is met.
func TestReport(t *testing.T) {
	t.Parallel()
	r := &Report{Machine: Machine{Cores: 2, Processor: "P", Memory: "8 kB", System: "linux/amd64", Go: "go1", Git: "2.39"}}
	for _, name := range Names() {
		if !slices.Contains(r.Missing(nil), name) {
			t.Errorf("%s is not missed", name)
		}
		fast, slow := atMost("a", Figure{10, "ms"}, Figure{20, "ms"}, 1.5), atLeast("b", Figure{10, "/s"}, Figure{40, "/s"}, 0.5)
		fast.Work, slow.Work = name, name
		r.Rows = append(r.Rows, fast, slow)
	}
	if missing := r.Missing(nil); len(missing) > 0 {
		t.Errorf("it lacks %v", missing)
	}
	var table strings.Builder
	if err := r.Table(&table); err != nil {
		t.Fatal(err)
	}
	text := r.Markdown()
	for _, want := range []string{"| W1 | a | 10 ms | 20 ms | 0.500× | ≤ 1.5× | met |", "| W1 | b | 10 /s | 40 /s | 0.250× | ≥ 0.5× | not met |", "2 cores of P", "## What the profiles said"} {
		if !strings.Contains(text, want) {
			t.Errorf("the report lacks %q:\n%s", want, text)
		}
	}
	if got := strings.Count(table.String(), "not met"); got != len(works) {
		t.Errorf("%d are not met in\n%s", got, table.String())
	}
}

// Rows say what they promise, and whether that holds.
func TestRows(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		row  Row
		want []string
	}{
		"at least":      {atLeast("x", Figure{50, "/s"}, Figure{100, "/s"}, 0.5), []string{"x", "50 /s", "100 /s", "0.500×", "≥ 0.5×", "met"}},
		"less":          {atLeast("x", Figure{49, "/s"}, Figure{100, "/s"}, 0.5), []string{"x", "49 /s", "100 /s", "0.490×", "≥ 0.5×", "not met"}},
		"at most":       {atMost("x", Figure{3, "s"}, Figure{2, "s"}, 1.5), []string{"x", "3 s", "2 s", "1.50×", "≤ 1.5×", "met"}},
		"more":          {atMost("x", Figure{3.2, "s"}, Figure{2, "s"}, 1.5), []string{"x", "3.20 s", "2 s", "1.60×", "≤ 1.5×", "not met"}},
		"within":        {within("x", Figure{51, "ms"}, 50), []string{"x", "51 ms", "–", "–", "≤ 50 ms", "not met"}},
		"exactly":       {exactly("x", 3, 3), []string{"x", "3", "–", "–", "= 3", "met"}},
		"not exactly":   {exactly("x", 3, 4), []string{"x", "3", "–", "–", "= 4", "not met"}},
		"without a one": {beside("x", Figure{0.5, "s"}, Figure{5, "s"}), []string{"x", "0.500 s", "5 s", "0.100×", "–", "–"}},
	} {
		if got := c.row.cells()[1:]; !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

// What cannot be measured is told at once.
func TestCheck(t *testing.T) {
	t.Parallel()
	for _, sizes := range []Sizes{Whole(), Short()} {
		if err := (Options{Sizes: sizes}).Check(); err != nil {
			t.Error(err)
		}
	}
	wrong := Short()
	wrong.Webhooks, wrong.Reap, wrong.Burst = 1, wrong.ReapOf+1, nil
	_, err := Run(context.Background(), Options{Only: []string{"W1", "W77"}, Sizes: wrong})
	for _, want := range []string{"--run W77", "--webhooks 1", "--reap-of", "--burst"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v says nothing of %s", err, want)
		}
	}
}
