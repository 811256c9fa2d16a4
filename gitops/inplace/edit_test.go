package inplace_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	kyaml "sigs.k8s.io/kustomize/kyaml/yaml"
	k8syaml "sigs.k8s.io/yaml"

	"github.com/idp-bot/idp/gitops/inplace"
)

const digest = "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"

// corpus are files as teams write them. What is between « and » is to be replaced.
var corpus = []struct {
	name, object, field, file string
}{
	{"a chart's values", "", "image.tag", "# Values of web.\nreplicas:   2\n\n\nimage: # ours\n    repository: ghcr.io/acme/web\n    tag: «v1»   # set by idp\n"},
	{"single quotes", "", "image.tag", "image:\n  tag: «'it''s'»\n  pullPolicy: Always\n"},
	{"double quotes with escapes", "", "image.tag", "image: {pullPolicy: Always, tag: «\"v\\\"1\\\\\"» , x: 'y'}\n"},
	{"empty text", "", "image.tag", "image:\n  tag: «\"\"»\n"},
	{"flow style", "", "image.tag", "{image: {tag: «v1», list: [a, b,   c]}, other:   x}\n"},
	{"a flow mapping over lines", "", "image.tag", "image: {\n  # here\n  tag: «v1», # and here\n  a: b }\n"},
	{"Windows line ends", "", "image.tag", "# hé\r\nimage:\r\n  name: wéb\r\n  tag: «v1»\r\n"},
	{"no line end at the end", "", "tag", "a: b\ntag: «v1»"},
	{"a byte order mark", "", "tag", "\ufefftag: «v1»\nb: c\n"},
	{"a number", "", "tag", "tag: «1.20»\nother: 1.20\n"},
	{"unindented lists", "", "images[name=ghcr.io/acme/web].newTag", "resources:\n- ../base\nimages:\n- name: ghcr.io/acme/api\n  newTag: a\n- name: ghcr.io/acme/web\n  newTag: «b» # web\n"},
	{"odd indentation", "", "spec.template.spec.containers[name=web].image", "spec:\n     template:\n        spec:\n          containers:\n                -    name: web\n                     image:    «ghcr.io/acme/web:v1»\n                -    {name: sidecar, image: x}\n"},
	{"several documents", "Deployment/web", "spec.image", "---\nkind: Service\nmetadata: {name: web}\nspec: {image: no}\n---\n# the one\nkind: Deployment\nmetadata:\n  name: web\nspec:\n  image: «v1»\n...\n---\nkind: Deployment\nmetadata: {name: api}\nspec: {image: no}\n"},
	{"anchors beside it", "", "web.tag", "common: &common {a: b, tag: x}\nweb:\n  <<: *common\n  tag: «v1»\napi: *common\n"},
	{"a key with dots", "", `metadata.annotations["example.com/version"]`, "metadata:\n  annotations:\n    example.com/version: «v1»\n    \"example.com/other\": v1\n"},
	{"wide characters before it", "", "tag", "日本: \"語\" # ☃\n{}: x\n\"tag\":   «v1»\n"},
	{"the same text before it", "", "b.tag", "a: {tag: v1}\n# tag: v1\nb: {x: tag, tag: «v1»}\n"},
	{"tabs before a comment", "", "tag", "tag: «v1»\t# x\t\nother:\n- \"a\tb\"\n"},
	{"a block of text beside it", "", "tag", "text: |\n  tag: v0\n    indented\n\ntag: «v1»\nfolded: >-\n  a\n  b\n"},
	{"an empty document before it", "", "tag", "# only words\n---\ntag: «v1»\n"},
	{"a quoted key", "", "image.tag", "'image':\n  ? tag\n  : «v1»\n"},
	{"a block of comments", "", "tag", "# a\n\n# b\ntag: «v1»\n# c\n\n# d\n"},
}

// unmarked returns a file of the corpus, and what is before and after what is replaced.
func unmarked(file string) (content []byte, before, after string) {
	before, rest, _ := strings.Cut(file, "«")
	old, after, _ := strings.Cut(rest, "»")
	return []byte(before + old + after), before, after
}

func TestEditReplacesNothingElse(t *testing.T) {
	for _, value := range []string{"v2", "1234567", "1e10", "null", "yes", "190:20:30", "0123", "ghcr.io/acme/web@" + digest, "3f2c1a@" + digest, digest} {
		for _, c := range corpus {
			content, before, after := unmarked(c.file)
			w := inplace.Write{Field: inplace.Field{File: "f.yaml", Object: c.object, Field: c.field}, Value: value}
			got, err := inplace.Edit(content, w)
			if err != nil {
				t.Errorf("%s, %s: %v", c.name, value, err)
				continue
			}
			if !strings.HasPrefix(string(got), before) || !strings.HasSuffix(string(got), after) {
				t.Errorf("%s, %s: more than the value differs:\n%s", c.name, value, got)
			}
			if written := strings.TrimSuffix(strings.TrimPrefix(string(got), before), after); strings.Trim(written, `'"`) != value {
				t.Errorf("%s: wrote %s, want %s", c.name, written, value)
			}
			if read, err := inplace.Read(got, w.Field); err != nil || read != value {
				t.Errorf("%s: reads %q after that, %v, want %q", c.name, read, err, value)
			}
			if again, err := inplace.Edit(got, w); err != nil || !bytes.Equal(again, got) {
				t.Errorf("%s: a second edit gave %q, %v, want no change", c.name, again, err)
			}
		}
	}
}

// TestKubernetesReadsText holds that the readers of Kubernetes, Helm and Kustomize take
// what is written for text, whatever it looks like.
func TestKubernetesReadsText(t *testing.T) {
	for _, value := range []string{"1234567", "1e10", "null", "yes", "on", "y", "0x1f", "0123", "1_000", "5.", "true", "2026-11-30", "v2", digest} {
		got, err := inplace.Edit([]byte("tag: v1\n"), inplace.Write{Field: inplace.Field{Field: "tag"}, Value: value})
		if err != nil {
			t.Errorf("%s: %v", value, err)
			continue
		}
		var read map[string]any
		if err := k8syaml.Unmarshal(got, &read); err != nil || read["tag"] != value {
			t.Errorf("%q is read as %#v, %v, want the text %q", got, read["tag"], err, value)
		}
	}
}

func TestEditRefuses(t *testing.T) {
	for _, c := range []struct {
		name, object, field, file, want string
	}{
		{"no such key", "", "image.tag", "image:\n  repository: x\n  pullPolicy: y\n", `f.yaml:2:3: image has no key "tag": it has repository, pullPolicy`},
		{"no such item", "", "images[name=web].newTag", "images:\n- name: api\n", `f.yaml:2:1: images has no item with name "web": it has api`},
		{"two such items", "", "images[name=web].newTag", "images:\n- {name: web, newTag: a}\n- {name: web, newTag: b}\n", `f.yaml:3:3: images has two items with name "web"`},
		{"no list", "", "images[name=web].newTag", "images: x\n", "f.yaml:1:9: images is a single value, and has no items"},
		{"a list", "", "images.tag", "images: [x]\n", `f.yaml:1:9: images is a list, and has no key "tag"`},
		{"a mapping", "", "image", "image: {tag: x}\n", "f.yaml:1:8: image is a mapping, and no value"},
		{"nothing", "", "image.tag", "image:\n  tag:\n", "f.yaml:2:7: image.tag is empty"},
		{"an alias", "", "image.tag", "x: &t v1\nimage:\n  tag: *t\n", "f.yaml:3:8: image.tag is an alias: *t stands somewhere else, for others too"},
		{"an alias above", "", "image.tag", "x: &i {tag: v1}\nimage: *i\n", "f.yaml:2:8: image is an alias: *i stands somewhere else, for others too"},
		{"an anchor", "", "image.tag", "image:\n  tag: &t v1\nx: *t\n", "f.yaml:2:8: image.tag is anchored: every *t would change with it"},
		{"an anchor above", "", "image.tag", "image: &i\n  tag: v1\nx: *i\n", "image is anchored: every *i would change with it"},
		{"merged from elsewhere", "", "image.tag", "x: &i {tag: v1}\nimage:\n  <<: *i\n", `f.yaml:3:3: image has no key "tag": it has <<`},
		{"a tag", "", "tag", "tag: !!str v1\n", "f.yaml:1:6: tag has a tag of its own"},
		{"a block", "", "tag", "tag: |-\n  v1\n", "f.yaml:1:6: tag is a block of text"},
		{"text over lines", "", "tag", "tag: v1\n  more\n", "f.yaml:1:6: tag is written in a way that idp does not replace"},
		{"quotes over lines", "", "tag", "tag: \"v1\n  more\"\n", "f.yaml:1:6: tag is written in a way that idp does not replace"},
		{"twice", "", "image.tag", "image:\n  tag: a\n  tag: b\n", `stands twice`},
		{"several documents", "", "tag", "tag: a\n---\ntag: b\n", "f.yaml: it has 2 documents, and nothing says which is meant"},
		{"no such object", "Deployment/web", "tag", "kind: Service\nmetadata: {name: web}\n---\ntag: b\n", "f.yaml: it has no object Deployment/web: it has Service/web, /"},
		{"two such objects", "A/b", "tag", "kind: A\nmetadata: {name: b}\n---\nkind: A\nmetadata: {name: b}\n", "f.yaml:4:1: object A/b stands twice"},
		{"an empty file", "", "tag", "# nothing\n", "f.yaml: it is empty"},
		{"no YAML", "", "tag", "a: b\n  c: [\n", "f.yaml:2:4: it is not valid YAML"},
		{"a conflict that was committed", "", "tag", "a: b\n<<<<<<< HEAD\ntag: v1\n=======\ntag: v2\n>>>>>>> x\n", "f.yaml:3:1: it is not valid YAML"},
		{"no text", "", "tag", "tag: \xff\n", "f.yaml: it is not UTF-8 text"},
		{"a large file", "", "tag", "tag: v1\n" + strings.Repeat("#\n", inplace.MaxFile/2), "and files of up to 1048576 are edited"},
		{"no path", "", "a..b", "a: b\n", `f.yaml: field "a..b" is no path: a key is empty`},
	} {
		_, err := inplace.Edit([]byte(c.file), inplace.Write{Field: inplace.Field{File: "f.yaml", Object: c.object, Field: c.field}, Value: "v2"})
		wrong, ok := errors.AsType[*inplace.Error](err)
		if !ok || !strings.Contains(wrong.Error(), c.want) {
			t.Errorf("%s: error %v, want one with %q", c.name, err, c.want)
		}
	}
	if _, err := inplace.Edit([]byte("tag: v1\n"), inplace.Write{Field: inplace.Field{Field: "tag"}, Value: "a\nb: c"}); err == nil {
		t.Error("a value of two lines was written")
	}
}

// TestKyamlReformats is why an edit does not go through an encoder.
func TestKyamlReformats(t *testing.T) {
	kept := 0
	for _, c := range corpus {
		content, _, _ := unmarked(c.file)
		node, err := kyaml.Parse(string(content))
		if err != nil {
			continue
		}
		if text, err := node.String(); err == nil && text == string(content) {
			kept++
		}
	}
	if kept > len(corpus)/2 {
		t.Errorf("kyaml keeps %d of %d files as they are: use it", kept, len(corpus))
	}
}

func TestParsePath(t *testing.T) {
	for _, c := range []struct{ path, want string }{
		{"image.tag", ""}, {`a["b.c"].d`, ""}, {"a[name=ghcr.io/x/y].b", ""}, {`["a.b"].c`, ""},
		{"", "expected 1 to 512 characters"}, {strings.Repeat("a", 513), "expected 1 to 512 characters"},
		{".a", "a key is empty"}, {"a.", "a key is empty"}, {"a[0].b", "[0] selects nothing"}, {"a[name=web]", "it ends with an item"},
		{"a[name=web]b", `expected "." or "["`}, {"a[name", "is not closed"}, {`a["b]`, `expected a key and "]`}, {"a b", "is no key"}, {"*", "is no key"},
		{"a[=x].b", "selects nothing"}, {strings.Repeat("a.", 20) + "a", "more than 20 levels"},
	} {
		_, err := inplace.ParsePath(c.path)
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("ParsePath(%.40q) = %v, want %q", c.path, err, c.want)
		}
	}
}

func TestValue(t *testing.T) {
	const sha = "3f2c1a0000000000000000000000000000000000"
	for _, c := range []struct {
		set               inplace.Set
		reference, digest string
		want, err         string
	}{
		{inplace.Image, "host:5000/acme/web:v1", digest, "host:5000/acme/web@" + digest, ""},
		{inplace.Image, "acme/web:v1", "", "acme/web:v1", ""},
		{inplace.Repository, "host:5000/acme/web:v1", digest, "host:5000/acme/web", ""},
		{inplace.Tag, "host:5000/acme/web:v1", digest, "v1", ""},
		{inplace.Tag, "host:5000/acme/web", digest, "", "has none that is known"},
		{inplace.Digest, "acme/web:v1", digest, digest, ""},
		{inplace.Digest, "acme/web:v1", "", "", "the image's digest, and acme/web:v1 has none that is known"},
		{inplace.TagDigest, "acme/web:v1", digest, "v1@" + digest, ""},
		{inplace.TagDigest, "acme/web:v1", "", "", "the image's digest"},
		{inplace.TagDigest, "acme/web", digest, "", "the image's tag"},
		{inplace.Commit, "acme/web:v1", "", sha, ""},
		{inplace.Tag, "acme/web:v 1", "", "", "cannot hold"},
		{"else", "acme/web:v1", digest, "", "cannot hold"},
	} {
		got, err := inplace.Field{File: "f.yaml", Field: "x", Set: c.set}.Value(c.reference, c.digest, sha)
		if got != c.want || (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
			t.Errorf("%s of %s@%s = %q, %v, want %q, %q", c.set, c.reference, c.digest, got, err, c.want, c.err)
		}
	}
}
