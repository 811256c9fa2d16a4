package repo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"github.com/idp-bot/idp/gitops/repo/internal/gitexec"
)

// maxTaken is the largest answer to a fetch that is made without git, in bytes: it is held
// in memory.
const maxTaken = 32 << 20

// errUntaken says that the tip is to be read with git.
var errUntaken = errors.New("the tip was not read without git")

// take reads the tip and brings what led there since the tip known before into the clone, in
// two requests over a connection that is kept and two processes: git fetch has a connection
// of its own and three processes, and two more say what it brought. A writer that others are
// ahead of has no time for that.
//
// errUntaken is for whatever is not as usual, a history that was replaced among it.
func (r *Repo) take(ctx context.Context) (tip string, arrived []arrival, err error) {
	old := r.tip.sha
	if old == "" || r.untakable.Load() {
		return "", nil, errUntaken
	}
	tip, err = r.askRef(ctx, r.branchRef())
	if err != nil || tip == "" {
		return "", nil, errors.Join(errUntaken, err)
	}
	if tip == old {
		if r.fetched() != tip { // it was pushed from here
			err = r.keepTip(tip)
		}
		return tip, nil, err
	}
	if err := r.takePack(ctx, tip, old); err != nil {
		return "", nil, errors.Join(errUntaken, err)
	}
	arrived, follows, err := r.arrivedSince(ctx, old, tip)
	if err != nil || !follows {
		return "", nil, errors.Join(errUntaken, err)
	}
	if err := r.keepTip(tip); err != nil {
		return "", nil, errors.Join(errUntaken, err)
	}
	return tip, arrived, nil
}

// takePack brings a commit and what it has beside another, no blobs, into the clone; see
// gitprotocol-v2(5), "fetch".
func (r *Repo) takePack(ctx context.Context, want, have string) error {
	ctx, cancel := context.WithTimeout(ctx, r.opts.Timeout)
	defer cancel()
	body := packet("command=fetch\n") + packet("agent=idp\n") + "0001" + packet("no-progress\n") + packet("ofs-delta\n") +
		packet("filter blob:none\n") + packet("want "+want+"\n") + packet("have "+have+"\n") + packet("done\n") + "0000"
	request, err := r.request(ctx, "upload-pack", strings.NewReader(body))
	if err != nil {
		return err
	}
	response, err := r.asker.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%w: %s", errNoAnswer, response.Status)
	}
	answer, err := io.ReadAll(io.LimitReader(response.Body, maxTaken))
	if err != nil {
		return err
	}
	pack, err := readPack(answer)
	if err != nil {
		r.untakable.Store(len(answer) < maxTaken) // it does not filter, perhaps
		return err
	}
	_, err = r.local(ctx, gitexec.Command{Args: []string{"index-pack", "--stdin", "--promisor", "--threads=1"}, Stdin: bytes.NewReader(pack)})
	return err
}

// readPack reads the one section of an answer, "packfile": packets of which the first byte is
// a band, 1 for the pack, 2 for words.
func readPack(answer []byte) ([]byte, error) {
	var pack bytes.Buffer
	begun := false
	err := eachPacket(answer, func(line []byte) error {
		switch {
		case !begun:
			begun = string(line) == "packfile\n"
		case len(line) > 0 && line[0] == 1:
			pack.Write(line[1:])
			return nil
		case len(line) > 0 && line[0] == 2:
			return nil
		default:
			begun = false
		}
		if !begun {
			return fmt.Errorf("%w: unexpected %.80q", errNoAnswer, line)
		}
		return nil
	})
	if err == nil && pack.Len() == 0 {
		err = fmt.Errorf("%w: no pack", errNoAnswer)
	}
	return pack.Bytes(), err
}

// keepTip has the clone know the tip as fetched, as git fetch does.
func (r *Repo) keepTip(sha string) error {
	path := filepath.Join(r.git.Dir, filepath.FromSlash(tipRef))
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	file, err := os.OpenFile(path+".lock", os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = file.WriteString(sha + "\n")
	if err == nil {
		err = file.Sync() // or the name would lead to an empty file after a power cut
	}
	if err := errors.Join(err, file.Close()); err != nil {
		return err
	}
	return os.Rename(path+".lock", path)
}

// arrivedSince returns the commits that lead from one to another, and whether they do: of
// commits before which the log ends, which git marks with "-", the first has to be one.
func (r *Repo) arrivedSince(ctx context.Context, from, to string) (arrived []arrival, follows bool, err error) {
	out, err := r.local(ctx, gitexec.Command{Args: []string{
		"log", "-z", "--boundary", "--no-color", "--no-show-signature", fmt.Sprintf("--max-count=%d", maxArrivals), "--format=tformat:%m" + arrivalFormat, to, "^" + from, "--",
	}})
	if err != nil {
		return nil, false, fmt.Errorf("read new commits of %s: %w", r.opts.Branch, err)
	}
	var inside []string
	for record := range strings.SplitSeq(string(out), "\x00") {
		mark, rest := record, ""
		if len(record) > 0 {
			mark, rest = record[:1], record[1:]
		}
		switch {
		case mark == "-":
			sha, _, _ := strings.Cut(rest, "\x1f")
			follows = follows || sha == from
		case mark == ">":
			inside = append(inside, rest)
		}
	}
	return parseArrivals([]byte(strings.Join(inside, "\x00"))), follows && len(inside) < maxArrivals, nil
}
