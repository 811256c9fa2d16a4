package secrettest

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// known are what GitHub's tokens begin with (an installation's, a person's, what that is
// renewed with, and a personal one), a JWT in a header, and a key in its file.
var known = []string{"ghs_", "ghu_", "ghr_", "ghp_", "Bearer eyJ", "PRIVATE KEY"}

// shortest is the length of the shortest text that is looked for in base64 and hexadecimal
// digits too: of a shorter one too little is left to tell it from chance.
const shortest = 8

// Search finds marks: texts by which secrets are known. It may be used concurrently.
type Search struct {
	// first says which pairs of bytes a mark begins with, so that a text is passed once.
	first   [1 << 16]bool
	marks   map[uint16][]string
	longest int
}

// For looks for whatever is a secret anywhere, the canaries among it, and for these secrets:
// each as it is, in base64 wherever it may begin, and in hexadecimal digits.
func For(secrets ...string) *Search {
	var marks []string
	for _, s := range slices.Concat(known, []string{Prefix}, secrets) {
		marks = append(marks, forms(s)...)
	}
	return Only(marks...)
}

// Key is a text that a private key in PEM is known by wherever its lines end, "" for what is
// none.
func Key(file []byte) string {
	block, _ := pem.Decode(file)
	if block == nil || len(block.Bytes) < 180 {
		return ""
	}
	return base64.StdEncoding.EncodeToString(block.Bytes)[200:240]
}

// Only looks for these marks as they are, of two bytes at the least.
func Only(marks ...string) *Search {
	s := &Search{marks: map[uint16][]string{}}
	for _, mark := range marks {
		pair := uint16(mark[0])<<8 | uint16(mark[1])
		s.first[pair] = true
		if !slices.Contains(s.marks[pair], mark) {
			s.marks[pair] = append(s.marks[pair], mark)
		}
		s.longest = max(s.longest, len(mark))
	}
	return s
}

// forms are the texts that a secret may stand in.
func forms(s string) []string {
	out := []string{s}
	if len(s) < shortest {
		return out
	}
	for before := range 3 {
		// What shares a digit with the bytes before or behind is left out.
		digits := base64.RawStdEncoding.EncodeToString([]byte(strings.Repeat("\x00", before) + s))
		digits = digits[(before*8+5)/6 : (before+len(s))*8/6]
		out = append(out, digits, strings.NewReplacer("+", "-", "/", "_").Replace(digits))
	}
	digits := hex.EncodeToString([]byte(s))
	return append(out, digits, strings.ToUpper(digits))
}

// each tells each mark that is in a text once, and where.
func (s *Search) each(text []byte, found func(mark string, at int)) {
	var told []string
	for i := 0; i+1 < len(text); i++ {
		pair := uint16(text[i])<<8 | uint16(text[i+1])
		if !s.first[pair] {
			continue
		}
		for _, mark := range s.marks[pair] {
			if bytes.HasPrefix(text[i:], []byte(mark)) && !slices.Contains(told, mark) {
				told = append(told, mark)
				found(mark, i)
			}
		}
	}
}

// Text returns a line for each mark in a text, with where it stands.
func (s *Search) Text(where string, text []byte) (found []string) {
	s.each(text, func(_ string, at int) { found = append(found, finding(where, text, at)) })
	return found
}

func finding(where string, text []byte, at int) string {
	return fmt.Sprintf("%s tells a secret: …%.200q", where, text[max(at-100, 0):])
}

// binary is how pg_dump writes bytes.
var binary = regexp.MustCompile(`\\x([0-9a-f]{2,})`)

// Dump is Text of what pg_dump wrote, and of the bytes in it.
func (s *Search) Dump(where, dump string) []string {
	count.databases.Add(1)
	found := s.Text(where, []byte(dump))
	for _, digits := range binary.FindAllStringSubmatch(dump, -1) {
		if held, err := hex.DecodeString(digits[1]); err == nil { // otherwise a text that looks like it
			found = append(found, s.Text(where+" in its bytes", held)...)
		}
	}
	return found
}

// Folder is Text of every file below a folder, its name included, and of every object of
// the Git repositories there; except are the files and folders that are not looked into. What is no
// regular file is passed by, and what goes meanwhile too.
func (s *Search) Folder(ctx context.Context, dir string, except func(path string) bool) (found []string, err error) {
	count.folders.Add(1)
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		if except != nil && except(path) {
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		found = append(found, s.Text("the name of "+path, []byte(strings.TrimPrefix(path, dir)))...)
		if d.IsDir() {
			if d.Name() != "objects" || !isFile(filepath.Join(filepath.Dir(path), "HEAD")) {
				return nil
			}
			inside, err := s.objects(ctx, filepath.Dir(path))
			found = append(found, inside...)
			if err != nil {
				return err
			}
			return fs.SkipDir // the files are compressed
		}
		if !d.Type().IsRegular() {
			return nil
		}
		content, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		count.files.Add(1)
		found = append(found, s.Text(path, content)...)
		return err
	})
	return found, err
}

func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}

// objects is Text of every object of a repository, loose or packed, reachable or not.
func (s *Search) objects(ctx context.Context, repository string) (found []string, err error) {
	var complaint bytes.Buffer
	git := exec.CommandContext(ctx, "git", "-c", "safe.directory=*", "--git-dir", repository, "cat-file", "--batch-all-objects", "--batch")
	git.Env = append(os.Environ(), "GIT_NO_LAZY_FETCH=1")
	git.Stderr = &complaint
	out, err := git.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := git.Start(); err != nil {
		return nil, err
	}
	found, err = s.batch(bufio.NewReader(out), repository)
	if err != nil {
		_ = git.Process.Kill() // it would wait for somebody to read the rest
	}
	if err := errors.Join(err, git.Wait()); err != nil {
		return found, fmt.Errorf("read the objects of %s: %w: %s", repository, err, complaint.String())
	}
	return found, nil
}

// batch reads what "git cat-file --batch" writes: a line with name, kind and length, the
// object, an end of line.
func (s *Search) batch(from *bufio.Reader, repository string) (found []string, err error) {
	for {
		line, err := from.ReadString('\n')
		if err == io.EOF && line == "" {
			return found, nil
		}
		if err != nil {
			return found, err
		}
		var name, kind string
		var size int
		if _, err := fmt.Sscanf(line, "%s %s %d", &name, &kind, &size); err != nil {
			return found, fmt.Errorf("%q: %w", line, err)
		}
		object := make([]byte, size+1)
		if _, err := io.ReadFull(from, object); err != nil {
			return found, err
		}
		count.objects.Add(1)
		found = append(found, s.Text(fmt.Sprintf("an object of %s (%s %.7s)", repository, kind, name), object[:size])...)
	}
}
