package gitexec

import (
	"os"
	"strings"
)

// inherited returns the variables of this process that git processes get.
func inherited() []string {
	var env []string
	ssh := false
	for _, kv := range os.Environ() {
		name, _, _ := strings.Cut(kv, "=")
		if keep(name) {
			env = append(env, kv)
			ssh = ssh || name == "GIT_SSH_COMMAND"
		}
	}
	if !ssh {
		env = append(env, "GIT_SSH_COMMAND=ssh -o BatchMode=yes")
	}
	return env
}

// Environment returns the whole environment of a git process.
func Environment(gitDir, home string, network bool) []string {
	env := inherited()
	env = append(env,
		"HOME="+home,
		"LC_ALL=C",
		"GIT_TERMINAL_PROMPT=0",
		"GIT_CONFIG_NOSYSTEM=1",
		"GIT_CONFIG_GLOBAL=/dev/null",
		"GIT_ATTR_NOSYSTEM=1",
		"GIT_LITERAL_PATHSPECS=1",
		"GIT_OPTIONAL_LOCKS=0",
		"GIT_ADVICE=0",
		// git's many short-lived processes spend their time in page faults with
		// malloc's defaults; measured 20 to 40 times faster with these.
		"MALLOC_TOP_PAD_=67108864",
		"MALLOC_TRIM_THRESHOLD_=268435456",
		"MALLOC_MMAP_THRESHOLD_=268435456",
	)
	if gitDir != "" {
		env = append(env, "GIT_DIR="+gitDir)
	}
	if network {
		return append(env, "GIT_ALLOW_PROTOCOL=http:https:ssh:file")
	}
	// GIT_NO_LAZY_FETCH is from git 2.45; "none" names no transport and stops
	// the lazy fetches of older versions.
	return append(env, "GIT_ALLOW_PROTOCOL=none", "GIT_NO_LAZY_FETCH=1")
}

// keep lists the variables that a git process inherits: where programs and
// certificates are, proxies, and the operator's ssh set-up.
func keep(name string) bool {
	switch strings.ToUpper(name) {
	case "PATH", "TMPDIR", "LD_LIBRARY_PATH", "SYSTEMROOT", "GIT_EXEC_PATH",
		"USER", "LOGNAME", "SSH_AUTH_SOCK", "GIT_SSH_COMMAND",
		"SSL_CERT_FILE", "SSL_CERT_DIR", "GIT_SSL_CAINFO", "GIT_SSL_CAPATH",
		"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY":
		return true
	}
	return false
}
