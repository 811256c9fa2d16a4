package source

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/idp-bot/idp/gitops/fault"
	"github.com/idp-bot/idp/gitops/figure"
	"github.com/idp-bot/idp/gitops/spec"
)

// ofPlatform is a chart that a platform team keeps.
var ofPlatform = map[string][]byte{
	"Chart.yaml":         []byte("apiVersion: v2\nname: shop\nversion: 1.0.0\n"),
	"values.yaml":        []byte("greeting: hello\n"),
	".helmignore":        []byte("templates/left\n"),
	"templates/all.yaml": []byte("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings}\ndata: {greeting: {{ .Values.greeting }}, size: {{ .Values.size | quote }}}\n"),
	"templates/left":     []byte("{{ fail \"it is ignored\" }}"),
}

// with are files with some of them others.
func with(files map[string][]byte, more map[string]string) map[string][]byte {
	files = maps.Clone(files)
	for name, content := range more {
		files[name] = []byte(content)
	}
	return files
}

// archived is an archive of files below one folder, and of the entries, which hold nothing.
func archived(t *testing.T, files map[string][]byte, more ...tar.Header) []byte {
	t.Helper()
	var out bytes.Buffer
	zipped := gzip.NewWriter(&out)
	archive := tar.NewWriter(zipped)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		more = append(more, tar.Header{Typeflag: tar.TypeReg, Name: "shop/" + name, Size: int64(len(files[name])), Mode: 0o600})
	}
	for _, header := range more {
		if err := archive.WriteHeader(&header); err != nil {
			t.Fatal(err)
		}
		content := files[strings.TrimPrefix(header.Name, "shop/")]
		if content == nil {
			content = make([]byte, header.Size)
		}
		if _, err := archive.Write(content); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(archive.Close(), zipped.Close()); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// TestPlatformChart renders a chart of the platform's with values of the repository's, of a
// folder and packed; nothing of the repository is in the place of the chart's files.
func TestPlatformChart(t *testing.T) {
	t.Parallel()
	r := renderer(t)
	packed := with(ofPlatform, nil)
	delete(packed, "templates/left") // as helm package does
	repository := map[string][]byte{
		"deploy/v.yaml": []byte("size: 3\n"), "Chart.yaml": []byte("name: evil\nversion: 1.0.0\n"), "templates/evil.yaml": []byte("evil: true\n"),
	}
	for name, c := range map[string]Chart{"a folder": {Files: ofPlatform}, "an archive": {Packed: archived(t, packed)}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			from := spec.Source{Kind: spec.Helm, Chart: "shop", ValuesFiles: []string{"deploy/v.yaml"}, Values: []spec.Value{{Key: "greeting", Text: "hi"}}}
			got, err := r.Render(t.Context(), Request{Source: from, Release: "rel", Namespace: "ns", Files: repository, Chart: &c})
			if err != nil {
				t.Fatal(err)
			}
			if len(got.Documents) != 1 || !strings.Contains(got.Documents[0], `data: {greeting: hi, size: "3"}`) {
				t.Errorf("got %q", got.Documents)
			}
			if err := r.Load(t.Context(), c); err != nil {
				t.Errorf("it does not load: %v", err)
			}
		})
	}
}

// TestPlatformChartRefused holds charts of the platform's to what can be loaded, and tells that
// from what is wrong with the values.
func TestPlatformChartRefused(t *testing.T) {
	t.Parallel()
	r := renderer(t)
	bomb := archived(t, with(ofPlatform, map[string]string{"big": strings.Repeat("\x00", maxUnpacked)}))
	if len(bomb) > 1<<20 {
		t.Fatalf("the bomb has %d bytes", len(bomb))
	}
	nested := archived(t, with(ofPlatform, map[string]string{"charts/bomb.tgz": string(bomb)}))
	refused := map[string]struct {
		chart Chart
		want  string
	}{
		"no Chart.yaml":          {Chart{Files: map[string][]byte{"templates/a.yaml": nil}}, "there is no Chart.yaml in its folder"},
		"none packed":            {Chart{Packed: archived(t, map[string][]byte{"templates/a.yaml": nil})}, "there is no Chart.yaml in the packed chart"},
		"no archive":             {Chart{Packed: []byte("hello")}, "the packed chart cannot be unpacked: "},
		"empty":                  {Chart{Packed: []byte{}}, "the packed chart cannot be unpacked: "},
		"a symbolic link":        {Chart{Packed: archived(t, ofPlatform, tar.Header{Typeflag: tar.TypeSymlink, Name: "shop/templates/x.yaml", Linkname: "/etc/passwd"})}, "shop/templates/x.yaml of the packed chart is no plain file: links are not followed"},
		"a hard link":            {Chart{Packed: archived(t, ofPlatform, tar.Header{Typeflag: tar.TypeLink, Name: "shop/x", Linkname: "/etc/passwd"})}, "links are not followed"},
		"a device":               {Chart{Packed: archived(t, ofPlatform, tar.Header{Typeflag: tar.TypeChar, Name: "shop/x"})}, "is no plain file"},
		"a path that climbs":     {Chart{Packed: archived(t, ofPlatform, tar.Header{Typeflag: tar.TypeReg, Name: "shop/../../etc/x", Size: 1})}, "cannot be unpacked: chart illegally references parent directory"},
		"a path of Windows":      {Chart{Packed: archived(t, ofPlatform, tar.Header{Typeflag: tar.TypeReg, Name: `shop\..\..\x`, Size: 1})}, "cannot be unpacked: chart illegally references parent directory"},
		"a bomb":                 {Chart{Packed: bomb}, "the packed chart holds more than 64 MiB"},
		"a bomb in one":          {Chart{Packed: nested}, "the packed chart holds more than 64 MiB"},
		"a bomb in a folder":     {Chart{Files: with(ofPlatform, map[string]string{"charts/bomb.tgz": string(bomb)})}, "holds more than there is room for"},
		"a dependency elsewhere": {Chart{Files: with(ofPlatform, map[string]string{"Chart.yaml": "apiVersion: v2\nname: shop\nversion: 1.0.0\ndependencies: [{name: store, version: 1.0.0, repository: 'https://charts.example.com'}]\n"})}, "dependency store of the chart is not in its charts folder: nothing is fetched"},
		"a library":              {Chart{Files: with(ofPlatform, map[string]string{"Chart.yaml": "apiVersion: v2\nname: shop\nversion: 1.0.0\ntype: library\n"})}, "chart shop is a library"},
		"larger than is asked":   {Chart{Files: with(ofPlatform, map[string]string{"big": strings.Repeat("x", maxInput)})}, "the files of the source are larger than 16 MiB"},
	}
	figure.Tell(t, "%d charts of the platform's that hold links, climb, burst or lack a part: none was rendered", len(refused))
	for name, c := range refused {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := r.Render(t.Context(), Request{Source: spec.Source{Kind: spec.Helm, Chart: "shop"}, Chart: &c.chart})
			if fault.CodeOf(err) != fault.Invalid || !strings.Contains(err.Error(), c.want) {
				t.Errorf("rendered: %v, want %q", err, c.want)
			}
			if size := len(c.chart.Files["big"]); size == 0 && !errors.Is(err, ErrUnloadable) {
				t.Errorf("%v is not the chart's own fault", err)
			}
			if err := r.Load(t.Context(), c.chart); fault.CodeOf(err) != fault.Invalid || !strings.Contains(err.Error(), c.want) {
				t.Errorf("loaded: %v, want %q", err, c.want)
			}
		})
	}
	files := map[string][]byte{"Chart.yaml": ofPlatform["Chart.yaml"], "templates/all.yaml": ofPlatform["templates/all.yaml"]}
	if got, err := r.Render(t.Context(), Request{Source: spec.Source{Kind: spec.Helm, Chart: "shop"}, Files: files}); !errors.Is(err, ErrUnloadable) {
		t.Errorf("the repository's files stand for it: %q, %v", got.Documents, err)
	}
	failing := Chart{Files: with(ofPlatform, map[string]string{"templates/all.yaml": "{{ required \"set size\" .Values.size }}"})}
	if _, err := r.Render(t.Context(), Request{Source: spec.Source{Kind: spec.Helm, Chart: "shop"}, Chart: &failing}); err == nil || errors.Is(err, ErrUnloadable) || !strings.Contains(err.Error(), "set size") {
		t.Errorf("a value that is missing: %v", err)
	}
	if err := r.Load(t.Context(), failing); err != nil {
		t.Errorf("loaded, it asks for values: %v", err)
	}
}
