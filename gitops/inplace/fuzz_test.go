package inplace_test

import (
	"bytes"
	"testing"

	"github.com/idp-bot/idp/gitops/figure"
	"github.com/idp-bot/idp/gitops/inplace"
	"pgregory.net/rapid"
)

// FuzzEdit edits what somebody else wrote: it is refused, or it is as it was but for one
// run of bytes, which reads as the value.
func FuzzEdit(f *testing.F) {
	for _, c := range corpus {
		content, _, _ := unmarked(c.file)
		f.Add(content, c.object, c.field, "v2")
	}
	f.Add([]byte("a: &a [*a]\nb: *a\n"), "", "b.c", "v2")
	f.Add([]byte("? [a, b]\n: {c: d}\n'tag': !x y\n"), "", "tag", "1e3")
	f.Add([]byte("tag: v1\u2028x: y\u0085z: w\rq: r"), "", "q", "v2")
	f.Fuzz(func(t *testing.T, content []byte, object, field, value string) {
		edited(t, content, inplace.Write{Field: inplace.Field{File: "f.yaml", Object: object, Field: field}, Value: value})
	})
}

// edited edits, and holds what came out to what went in.
func edited(t interface{ Errorf(string, ...any) }, content []byte, w inplace.Write) (ok bool) {
	was := bytes.Clone(content)
	got, err := inplace.Edit(content, w)
	if !bytes.Equal(content, was) {
		t.Errorf("%q was changed in place", was)
	}
	if err != nil {
		return false
	}
	if read, err := inplace.Read(got, w.Field); err != nil || read != w.Value {
		t.Errorf("%q of %q reads %q, %v, want %q", w.Field.Field, got, read, err, w.Value)
	}
	old, err := inplace.Read(content, w.Field)
	if err != nil {
		t.Errorf("%q was edited, and cannot be read: %v", content, err)
	}
	// The value before brings back the file before, but for its quotes.
	back, err := inplace.Edit(got, inplace.Write{Field: w.Field, Value: old})
	if err == nil {
		head, tail := shared(content, back)
		if cut := content[head : len(content)-tail]; len(cut) > len(old)+2 {
			t.Errorf("%q came back as %q", content, back)
		}
	}
	head, tail := shared(content, got)
	if now := got[head : len(got)-tail]; len(now) > len(w.Value)+2 {
		t.Errorf("more than the value differs: %q became %q", content, got)
	}
	return true
}

// shared is how many bytes two files begin and end with alike.
func shared(a, b []byte) (head, tail int) {
	most := min(len(a), len(b))
	for head < most && a[head] == b[head] {
		head++
	}
	for tail < most-head && a[len(a)-1-tail] == b[len(b)-1-tail] {
		tail++
	}
	return head, tail
}

// TestEditsOfDrawnFiles composes files of what teams write, and edits them.
func TestEditsOfDrawnFiles(t *testing.T) {
	n := 0
	rapid.Check(t, func(t *rapid.T) {
		end := rapid.SampledFrom([]string{"\n", "\r\n"}).Draw(t, "line end")
		indent := rapid.SampledFrom([]string{"  ", "    ", " "}).Draw(t, "indentation")
		noise := rapid.SliceOfN(rapid.SampledFrom([]string{"# é comment", "", "other: [a,  b]", "more: &m {x: 'y'}", "text: |" + end + indent + "tag: no", "last: *m", "n: 1_000 # odd"}), 0, 4)
		old := rapid.SampledFrom([]string{"v1", "'v1'", `"v1"`, "1.20", `"\u00e9"`, "latest # here", "~x", `'a''b'`}).Draw(t, "old")
		value := rapid.StringMatching(`[A-Za-z0-9_][A-Za-z0-9_.:/@+-]{0,20}`).Draw(t, "value")
		var file string
		seen := map[string]bool{"last: *m": true}
		add := func(lines []string) {
			for _, line := range lines {
				if line != "" && line[0] != '#' && seen[line] {
					continue
				}
				seen[line] = true
				file += line + end
			}
		}
		add(noise.Draw(t, "before"))
		file += "image:" + end + indent + "tag: " + old + end
		add(noise.Draw(t, "after"))
		w := inplace.Write{Field: inplace.Field{File: "f.yaml", Field: "image.tag"}, Value: value}
		if !edited(t, []byte(file), w) {
			t.Errorf("refused: %q", file)
		}
		n++
	})
	figure.Tell(t, "%d files of teams edited: nothing differs but the value", n)
}
