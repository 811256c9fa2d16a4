package spec

import (
	"bytes"
	"os"
	"path/filepath"
	"reflect"
	"testing"
)

// TestMarshal writes every valid file of the corpus, and reads back the same.
func TestMarshal(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/valid/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			raw, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			want, errs := Parse(Path, raw)
			if len(errs) > 0 {
				t.Fatal(errs)
			}
			text := Marshal(want)
			got, errs := Parse(Path, text)
			if len(errs) > 0 {
				t.Fatalf("%v\n%s", errs, text)
			}
			if !equalSpecs(got, want) {
				t.Errorf("got  %+v\nwant %+v\n%s", got, want, text)
			}
			if again := Marshal(got); !bytes.Equal(again, text) {
				t.Errorf("written otherwise:\n%s\n%s", text, again)
			}
		})
	}
}

// equalSpecs takes no list for the same as an empty one.
func equalSpecs(a, b *Spec) bool {
	if len(a.Services) != len(b.Services) || !sameFields(reflect.ValueOf(a.Preview), reflect.ValueOf(b.Preview)) {
		return false
	}
	for i := range a.Services {
		if !sameFields(reflect.ValueOf(a.Services[i]), reflect.ValueOf(b.Services[i])) {
			return false
		}
	}
	return true
}

func sameFields(a, b reflect.Value) bool {
	for i := range a.NumField() {
		if !alike(a.Field(i), b.Field(i)) {
			return false
		}
	}
	return true
}
