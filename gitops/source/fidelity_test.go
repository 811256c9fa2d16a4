package source

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"
	"sigs.k8s.io/yaml"

	"github.com/idp-bot/idp/gitops/fault"
	"github.com/idp-bot/idp/gitops/spec"
)

// charted is a chart of testdata/charts and what has to come of it: want or refused, and told
// among the notes. TestHelmItself has the same of Helm, but where alone is given.
type charted struct {
	name                string
	files               map[string][]byte
	want, refused, told string
	alone               bool
}

// chartsOfOurs reads the charts of testdata. What is below packed/FILE is the chart's
// charts/FILE.tgz.
func chartsOfOurs(t *testing.T) []charted {
	t.Helper()
	names, err := filepath.Glob("testdata/charts/*.txtar")
	if err != nil || len(names) == 0 {
		t.Fatalf("no charts: %v", err)
	}
	var out []charted
	for _, name := range names {
		archive, err := txtar.ParseFile(name)
		if err != nil {
			t.Fatal(err)
		}
		c := charted{name: strings.TrimSuffix(filepath.Base(name), ".txtar"), files: map[string][]byte{}}
		packed := map[string][]txtar.File{}
		for _, f := range archive.Files {
			first, rest, _ := strings.Cut(f.Name, "/")
			switch first {
			case "want":
				c.want = string(f.Data)
			case "refused":
				c.refused = strings.TrimSpace(string(f.Data))
			case "told":
				c.told = strings.TrimSpace(string(f.Data))
			case "alone":
				c.alone = true
			case "packed":
				file, inside, _ := strings.Cut(rest, "/")
				packed[file] = append(packed[file], txtar.File{Name: inside, Data: f.Data})
			default:
				c.files[f.Name] = f.Data
			}
		}
		for file, inside := range packed {
			c.files["chart/charts/"+file+".tgz"] = pack(t, inside)
		}
		out = append(out, c)
	}
	return out
}

// pack is a packed chart.
func pack(t *testing.T, files []txtar.File) []byte {
	t.Helper()
	var out bytes.Buffer
	zipped := gzip.NewWriter(&out)
	archive := tar.NewWriter(zipped)
	for _, f := range files {
		if err := archive.WriteHeader(&tar.Header{Name: f.Name, Mode: 0o600, Size: int64(len(f.Data))}); err != nil {
			t.Fatal(err)
		}
		if _, err := archive.Write(f.Data); err != nil {
			t.Fatal(err)
		}
	}
	if err := archive.Close(); err != nil {
		t.Fatal(err)
	}
	if err := zipped.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// TestCharts renders charts with what Helm knows beside templates: .helmignore, schemas of
// values, packed dependencies, tests.
func TestCharts(t *testing.T) {
	t.Parallel()
	r := renderer(t)
	for _, c := range chartsOfOurs(t) {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			req := Request{Source: spec.Source{Kind: spec.Helm, Path: "chart"}, Release: "shop", Namespace: environment, Files: c.files}
			got, err := r.Render(t.Context(), req)
			if c.refused != "" {
				if fault.CodeOf(err) != fault.Invalid || err.Error() != c.refused {
					t.Errorf("got  %v\nwant %s", err, c.refused)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(parsed(t, documents(c.want)), parsed(t, got.Documents)); diff != "" {
				t.Errorf("rendered otherwise (-want +got):\n%s", diff)
			}
			if said, _ := outcome(t, r, req); !strings.Contains(said, c.told) {
				t.Errorf("it is not told that %q:\n%s", c.told, said)
			}
		})
	}
}

// parsed are the documents that are no comment alone.
func parsed(t *testing.T, documents []string) []any {
	t.Helper()
	var out []any
	for _, d := range documents {
		var one any
		if err := yaml.Unmarshal([]byte(d), &one); err != nil {
			t.Fatalf("%v in\n%s", err, d)
		}
		if one != nil {
			out = append(out, one)
		}
	}
	return out
}

// TestPackedTooLarge refuses a packed dependency that would unpack to more than anybody
// vendors, a small file as it is, and one that means to be unpacked elsewhere.
func TestPackedTooLarge(t *testing.T) {
	t.Parallel()
	const half = maxUnpacked/2 + 1
	meta := txtar.File{Name: "store/Chart.yaml", Data: []byte("apiVersion: v2\nname: store\nversion: 1.0.0\n")}
	large := txtar.File{Name: "store/large.txt", Data: make([]byte, half)}
	r := renderer(t)
	for name, c := range map[string]struct {
		files map[string][]byte
		want  string
	}{
		"one":            {map[string][]byte{"a.tgz": pack(t, []txtar.File{meta, large, large})}, "the packed chart charts/a.tgz holds more than there is room for: all of them together may hold 64 MiB"},
		"two":            {map[string][]byte{"a.tgz": pack(t, []txtar.File{meta, large}), "b.tgz": pack(t, []txtar.File{meta, large})}, "the packed chart charts/b.tgz holds more"},
		"of an unpacked": {map[string][]byte{"a/Chart.yaml": meta.Data, "a/charts/b.tgz": pack(t, []txtar.File{meta, large, large})}, "the packed chart charts/a/charts/b.tgz holds more"},
		"one in another": {map[string][]byte{"a.tgz": pack(t, []txtar.File{meta, {Name: "store/charts/b.tgz", Data: pack(t, []txtar.File{meta, large, large})}})}, "the packed chart charts/a.tgz holds more"},
		"holes":          {map[string][]byte{"a.tgz": sparse(t, 1<<40)}, "the packed chart charts/a.tgz holds more"},
		"a way out":      {map[string][]byte{"a.tgz": pack(t, []txtar.File{meta, {Name: "../../x.yaml", Data: []byte("a: 1\n")}})}, "illegally"},
		"no archive":     {map[string][]byte{"a.tgz": []byte("nothing")}, "error unpacking a.tgz in shop"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			files := map[string][]byte{"chart/Chart.yaml": []byte("apiVersion: v2\nname: shop\nversion: 1.0.0\n")}
			for file, content := range c.files {
				files["chart/charts/"+file] = content
			}
			_, err := r.Render(t.Context(), Request{Source: spec.Source{Kind: spec.Helm, Path: "chart"}, Release: "shop", Namespace: environment, Files: files})
			if fault.CodeOf(err) != fault.Invalid || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

// sparse is an archive of one file that is all holes, size bytes of them, as GNU tar writes
// it; Go's own writer does not.
func sparse(t *testing.T, size int64) []byte {
	t.Helper()
	block := make([]byte, 512)
	put := func(at int, text string) { copy(block[at:], text) }
	put(0, "store/Chart.yaml")
	put(100, "0000600\x00")
	put(108, "0000000\x00")
	put(116, "0000000\x00")
	put(124, "00000000000\x00")
	put(136, "00000000000\x00")
	put(148, "        ")
	block[156] = 'S'
	put(257, "ustar  \x00")
	block[483] = 0x80 // the real size in base 256
	binary.BigEndian.PutUint64(block[487:], uint64(size))
	sum := 0
	for _, b := range block {
		sum += int(b)
	}
	put(148, fmt.Sprintf("%06o\x00 ", sum))
	var out bytes.Buffer
	zipped := gzip.NewWriter(&out)
	if _, err := zipped.Write(append(block, make([]byte, 1024)...)); err != nil {
		t.Fatal(err)
	}
	if err := zipped.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}
