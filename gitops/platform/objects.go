package platform

import (
	"encoding/json"
	"slices"
)

// ObjectsDir is the folder of the files that classes take their base objects from.
const ObjectsDir = Dir + "/objects"

// BaseObjects are the Kubernetes objects of one file that a class gives environments beside
// what idp makes, such as a disposable database or what fetches a secret.
type BaseObjects struct {
	// File is where they stand, such as "platform/objects/database.yaml".
	File string
	// For are the trust classes that get them.
	For []Trust
	// EnvFrom is what containers of services take environment variables from; its zero
	// value is nothing.
	EnvFrom EnvFrom `json:",omitzero"`
	Objects []BaseObject
}

// EnvFrom is a ConfigMap or a Secret of one file of base objects.
type EnvFrom struct {
	Name string
	// Secret says that it is a Secret, which an object of the file makes.
	Secret bool
}

// BaseObject is one Kubernetes object, checked and without a namespace.
type BaseObject struct {
	APIVersion, Kind, Name string
	// Secret says in a few words what it has to do with a secret, "" for nothing.
	Secret string
	// Content is the whole object as JSON, as it stands in the file.
	Content json.RawMessage
}

// Secret says whether there is a secret among them, or to be had from them.
func (o BaseObjects) Secret() bool {
	return o.EnvFrom.Secret || slices.ContainsFunc(o.Objects, func(one BaseObject) bool { return one.Secret != "" })
}

// GivenTo says whether code of a trust gets them. Whatever For says, secrets are for
// nobody whose code nobody reviewed.
func (o BaseObjects) GivenTo(t Trust) bool {
	return slices.Contains(o.For, t.orLeast()) && (t.Secrets() || !o.Secret())
}

// Withheld says whether the class has secrets that code of a trust does not get.
func (c Class) Withheld(t Trust) bool {
	return slices.ContainsFunc(c.Objects, func(o BaseObjects) bool { return o.Secret() && !o.GivenTo(t) })
}

// ObjectKinds returns the "apiVersion/kind" of the class's base objects, sorted, for
// AppProjects to allow.
func (c Class) ObjectKinds() []string {
	var kinds []string
	for _, entry := range c.Objects {
		for _, o := range entry.Objects {
			kinds = append(kinds, o.APIVersion+"/"+o.Kind)
		}
	}
	slices.Sort(kinds)
	return slices.Compact(kinds)
}
