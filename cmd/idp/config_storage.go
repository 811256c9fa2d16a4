package main

import (
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

const (
	sqliteScheme = "sqlite://"
	postgresForm = "postgres://USER:PASSWORD@HOST:PORT/DATABASE"
)

// isPostgres says that a URL is of a PostgreSQL database.
func isPostgres(raw string) bool {
	return strings.HasPrefix(raw, "postgres://") || strings.HasPrefix(raw, "postgresql://")
}

// checkDatabaseURL makes sure that the database can be opened or made.
func (l *loading) checkDatabaseURL() {
	const key = "database_url"
	if !l.sound(key) {
		return
	}
	raw := l.config.DatabaseURL.Reveal()
	if isPostgres(raw) {
		l.checkPostgresURL(raw)
		return
	}
	path, ok := strings.CutPrefix(raw, sqliteScheme)
	if !ok || path == "" || strings.ContainsAny(path, "?#") {
		l.refuse(key, "this is not the URL of a database that idp knows", "write sqlite://FILE, sqlite:///ABSOLUTE/FILE or "+postgresForm)
		return
	}
	if strings.HasPrefix(path, "//") {
		l.refuse(key, "it has a slash too many", "write sqlite:///ABSOLUTE/FILE")
		return
	}
	switch dir := filepath.Dir(path); {
	case strings.HasSuffix(path, "/") || isDir(path):
		l.refuse(key, path+" is a folder", "name a file in it")
	case !isDir(dir):
		l.refuse(key, "there is no folder "+dir, "create it, or name a file in another")
	case !writable(dir):
		l.refuse(key, "nothing can be written into "+dir, "let the user that idp runs as own it")
	case exists(path) && !writable(path):
		l.refuse(key, path+" cannot be written", "let the user that idp runs as own it")
	}
}

// checkPostgresURL makes sure that the URL says which database of which server; whether
// they are there is found out by connecting. What is wrong is not repeated: it may be
// part of the password.
func (l *loading) checkPostgresURL(raw string) {
	const key = "database_url"
	u, err := url.Parse(raw)
	switch {
	case err != nil:
		l.refuse(key, "this is not a URL", "write "+postgresForm+", with what is special in the password as %XX")
	case u.Host == "" && u.Query().Get("host") == "":
		l.refuse(key, "it names no server", "write "+postgresForm)
	case strings.Trim(u.Path, "/") == "":
		l.refuse(key, "it names no database", "write "+postgresForm)
	case u.Fragment != "":
		l.refuse(key, "it has a #", "write what is special in the password as %XX")
	}
}

// checkAuditLog makes sure that the copy of the audit log can be written.
func (l *loading) checkAuditLog() {
	const key = "audit_log"
	path := l.config.AuditLog
	if path == "" || path == "-" || !l.sound(key) {
		return
	}
	switch dir := filepath.Dir(path); {
	case isDir(path):
		l.refuse(key, path+" is a folder", "name a file in it")
	case !isDir(dir):
		l.refuse(key, "there is no folder "+dir, "create it, or name a file in another")
	case exists(path) && !writable(path):
		l.refuse(key, path+" cannot be written", "let the user that idp runs as own it")
	case !exists(path) && !writable(dir):
		l.refuse(key, "nothing can be written into "+dir, "let the user that idp runs as own it")
	}
}

// checkStateDir makes sure that the state folder is there or can be made.
func (l *loading) checkStateDir() {
	const key = "state_dir"
	if !l.sound(key) || !l.sound("database_url") {
		return
	}
	path := l.config.StateDir
	for !exists(path) && path != filepath.Dir(path) {
		path = filepath.Dir(path)
	}
	switch {
	case !isDir(path):
		l.refuse(key, path+" is not a folder", "name another one")
	case !writable(path):
		l.refuse(key, "nothing can be written into "+path, "let the user that idp runs as own it")
	}
}

// exists says whether anything stands at a path; below a file nothing can.
func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

func isDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

// writable asks the system, which knows of read-only mounts and of lists of who may.
func writable(path string) bool { return unix.Access(path, unix.W_OK) == nil }
