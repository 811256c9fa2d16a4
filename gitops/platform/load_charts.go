package platform

import (
	"cmp"
	"fmt"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/idp-bot/idp/gitops"
	"github.com/idp-bot/idp/gitops/spec"
)

var (
	folderDigest  = regexp.MustCompile(`^h1:[A-Za-z0-9+/]{43}=$`)
	archiveDigest = regexp.MustCompile(`^sha256:[0-9a-f]{64}$`)
	chartPath     = regexp.MustCompile(chartPathPattern)
)

// chartPathPattern is of paths that stay below the folder that they are from.
const chartPathPattern = `^[A-Za-z0-9_]([A-Za-z0-9._-]*[A-Za-z0-9_-])?(/[A-Za-z0-9_]([A-Za-z0-9._-]*[A-Za-z0-9_-])?)*$`

// loadCharts reads platform/charts.yaml. right returns the digest that a chart has, "" where
// that is not known.
func loadCharts(f gitops.File, right func(Chart) string) (map[string]Chart, *spec.Document) {
	var file chartsFile
	doc := spec.Decode(f.Path, f.Content, &file)
	out := map[string]Chart{}
	for _, name := range slices.Sorted(maps.Keys(file.Charts)) {
		at, block := spec.Join("charts", name), file.Charts[name]
		if why := spec.CheckChartName(name); why != "" {
			doc.ReportKey(at, spec.KindFormat, "chart name %q %s", name, why)
		}
		if block == nil || doc.Given(spec.Join(at, "path")) && !checkChartPath(doc, spec.Join(at, "path"), block.Path) {
			continue
		}
		chart := block.chart(name)
		out[name] = chart
		block.checkDigest(doc, spec.Join(at, "digest"), name, chart, right)
	}
	return out, doc
}

// chart is what a block declares. Without a path it is named as the chart is: a folder or,
// where it is pinned as an archive, that.
func (b *chartBlock) chart(name string) Chart {
	if strings.HasPrefix(b.Digest, ofArchive) {
		name += packedExt
	}
	return Chart{Path: path.Join(ChartsDir, cmp.Or(b.Path, name)), Digest: b.Digest}
}

// checkChartPath holds a path to one that stays in the folder of charts.
func checkChartPath(doc *spec.Document, field, value string) bool {
	if !doc.OK(field) {
		return false
	}
	if !chartPath.MatchString(value) {
		doc.Report(field, spec.KindFormat, "path %q is none of %s: expected a folder or a %s file there, such as web or web-1.4.0.tgz", value, ChartsDir, packedExt)
		return false
	}
	return true
}

// checkDigest holds a pin to what it can be, and to what it has to be where that is known.
func (b *chartBlock) checkDigest(doc *spec.Document, field, name string, c Chart, right func(Chart) string) {
	form, of := folderDigest, "a folder is pinned by h1:…, the digest of its files"
	if c.Packed() {
		form, of = archiveDigest, "an archive is pinned by sha256:…, the digest of its bytes"
	}
	wanted := right(c)
	known := howToDigest
	if wanted != "" {
		known = c.Path + " has " + wanted
	}
	switch {
	case b.Digest == "" && !doc.Given(field):
		doc.Report(field, spec.KindMissing, "chart %s has no digest, and what is not pinned is not deployed with: %s", name, known)
	case !doc.OK(field):
	case !form.MatchString(b.Digest):
		doc.Suggest(field, spec.KindFormat, wanted, "digest %q is none: %s; %s", b.Digest, of, known)
	case wanted != "" && b.Digest != wanted:
		doc.Suggest(field, spec.KindConflict, wanted, "%s is not what is pinned: it has %s", c.Path, wanted)
	}
}

// LoadCharts reads platform/charts.yaml alone, as Load does.
func LoadCharts(content []byte) (map[string]Chart, spec.Errors) {
	charts, doc := loadCharts(gitops.File{Path: ChartsPath, Content: content}, unknown)
	return charts, doc.Errors()
}

// unknown is for who reads charts.yaml without the charts.
func unknown(Chart) string { return "" }

// CheckCharts holds the charts of a platform folder to their pins. files are charts.yaml and
// all that is below ChartsDir, and load says why a chart cannot be deployed with, whatever it is
// pinned by. The errors are those of Load about charts.yaml, and with them what does not fit,
// with the digest that it has, and each chart that nothing pins.
func CheckCharts(files []gitops.File, load func(Chart) error) spec.Errors {
	pins := gitops.File{Path: ChartsPath}
	if i := slices.IndexFunc(files, func(f gitops.File) bool { return f.Path == ChartsPath }); i >= 0 {
		pins = files[i]
	}
	wrong := map[string]error{}
	charts, doc := loadCharts(pins, func(c Chart) string {
		digest, err := c.digestOf(c.Own(files))
		wrong[c.Path] = err
		return digest
	})
	for _, name := range slices.Sorted(maps.Keys(charts)) {
		err := wrong[charts[name].Path]
		if err == nil {
			err = load(charts[name])
		}
		if err != nil {
			doc.ReportKey(spec.Join("charts", name), spec.KindConflict, "chart %s cannot be deployed with: %s", name, err)
		}
	}
	return append(doc.Errors(), unpinned(files, charts)...)
}

// unpinned are errors about the charts in the folder that no name stands for.
func unpinned(files []gitops.File, charts map[string]Chart) spec.Errors {
	var errs spec.Errors
	for _, at := range chartsIn(files) {
		if slices.ContainsFunc(slices.Collect(maps.Values(charts)), func(c Chart) bool { return c.Path == at || !c.Packed() && strings.HasPrefix(at, c.Path+"/") }) {
			continue
		}
		c := Chart{Path: at}
		message := "nothing in " + ChartsPath + " pins this chart: add it there, or remove it"
		if digest, err := c.digestOf(c.Own(files)); err == nil {
			message = "nothing in " + ChartsPath + " pins this chart: add " + pin(at, digest) + " there, or remove it"
		}
		errs = append(errs, spec.Error{Path: at, Line: 1, Column: 1, EndLine: 1, Kind: spec.KindMissing, Message: message})
	}
	return errs
}

// pin is a line of charts.yaml for a chart that has none.
func pin(at, digest string) string {
	file := strings.TrimPrefix(at, ChartsDir+"/")
	if name := strings.TrimSuffix(file, packedExt); spec.CheckChartName(name) == "" {
		return fmt.Sprintf("%s: {digest: %q}", name, digest)
	}
	return fmt.Sprintf("NAME: {path: %q, digest: %q}", file, digest)
}

// chartsIn are the paths of the charts below ChartsDir: folders with a Chart.yaml, and
// archives, but for those within another.
func chartsIn(files []gitops.File) []string {
	var all []string
	for _, f := range files {
		switch {
		case !strings.HasPrefix(f.Path, ChartsDir+"/"):
		case path.Base(f.Path) == "Chart.yaml":
			all = append(all, path.Dir(f.Path))
		case path.Ext(f.Path) == packedExt:
			all = append(all, f.Path)
		}
	}
	slices.Sort(all)
	var out []string
	for _, at := range all {
		if !slices.ContainsFunc(all, func(other string) bool { return strings.HasPrefix(at, other+"/") }) && at != ChartsDir {
			out = append(out, at)
		}
	}
	return out
}
