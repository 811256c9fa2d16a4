package main

import (
	"fmt"
	"strings"
)

// secretCommands are the commands that make what the manifests refer to and do not hold.
func (v *installation) secretCommands(f installFlags, l *loading) string {
	var b strings.Builder
	in := "kubectl -n " + f.namespace
	fmt.Fprintf(&b, "  %s create secret generic %s", in, v.Secret.Name)
	for _, key := range v.Secret.Files {
		fmt.Fprintf(&b, " \\\n    --from-file=%s=%s", key, quoted(l.settings[key].text))
	}
	for _, token := range v.Secret.Tokens {
		fmt.Fprintf(&b, " \\\n    --from-file=%s=%s", token.Entry, quoted(token.file))
	}
	var asked []configField
	for _, field := range configFields() {
		if set, ok := l.settings[field.Key]; ok && field.Secret() && (field.Key != databaseKey || v.Database == postgresDatabase) {
			fmt.Fprintf(&b, " \\\n    --from-literal=%s=\"$%s\"", field.Key, field.Env())
			if set.origin != "environment "+field.Env() {
				asked = append(asked, field)
			}
		}
	}
	b.WriteString("\n")
	if v.TLS != "" {
		fmt.Fprintf(&b, "  %s create secret tls %s --cert=%s --key=%s\n", in, v.TLS, quoted(l.config.TLSCertFile), quoted(l.config.TLSKeyFile))
	}
	for _, field := range asked {
		fmt.Fprintf(&b, "\n%s is what %s says.", field.Env(), l.settings[field.Key].origin)
	}
	if len(asked) > 0 {
		b.WriteString("\n")
	}
	return b.String()
}

// quoted is a word for a shell.
func quoted(word string) string {
	if word != "" && !strings.ContainsFunc(word, func(r rune) bool {
		return !strings.ContainsRune("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./@=:+,", r)
	}) {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}
