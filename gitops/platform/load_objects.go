package platform

import (
	"maps"
	"slices"
	"strings"

	"github.com/idp-bot/idp/gitops/spec"
)

// loadObjects returns the base objects that a class file names, and reports what is wrong
// with how it names them.
func (f *classFile) loadObjects(doc *spec.Document, files map[string]*objectFile) []BaseObjects {
	var out []BaseObjects
	count := 0
	for i, block := range f.Objects {
		at := spec.Index("objects", i)
		if block == nil || !doc.OK(spec.Join(at, "file")) {
			continue
		}
		file, there := files[block.File]
		if !there {
			doc.Suggest(spec.Join(at, "file"), spec.KindConflict, spec.Near(block.File, slices.Sorted(maps.Keys(files))), "there is no file %s", block.File)
			continue
		}
		entry := BaseObjects{File: block.File, Objects: file.objects}
		for j, word := range block.For {
			entry.For = append(entry.For, Trust(word))
			checkTrust(doc, spec.Index(spec.Join(at, "for"), j), Trust(word), file, slices.Contains(block.For[:j], word))
		}
		if block.EnvFrom != "" {
			entry.EnvFrom = resolveEnvFrom(doc, spec.Join(at, "env_from"), block.EnvFrom, file)
		}
		checkTwice(doc, spec.Join(at, "file"), entry, out)
		out = append(out, entry)
		if count += len(entry.Objects); count > maxObjects {
			doc.Report(at, spec.KindLimit, "the class has more than %d base objects", maxObjects)
			break
		}
	}
	return out
}

// checkTrust refuses to give a secret to code that nobody reviewed.
func checkTrust(doc *spec.Document, at string, t Trust, file *objectFile, again bool) {
	if again {
		doc.Report(at, spec.KindDuplicate, "%s is given twice", t)
	}
	if t.Secrets() {
		return
	}
	if i := slices.IndexFunc(file.objects, func(o BaseObject) bool { return o.Secret != "" }); i >= 0 {
		o := file.objects[i]
		doc.Report(at, spec.KindConflict, "code of a %s never gets a secret, whoever approves it, and %s %s %s (%s:%d): put that into a file of its own, for %s or %s alone",
			t, o.Kind, o.Name, o.Secret, file.path, file.lines[i], TrustDefaultBranch, TrustMember)
	}
}

// resolveEnvFrom finds the ConfigMap or Secret of a name in the file.
func resolveEnvFrom(doc *spec.Document, at, name string, file *objectFile) EnvFrom {
	secret := slices.Contains(file.secrets, name)
	switch configMap := slices.Contains(file.configMaps, name); {
	case secret && configMap:
		doc.Report(at, spec.KindConflict, "%s has a ConfigMap and a Secret of the name %q: rename one", file.path, name)
	case !secret && !configMap:
		both := slices.Concat(file.configMaps, file.secrets)
		slices.Sort(both)
		doc.Suggest(at, spec.KindChoice, spec.Near(name, both), "no ConfigMap or Secret %q comes of %s: it makes %s", name, file.path, orNone(both))
	}
	return EnvFrom{Name: name, Secret: secret}
}

func orNone(names []string) string {
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, ", ")
}

// checkTwice refuses two objects of one kind and name in one environment.
func checkTwice(doc *spec.Document, at string, entry BaseObjects, before []BaseObjects) {
	for i, o := range entry.Objects {
		same := func(other BaseObject) bool { return other.Kind == o.Kind && other.Name == o.Name }
		if slices.ContainsFunc(entry.Objects[:i], same) {
			doc.Report(at, spec.KindDuplicate, "%s has %s %s twice", entry.File, o.Kind, o.Name)
		}
		for _, other := range before {
			shared := slices.ContainsFunc(entry.For, func(t Trust) bool { return slices.Contains(other.For, t) })
			if shared && slices.ContainsFunc(other.Objects, same) {
				doc.Report(at, spec.KindDuplicate, "%s %s of %s is in %s as well, for the same environments", o.Kind, o.Name, entry.File, other.File)
			}
		}
	}
}
