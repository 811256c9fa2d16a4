package spec

import (
	"bytes"
	"encoding/json"
	"strings"

	"go.yaml.in/yaml/v4"
	k8syaml "sigs.k8s.io/yaml"
)

// agree reports where Kubernetes' reader sees another document than ours does.
// Scalars were held to that one by one; what is left are differences in grammar,
// such as "[:a]", "[-:a]" and "\/", in files that are otherwise right.
func (s *source) agree(data []byte, root *yaml.Node) {
	asJSON, err := k8syaml.YAMLToJSON(data)
	if err != nil {
		s.add(Error{Line: s.refusedLine(), Column: 1, Kind: KindSyntax,
			Message: "not every YAML reader takes this line: put its values in quotes, without unusual escapes"})
		return
	}
	var theirs any
	reader := json.NewDecoder(bytes.NewReader(asJSON))
	reader.UseNumber()
	if err := reader.Decode(&theirs); err != nil {
		s.add(Error{Line: 1, Column: 1, Kind: KindSyntax, Message: "YAML readers disagree on the file: " + err.Error()})
		return
	}
	if n := disagreement(root, theirs); n != nil {
		s.add(Error{Line: n.Line, Column: n.Column, EndLine: lastLine(n), Kind: KindNotation,
			Message: "YAML readers disagree on what stands here: put it in quotes"})
	}
}

// refusedLine returns the line at which Kubernetes' reader first refuses what ours
// takes. The line in its message is often another, so prefixes are tried, as many
// as a real file has lines.
func (s *source) refusedLine() int {
	const most = 200
	for i := range min(len(s.lines), most) {
		prefix := []byte(strings.Join(s.lines[:i+1], "\n"))
		var ignored yaml.Node
		if _, err := k8syaml.YAMLToJSON(prefix); err != nil && yaml.Load(prefix, &ignored) == nil {
			return i + 1
		}
	}
	return 1
}

// disagreement returns the first node that is not what the other reader made of
// it, nil when all are.
func disagreement(ours *yaml.Node, theirs any) *yaml.Node {
	switch theirs := theirs.(type) {
	case map[string]any:
		if ours.Kind != yaml.MappingNode || len(ours.Content) != 2*len(theirs) {
			return ours
		}
		for i := 0; i+1 < len(ours.Content); i += 2 {
			value, ok := theirs[ours.Content[i].Value]
			if !ok {
				return ours.Content[i]
			}
			if n := disagreement(ours.Content[i+1], value); n != nil {
				return n
			}
		}
	case []any:
		if ours.Kind != yaml.SequenceNode || len(ours.Content) != len(theirs) {
			return ours
		}
		for i := range theirs {
			if n := disagreement(ours.Content[i], theirs[i]); n != nil {
				return n
			}
		}
	case string:
		if ours.Kind != yaml.ScalarNode || ours.Value != theirs {
			return ours
		}
	default:
		text, err := json.Marshal(theirs)
		if err != nil || ours.Kind != yaml.ScalarNode || !strings.EqualFold(string(text), ours.Value) {
			return ours
		}
	}
	return nil
}
