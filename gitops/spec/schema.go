package spec

import (
	_ "embed"
	"slices"
)

//go:generate go test -run TestSchemaIsGenerated . -update

//go:embed schema.json
var schema []byte

// Schema returns the JSON Schema (draft-07) of .idp/deploy.yaml, generated from
// the types that Parse decodes into. A document that Parse takes is valid against
// it; the reverse holds as far as JSON Schema can say what Parse checks.
func Schema() []byte { return slices.Clone(schema) }
