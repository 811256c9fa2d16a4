package render

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/idp-bot/idp/gitops/inplace"
)

// TestUpdateIsRecorded: where values in files of others are written there is idp's record and
// no object, and what was written is read from it.
func TestUpdateIsRecorded(t *testing.T) {
	t.Parallel()
	for _, service := range []string{"web", ""} {
		in := staging(t)
		in.Ref.Service = service
		in.Update = &RecordedUpdate{}
		if service != "" {
			in.Update = &RecordedUpdate{Application: "web-staging", Fields: []inplace.Write{
				{Field: inplace.Field{File: "apps/web.yaml", Object: "Deployment/web", Field: "spec.x[name=web].image", Set: inplace.Image}, Value: "x@sha256:1"},
			}}
		}
		files, err := Environment(in)
		if err != nil || len(files) != 1 || files[0].Path != in.Ref.RecordPath() {
			t.Fatalf("%q is rendered to %v, %v", service, files, err)
		}
		record, err := ParseRecord(files[0].Content)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(in.Update, record.Update); diff != "" || len(record.Hosts) > 0 {
			t.Errorf("it reads back as %s, with hosts %v", diff, record.Hosts)
		}
	}
}

func TestRecordsOfUpdatesRefused(t *testing.T) {
	t.Parallel()
	in := staging(t)
	in.Ref.Service = "web"
	write := inplace.Write{Field: inplace.Field{File: "apps/web.yaml", Field: "image", Set: inplace.Image}, Value: "x"}
	in.Update = &RecordedUpdate{Application: "web-staging", Fields: []inplace.Write{write}}
	files, err := Environment(in)
	if err != nil {
		t.Fatal(err)
	}
	for was, is := range map[string]string{
		"apps/web.yaml": "../web.yaml", "field: image": "field: a..b", "application: web-staging": "application: Web_staging", "apps/web": "platform/web",
	} {
		broken := strings.Replace(string(files[0].Content), was, is, 1)
		if _, err := ParseRecord([]byte(broken)); err == nil || broken == string(files[0].Content) {
			t.Errorf("%s in the place of %s is taken", is, was)
		}
	}
}
