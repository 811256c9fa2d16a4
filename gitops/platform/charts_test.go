package platform_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/idp-bot/idp/gitops"
	"github.com/idp-bot/idp/gitops/fault"
	"github.com/idp-bot/idp/gitops/platform"
)

// chartFiles are a platform folder with a chart in it twice, as a folder and packed.
func chartFiles(pins string) []gitops.File {
	return []gitops.File{
		{Path: platform.ChartsPath, Content: []byte(pins)},
		{Path: "platform/charts/web/Chart.yaml", Content: []byte("apiVersion: v2\nname: web\nversion: 1.0.0\n")},
		{Path: "platform/charts/web/templates/all.yaml", Content: []byte("kind: ConfigMap\n")},
		{Path: "platform/charts/web/charts/cache-1.0.0.tgz", Content: []byte("a dependency")},
		{Path: "platform/charts/web-1.4.0.tgz", Content: []byte("packed")},
		{Path: "platform/charts/README.md", Content: []byte("no chart")},
	}
}

// The digests are those that a shell prints: of the folder
// "h1:" and, in base64, that of what the README's command prints there.
const (
	folderPin  = "h1:5Y06Sqi8G+Y+gevNu53EPzTVyj6UNFlTssrI3pD1D1Q="
	archivePin = "sha256:88cb8a087b6e8cebfc9ae5602f5a2159a6bcf923e7f2c56809bcda6cad1727a7"
)

// loads is of charts that can be loaded, all of them.
func loads(platform.Chart) error { return nil }

// TestCheckCharts holds what is there to what is pinned, and says what would be right.
func TestCheckCharts(t *testing.T) {
	t.Parallel()
	const both = "charts:\n  web: {digest: \"" + folderPin + "\"}\n  packed: {path: web-1.4.0.tgz, digest: \"" + archivePin + "\"}\n"
	other := "h1:" + strings.Repeat("A", 43) + "="
	for name, c := range map[string]struct{ pins, want string }{
		"as pinned":        {both, ""},
		"another digest":   {strings.Replace(both, folderPin, other, 1), `platform/charts.yaml:2:17: platform/charts/web is not what is pinned: it has ` + folderPin + `: did you mean "` + folderPin + `"?`},
		"an archive":       {strings.Replace(both, archivePin, "sha256:"+strings.Repeat("0", 64), 1), `platform/charts.yaml:3:41: platform/charts/web-1.4.0.tgz is not what is pinned: it has ` + archivePin + `: did you mean "` + archivePin + `"?`},
		"no digest":        {"charts:\n  web: {}\n  packed: {path: web-1.4.0.tgz, digest: \"" + archivePin + "\"}\n", `platform/charts.yaml:2:8: chart web has no digest, and what is not pinned is not deployed with: platform/charts/web has ` + folderPin},
		"of the other":     {strings.Replace(both, archivePin, folderPin, 1), `platform/charts.yaml:3:41: digest "` + folderPin + `" is none: an archive is pinned by sha256:…, the digest of its bytes; platform/charts/web-1.4.0.tgz has ` + archivePin + `: did you mean "` + archivePin + `"?`},
		"no such chart":    {both + "  worker: {digest: \"" + folderPin + "\"}\n", `platform/charts.yaml:4:3: chart worker cannot be deployed with: there is no platform/charts/worker`},
		"nothing pins one": {"charts:\n  web: {digest: \"" + folderPin + "\"}\n", `platform/charts/web-1.4.0.tgz:1:1: nothing in platform/charts.yaml pins this chart: add web-1.4.0: {digest: "` + archivePin + `"} there, or remove it`},
		"a word":           {strings.Replace(both, "{digest", "{diggest: x, digest", 1), `platform/charts.yaml:2:9: unknown key "diggest" in charts.web: did you mean "digest"?`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := ""
			if err := platform.CheckCharts(chartFiles(c.pins), loads).Err(); err != nil {
				got = err.Error()
			}
			if got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
	if errs := platform.CheckCharts(chartFiles("")[1:], loads); len(errs) != 2 {
		t.Errorf("without pins: %v", errs)
	}
	older := append(chartFiles(both), gitops.File{Path: "platform/charts/older/web/Chart.yaml"})
	if errs := platform.CheckCharts(older, loads); len(errs) != 1 || !strings.Contains(errs[0].Message, `add NAME: {path: "older/web", digest: "h1:`) {
		t.Errorf("a version in a folder: %v", errs)
	}
	if errs := platform.CheckCharts(nil, loads); len(errs) != 0 {
		t.Errorf("without charts: %v", errs)
	}
	errs := platform.CheckCharts(chartFiles(both), func(c platform.Chart) error {
		if c.Packed() {
			return errors.New("it has no Chart.yaml")
		}
		return nil
	})
	if got := errs.Err(); got == nil || got.Error() != "platform/charts.yaml:3:3: chart packed cannot be deployed with: it has no Chart.yaml" {
		t.Errorf("one that does not load: %v", got)
	}
}

// TestChartHold gives a chart's files where they are what is pinned, and nothing otherwise.
func TestChartHold(t *testing.T) {
	t.Parallel()
	files := chartFiles("")
	changed := chartFiles("")
	changed[2].Content = []byte("kind: Secret\n")
	large := append(chartFiles(""), gitops.File{Path: "platform/charts/web/large", Content: make([]byte, platform.MaxChart)})
	odd := append(chartFiles(""), gitops.File{Path: "platform/charts/web/a\nb", Content: nil})
	folder := platform.Chart{Path: "platform/charts/web", Digest: folderPin}
	for name, c := range map[string]struct {
		chart platform.Chart
		files []gitops.File
		want  string
	}{
		"a folder":          {folder, files, ""},
		"an archive":        {platform.Chart{Path: "platform/charts/web-1.4.0.tgz", Digest: archivePin}, files, ""},
		"changed":           {folder, changed, "the chart platform/charts/web is not what platform/charts.yaml pins: it is h1:"},
		"one file less":     {folder, files[:2], "is not what platform/charts.yaml pins"},
		"one file more":     {folder, append(chartFiles(""), gitops.File{Path: "platform/charts/web/x"}), "is not what platform/charts.yaml pins"},
		"another's digest":  {platform.Chart{Path: "platform/charts/web-1.4.0.tgz", Digest: folderPin}, files, "is not what platform/charts.yaml pins"},
		"not there":         {platform.Chart{Path: "platform/charts/we", Digest: folderPin}, files, "there is no platform/charts/we"},
		"a folder, packed":  {platform.Chart{Path: "platform/charts/web.tgz", Digest: archivePin}, append(chartFiles(""), gitops.File{Path: "platform/charts/web.tgz/x"}), "there is no platform/charts/web.tgz"},
		"too large":         {folder, large, "the chart platform/charts/web is larger than 8 MiB"},
		"a name in two":     {folder, odd, "the chart platform/charts/web has no digest"},
		"without a pin":     {platform.Chart{Path: "platform/charts/web"}, files, "is not what platform/charts.yaml pins"},
		"of another folder": {platform.Chart{Path: "platform/charts", Digest: folderPin}, files, "is not what platform/charts.yaml pins"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := c.chart.Hold(c.files)
			switch {
			case c.want == "" && (err != nil || len(got) == 0):
				t.Errorf("refused: %v", err)
			case c.want != "" && (fault.CodeOf(err) != fault.Conflict || !strings.Contains(err.Error(), c.want) || got != nil):
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}
