package platform

import (
	_ "embed"
	"slices"
)

//go:generate go test -run TestSchemasAreGenerated . -update

var (
	//go:embed environments.schema.json
	environmentsSchema []byte
	//go:embed class.schema.json
	classSchema []byte
	//go:embed teams.schema.json
	teamsSchema []byte
	//go:embed charts.schema.json
	chartsSchema []byte
)

// EnvironmentsSchema returns the JSON Schema (draft-07) of
// platform/environments.yaml, generated from the types that Load decodes into.
func EnvironmentsSchema() []byte { return slices.Clone(environmentsSchema) }

// ClassSchema returns the JSON Schema (draft-07) of a file of platform/classes.
func ClassSchema() []byte { return slices.Clone(classSchema) }

// TeamsSchema returns the JSON Schema (draft-07) of platform/teams.yaml.
func TeamsSchema() []byte { return slices.Clone(teamsSchema) }

// ChartsSchema returns the JSON Schema (draft-07) of platform/charts.yaml.
func ChartsSchema() []byte { return slices.Clone(chartsSchema) }
