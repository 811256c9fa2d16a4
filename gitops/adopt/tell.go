package adopt

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// rule says more of a field that differs.
type rule struct {
	// path is the field's pattern; "*" at its end stands for any key, "…" at its beginning for
	// whatever comes before.
	path string
	why  string
	// whole tells the field as one, whatever differs within it, own what is set there for each
	// object, and once what is changed there for all of them.
	whole, own, once bool
}

// rules are of the fields that people will ask about. The first that fits counts.
var rules = []rule{
	{path: "metadata.labels[app.kubernetes.io/managed-by]", once: true},
	{path: "metadata.labels[idp.dev/environment]", once: true},
	{path: "spec.replicas", why: "the spec says how many copies run, and the class how many may"},
	{path: "spec.type", why: "what is reachable is reachable at the environment's hosts"},
	{path: "spec.ports[].nodePort", why: "what is reachable is reachable at the environment's hosts"},
	{path: targetPort},
	{path: "spec.volumeClaimTemplates", why: "nothing is kept longer than its pod; it is scratch space", whole: true},
	{path: "…ttlSecondsAfterFinished", why: "Argo CD would run it again"},
	{path: "spec.parentRefs[]", why: "the class says which Gateway"},
	{path: "spec.ingressClassName", why: "the class says which"},
	{path: "spec.tls", why: "the class has the certificate", whole: true},
	{path: "spec.hostnames", whole: true},
	{path: "spec.rules[].backendRefs[]", why: "it is no Service of the environment"},
	{path: "pod.serviceAccountName", why: "the environment's own has no rights"},
	{path: "pod.imagePullSecrets", why: "the environment's account has the class's", whole: true},
	{path: "pod.affinity", whole: true},
	{path: "pod.volumes[].*", why: "pods get files of the environment's ConfigMaps, and of nothing else; it is scratch space"},
	{path: "pod.containers[].env[]", why: "nothing of a secret is read"},
	{path: "pod.containers[].envFrom[]", why: "nothing of a secret is read"},
	{path: "pod.containers[].envFrom", why: "nothing of a secret is read"},
	{path: "pod.containers[].ports[].hostPort", why: "what is reachable is reachable at the environment's hosts"},
	{path: "pod.containers[].resources.limits.*", why: "it requests more than the class's default and names no limit", own: true},
	{path: "…securityContext.runAsUser", why: "nothing runs as root"},
	{path: "…httpGet.host", why: "a container is asked itself"},
	{path: "…tcpSocket.host", why: "a container is asked itself"},
}

// targetPort is 0 in a type where none is given.
const targetPort = "spec.ports[].targetPort"

func (r rule) fits(pattern string) bool {
	if suffix, ok := strings.CutPrefix(r.path, "…"); ok {
		return strings.HasSuffix(pattern, suffix)
	}
	if prefix, ok := strings.CutSuffix(r.path, "*"); ok {
		rest, below := strings.CutPrefix(pattern, prefix)
		return below && rest != "" && !strings.ContainsAny(rest, ".[")
	}
	return pattern == r.path
}

func ruleOf(at field) rule {
	pattern := at.pattern()
	for _, r := range rules {
		if r.fits(pattern) {
			return r
		}
	}
	return rule{}
}

// tell notes in what an object differs from what was made of it.
func (a *adopting) tell(title string, was, is any) {
	differ(was, is, nil, func(d difference) {
		path, r := d.at.String(), ruleOf(d.at)
		of := title
		if r.once {
			of = ""
		}
		switch {
		case path == "metadata.namespace": // told once for all
		case absent(d.was) && !r.own, r.path == targetPort && d.was == json.Number("0"):
			a.set(d.at, d.is)
		default:
			a.notes = append(a.notes, Note{Object: of, Field: path, Text: d.text()})
		}
	})
}

// text says what became of a field, and why.
func (d difference) text() string {
	r := ruleOf(d.at)
	path := d.at.String()
	was, simple := shown(d.was)
	is, simpleToo := shown(d.is)
	text := path + " changed"
	switch {
	case d.at.pattern() == "pod.containers[].image" && d.is != nil:
		text = path + " " + imageText(fmt.Sprint(d.was), fmt.Sprint(d.is))
	case absent(d.was):
		text = path + " is " + is
	case absent(d.is) && (!simple || was == "true" || d.at.says()):
		text = path + " left out"
	case absent(d.is):
		text = path + " " + was + " left out"
	case simple && simpleToo:
		text = path + " " + was + " became " + is
	}
	if r.path == "pod.containers[].resources.limits.*" && absent(d.is) {
		r.why = "" // nothing is set there
	}
	if strings.HasPrefix(d.at.pattern(), "pod.containers[].resources.") && absent(d.is) {
		r.why = "the whole environment has less"
	}
	if r.why != "" {
		text += ": " + r.why
	}
	return text
}

// imageText says what became of an image. Digests are not cut.
func imageText(was, is string) string {
	if digest, ok := strings.CutPrefix(is, was+"@"); ok {
		return cut(was) + " is pinned to " + digest
	}
	return cut(was) + " became " + is
}

// says says that the field is a label or an annotation, whose values may be anything.
func (f field) says() bool {
	return len(f) >= 2 && (f[len(f)-2].key == "annotations" || f[len(f)-2].key == "labels")
}

// set keeps in mind what was set where an object said nothing, which is most often the same
// of all.
func (a *adopting) set(at field, value any) {
	switch value := value.(type) {
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(value)) {
			a.set(at.key(key), value[key])
		}
		return
	case []any:
		if _, ok := shown(value); !ok {
			for _, one := range value {
				a.set(at.element(""), one)
			}
			return
		}
	}
	word, ok := shown(value)
	if !ok {
		return // an empty one
	}
	a.added[strings.TrimPrefix(at.pattern(), "pod.")+" "+word] = true
}

// additions are the notes of what was set.
func (a *adopting) additions() []Note {
	const head, most = "set where nothing was said: ", 400 // bytes
	var out []Note
	text := ""
	for _, one := range slices.Sorted(maps.Keys(a.added)) {
		if text != "" && len(head)+len(text)+len(one) > most {
			if out, text = append(out, Note{Text: head + text}), ""; len(out) == maxAdditions {
				return append(out, Note{Text: head + "more of the kind"})
			}
		}
		if text != "" {
			text += ", "
		}
		text += one
	}
	if text != "" {
		out = append(out, Note{Text: head + text})
	}
	return out
}
