package policy

import (
	"encoding/json"
	"errors"
	"fmt"
)

// Take names a preview that a policy lets go for the one that it would refuse otherwise.
type Take struct {
	// Scope is the one that is full: "repository", "team" or "author".
	Scope string
	// RepositoryID and Environment are the preview's.
	RepositoryID int64
	Environment  string
}

// takeOf reads "take" of a result, or of its "metadata"; nil where there is none. Nothing
// goes on half a word: whatever is not just as it has to be is an error.
func takeOf(result map[string]any) (*Take, error) {
	value, given := result["take"]
	if metadata, ok := result["metadata"].(map[string]any); ok && !given {
		value, given = metadata["take"]
	}
	if !given {
		return nil, nil
	}
	fields, ok := value.(map[string]any)
	if !ok || len(fields) != 3 {
		return nil, errors.New("take in its result: expected {scope, repository_id, environment} and nothing else")
	}
	var t Take
	id, isNumber := fields["repository_id"].(json.Number)
	t.Scope, _ = fields["scope"].(string)
	t.Environment, _ = fields["environment"].(string)
	t.RepositoryID, _ = id.Int64()
	switch {
	case t.Scope != "repository" && t.Scope != "team" && t.Scope != "author":
		return nil, fmt.Errorf("take.scope in its result is %v: expected repository, team or author", fields["scope"])
	case !isNumber || t.RepositoryID <= 0:
		return nil, fmt.Errorf("take.repository_id in its result is %v: expected the number of a repository", fields["repository_id"])
	case t.Environment == "":
		return nil, fmt.Errorf("take.environment in its result is %v: expected the name of a preview", fields["environment"])
	}
	return &t, nil
}
