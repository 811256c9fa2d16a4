package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"go.yaml.in/yaml/v4"
)

// maxConfigFile is the most that is read of a configuration file, in bytes.
const maxConfigFile = 1 << 20

// setting is the text of one key and where it came from: "flag --listen",
// "environment IDP_LISTEN", "idp.yaml:3:9" or "default".
type setting struct{ text, origin string }

// problem is one thing that is wrong with the configuration.
type problem struct {
	// Key is the key concerned, "" for the file as a whole.
	Key string
	// Origin is where the value came from, as in setting.
	Origin string
	mistake
}

// String returns "key (origin): why: fix".
func (p problem) String() string {
	head := p.Origin
	if p.Key != "" {
		head = fmt.Sprintf("%s (%s)", p.Key, p.Origin)
	}
	return fmt.Sprintf("%s: %s: %s", head, p.why, p.fix)
}

// readConfigFile reads the file's keys: one YAML mapping from keys to scalars, or
// to sequences of scalars for lists. The text of a scalar is taken as it stands,
// so that no YAML reader's idea of "no" or "1e3" comes between.
func readConfigFile(path string) (map[string]setting, []problem) {
	whole := func(why, fix string) (map[string]setting, []problem) {
		return nil, []problem{{Origin: path, mistake: mistake{why, fix}}}
	}
	file, err := os.Open(path)
	if err != nil {
		return whole(reason(err), "check --config")
	}
	defer file.Close()
	content, err := io.ReadAll(io.LimitReader(file, maxConfigFile+1))
	if err != nil {
		return whole(reason(err), "check --config")
	}
	if len(content) > maxConfigFile {
		return whole("it is larger than 1 MiB", "this is not a configuration file of idp")
	}
	decoder := yaml.NewDecoder(strings.NewReader(string(content)))
	var document yaml.Node
	switch err := decoder.Decode(&document); {
	case errors.Is(err, io.EOF):
		return nil, nil // An empty file sets nothing.
	case err != nil:
		return whole(strings.TrimPrefix(err.Error(), "yaml: "), "write one \"key: value\" a line")
	}
	if err := decoder.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		return whole("it holds more than one document", "keep one, and no --- lines")
	}
	return readKeys(path, document.Content[0])
}

// readKeys reads the top-level mapping.
func readKeys(path string, root *yaml.Node) (map[string]setting, []problem) {
	fields, names := fieldsByKey()
	settings := map[string]setting{}
	var problems []problem
	report := func(key string, n *yaml.Node, why, fix string) {
		problems = append(problems, problem{Key: key, Origin: place(path, n), mistake: mistake{why, fix}})
	}
	if root.Kind != yaml.MappingNode {
		report("", root, "the file is not a mapping", "write one \"key: value\" a line")
		return nil, problems
	}
	for i := 0; i+1 < len(root.Content); i += 2 {
		name, value := root.Content[i], root.Content[i+1]
		field, known := fields[name.Value]
		earlier, repeated := settings[name.Value]
		switch {
		case !known:
			report(name.Value, name, "unknown key", didYouMean(name.Value, names))
		case repeated:
			report(name.Value, name, "the key is repeated", "keep one of them; the first is at "+earlier.origin)
		default:
			text, m := nodeText(field, value)
			if m != nil {
				report(name.Value, value, m.why, m.fix)
			}
			settings[name.Value] = setting{text, place(path, value)}
		}
	}
	return settings, problems
}

// nodeText returns the text of a key's value; a sequence's items are joined by
// commas, which no item of ours may hold.
func nodeText(field configField, n *yaml.Node) (string, *mistake) {
	if field.List() && n.Kind == yaml.SequenceNode {
		items := make([]string, len(n.Content))
		for i, item := range n.Content {
			if item.Kind != yaml.ScalarNode || item.Anchor != "" || strings.Contains(item.Value, ",") {
				return "", &mistake{"an item of the list is not a plain value", "write one value without commas an item"}
			}
			items[i] = item.Value
		}
		return strings.Join(items, ","), nil
	}
	if n.Kind != yaml.ScalarNode || n.Anchor != "" {
		return "", &mistake{"this is not a plain value", "write it on the key's line, without anchors or nesting"}
	}
	if n.ShortTag() == "!!null" {
		return "", &mistake{"the key has no value", "give it one, or remove the key to have its default"}
	}
	return n.Value, nil
}

// fieldsByKey returns the fields by their keys, and the keys in order.
func fieldsByKey() (map[string]configField, []string) {
	byKey, names := map[string]configField{}, []string{}
	for _, f := range configFields() {
		byKey[f.Key] = f
		names = append(names, f.Key)
	}
	return byKey, names
}

func place(path string, n *yaml.Node) string { return fmt.Sprintf("%s:%d:%d", path, n.Line, n.Column) }

func didYouMean(word string, known []string) string {
	if near := nearest(word, known); near != "" {
		return fmt.Sprintf("did you mean %q?", near)
	}
	return "\"idp serve --help\" lists all keys"
}

// reason is err without the operation and the path that an os error repeats.
func reason(err error) string {
	if p, ok := errors.AsType[*os.PathError](err); ok {
		return p.Err.Error()
	}
	return err.Error()
}
