package render

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"unicode/utf8"

	"sigs.k8s.io/yaml"
)

// Marshal writes an object as YAML with sorted keys. It leaves out what
// Kubernetes' types write although nobody set it: the status, null values
// (creationTimestamp) and the empty structs of emptyByDefault.
func Marshal(object any) ([]byte, error) {
	raw, err := json.Marshal(object)
	if err != nil {
		return nil, fmt.Errorf("marshal object: %w", err)
	}
	var tree map[string]any
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.UseNumber() // integers stay integers
	if err := decoder.Decode(&tree); err != nil {
		return nil, fmt.Errorf("read marshalled object: %w", err)
	}
	delete(tree, "status")
	prune(tree)
	if raw, err = json.Marshal(tree); err != nil {
		return nil, fmt.Errorf("marshal object: %w", err)
	}
	out, err := yaml.JSONToYAML(unprintable.ReplaceAllFunc(raw, escape))
	if err != nil {
		return nil, fmt.Errorf("write object as yaml: %w", err)
	}
	return out, nil
}

// unprintable are the characters that JSON takes as they are and YAML does not
// (YAML 1.2, rule c-printable). In JSON they can only stand in strings.
var unprintable = regexp.MustCompile(`[\x{7f}-\x{9f}\x{fffe}\x{ffff}]`)

func escape(char []byte) []byte {
	r, _ := utf8.DecodeRune(char)
	return fmt.Appendf(nil, `\u%04x`, r)
}

// emptyByDefault are the structs without omitempty that are noise when empty.
// Others mean something when empty, such as podSelector and emptyDir.
var emptyByDefault = map[string]bool{
	"resources": true, "strategy": true, "metadata": true, "spec": true, "status": true,
	"analysisRunMetadata": true, "authentication": true, "oauth2": true, "sigv4": true,
}

func prune(value any) {
	switch value := value.(type) {
	case map[string]any:
		for key, child := range value {
			prune(child)
			fields, isMap := child.(map[string]any)
			if child == nil || isMap && len(fields) == 0 && emptyByDefault[key] {
				delete(value, key)
			}
		}
	case []any:
		for _, child := range value {
			prune(child)
		}
	}
}
