package githubtest

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"maps"
	"net/http"
	"slices"
	"strings"
)

// archivePrefix is where a GitHub Enterprise Server without subdomains serves archives;
// github.com does at codeload.github.com. Neither is part of the API.
const archivePrefix = "/_codeload/"

// archiveToken is in the query of where an archive is: whoever has the address may read
// it, for some minutes, and no other token is asked for or taken.
const archiveToken = "token"

// getTarball redirects to where the archive is (docs.github.com, "Download a repository
// archive (tar)").
func getTarball(c *call) reply {
	at := c.repo.resolve(c.params["ref"])
	if at == nil {
		return *notFound()
	}
	token := digest("archive", c.repo.fullName()+at.sha)
	target := c.s.HTMLURL() + archivePrefix + c.repo.fullName() + "/legacy.tar.gz/" + at.sha + "?" + archiveToken + "=" + token
	return reply{status: http.StatusFound, header: http.Header{"Location": {target}}}
}

// serveArchive sends a commit's files below one folder, as git archive writes them.
func (s *Server) serveArchive(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Authorization") != "" {
		http.Error(w, "an archive takes no token but its own", http.StatusBadRequest)
		return
	}
	archive, ok := s.archive(strings.TrimPrefix(r.URL.Path, archivePrefix), r.URL.Query().Get(archiveToken))
	if !ok {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", "application/x-gzip")
	_, _ = w.Write(archive)
}

func (s *Server) archive(path, token string) ([]byte, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	full, sha, _ := strings.Cut(path, "/legacy.tar.gz/")
	owner, name, _ := strings.Cut(full, "/")
	repo, at := s.find(owner, name), s.commits[sha]
	if repo == nil || at == nil || token != digest("archive", repo.fullName()+sha) {
		return nil, false
	}
	return tarball(strings.ReplaceAll(repo.fullName(), "/", "-")+"-"+sha[:7]+"/", sha, at.tree), true
}

// tarball is an archive of files. A file whose content begins with "-> " is a symbolic
// link to what follows, which the stand-in's trees cannot say otherwise.
func tarball(prefix, sha string, files map[string]string) []byte {
	var out bytes.Buffer
	zipped := gzip.NewWriter(&out)
	archive := tar.NewWriter(zipped)
	put := func(header tar.Header, content string) {
		header.Mode, header.Size = 0o644, int64(len(content))
		// Writes to memory do not fail, and headers are of short names.
		_ = archive.WriteHeader(&header)
		_, _ = archive.Write([]byte(content))
	}
	_ = archive.WriteHeader(&tar.Header{Typeflag: tar.TypeXGlobalHeader, Name: "pax_global_header", PAXRecords: map[string]string{"comment": sha}})
	put(tar.Header{Typeflag: tar.TypeDir, Name: prefix}, "")
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if target, ok := strings.CutPrefix(files[name], "-> "); ok {
			put(tar.Header{Typeflag: tar.TypeSymlink, Name: prefix + name, Linkname: strings.TrimSpace(target)}, "")
			continue
		}
		put(tar.Header{Typeflag: tar.TypeReg, Name: prefix + name}, files[name])
	}
	_ = archive.Close()
	_ = zipped.Close()
	return out.Bytes()
}
