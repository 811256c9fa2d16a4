package repo

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"

	"github.com/idp-bot/idp/gitops/repo/internal/gitexec"
)

const (
	// maxPack is the largest pack that is sent without git, in bytes: it is held in memory.
	maxPack = 32 << 20
	// maxSaid bounds the answer to it, in bytes.
	maxSaid = 1 << 20
	// noCommit is how git's protocol names the commit of a ref that there is not.
	noCommit = "0000000000000000000000000000000000000000"
)

// errUnsent says that a commit was not sent, or that nothing is known of what became of it,
// and that git is to be asked to.
var errUnsent = errors.New("the remote does not take a push in one request")

// send offers a child of the tip to an http remote in one request of git's protocol, over a
// connection that is kept (gitprotocol-http(5), gitprotocol-pack(5), "Reference Update"). git
// push takes two requests, over a connection of its own, and four processes; what others push
// meanwhile has it begin anew. The remote compares and swaps the ref, as it does for git: it
// takes nothing where the branch is not at the tip.
//
// errUnsent is for everything but a clear yes or no. Sending again what may have landed does
// no harm: the branch is not at the tip any more.
func (r *Repo) send(ctx context.Context, sha string) (pushOutcome, error) {
	if r.remote.Host == "" || r.unsendable.Load() {
		return pushOutcome{}, errUnsent
	}
	pack, err := r.packOf(ctx, sha)
	if err != nil || len(pack) > maxPack {
		return pushOutcome{}, errors.Join(errUnsent, err)
	}
	old := r.tip.sha
	if old == "" {
		old = noCommit
	}
	command := packet(fmt.Sprintf("%s %s %s\x00report-status side-band-64k agent=idp", old, sha, r.branchRef()))
	body := io.MultiReader(strings.NewReader(command+"0000"), bytes.NewReader(pack))
	request, err := r.request(ctx, "receive-pack", body)
	if err != nil {
		return pushOutcome{}, err
	}
	request.ContentLength = int64(len(command) + len("0000") + len(pack))
	response, err := r.asker.Do(request)
	if err != nil {
		return pushOutcome{}, errors.Join(errUnsent, err)
	}
	defer response.Body.Close()
	if response.StatusCode/100 == 5 {
		return pushOutcome{err: fmt.Errorf("push to the GitOps repository: %w: it answered %d %s", ErrUnavailable, response.StatusCode, http.StatusText(response.StatusCode))}, nil
	}
	if response.StatusCode != http.StatusOK {
		r.unsendable.Store(neverAnswers(response.StatusCode))
		return pushOutcome{}, fmt.Errorf("%w: %s", errUnsent, response.Status)
	}
	answer, err := io.ReadAll(io.LimitReader(response.Body, maxSaid))
	if err != nil {
		return pushOutcome{}, errors.Join(errUnsent, err)
	}
	out, err := readReport(answer, r.branchRef(), secretsOf(request))
	r.unsendable.Store(err != nil)
	return out, err
}

// secretsOf are those of a request's credentials.
func secretsOf(request *http.Request) []string {
	user, password, _ := request.BasicAuth()
	return Credentials{user, password}.secrets()
}

// packOf is a pack of what a child of the tip has beside the tip.
func (r *Repo) packOf(ctx context.Context, sha string) ([]byte, error) {
	revisions := sha + "\n"
	if r.tip.sha != "" {
		revisions += "^" + r.tip.sha + "\n"
	}
	pack := func(how ...string) ([]byte, error) {
		return r.local(ctx, gitexec.Command{
			Args:  append([]string{"pack-objects", "--revs", "--stdout", "--delta-base-offset", "--quiet", "--threads=1"}, how...),
			Stdin: strings.NewReader(revisions),
		})
	}
	// What a file was before makes the pack small, and is not there where it was never read:
	// the clone has no blobs but those that were asked for.
	if thin, err := pack("--thin"); err == nil || ctx.Err() != nil {
		return thin, err
	}
	return pack("--window=0")
}

// readReport reads what the remote says of a push: packets of which the first byte is a band,
// 1 for the report, 2 for what the remote has to say to people, 3 for why it gave up. The
// report is packets again: "unpack ok", then "ok <ref>" or "ng <ref> <reason>".
func readReport(answer []byte, ref string, secrets []string) (pushOutcome, error) {
	var report, words bytes.Buffer
	err := eachPacket(answer, func(line []byte) error {
		if len(line) == 0 {
			return errUnsent
		}
		switch line[0] {
		case 1:
			report.Write(line[1:])
		case 2:
			words.Write(line[1:])
		default:
			return fmt.Errorf("%w: %.200q", errUnsent, line)
		}
		return nil
	})
	if err != nil {
		return pushOutcome{}, errors.Join(errUnsent, err)
	}
	unpacked, taken, refused := false, false, ""
	err = eachPacket(report.Bytes(), func(line []byte) error {
		text := strings.TrimSuffix(string(line), "\n")
		switch reason, no := strings.CutPrefix(text, "ng "+ref+" "); {
		case no:
			refused = reason
		case text == "unpack ok":
			unpacked = true
		case text == "ok "+ref:
			taken = true
		default:
			return fmt.Errorf("%w: %.200q", errUnsent, text)
		}
		return nil
	})
	switch {
	case err != nil:
		return pushOutcome{}, errors.Join(errUnsent, err)
	case unpacked && taken && refused == "":
		return pushOutcome{}, nil
	case refused == "":
		return pushOutcome{}, fmt.Errorf("%w: its report tells nothing of %s", errUnsent, ref)
	}
	message := "[remote rejected] (" + refused + ")\n"
	for line := range strings.Lines(words.String()) {
		message += "remote: " + strings.TrimRight(line, " \n") + "\n"
	}
	return pushOutcome{refused: true, err: errors.New("the remote refused the push"), message: scrub(message, secrets)}, nil
}

// eachPacket calls f with each packet up to the flush that has to end them.
func eachPacket(answer []byte, f func([]byte) error) error {
	in := bufio.NewReader(bytes.NewReader(answer))
	for {
		digits := make([]byte, 4)
		if _, err := io.ReadFull(in, digits); err != nil {
			return fmt.Errorf("%w: its answer has no end", errNoAnswer)
		}
		size, err := strconv.ParseUint(string(digits), 16, 16)
		if err == nil && size == 0 {
			return nil
		}
		if err != nil || size < 4 {
			return fmt.Errorf("%w: unexpected %.20q", errNoAnswer, digits)
		}
		line := make([]byte, size-4)
		if _, err := io.ReadFull(in, line); err != nil {
			return fmt.Errorf("%w: its answer breaks off", errNoAnswer)
		}
		if err := f(line); err != nil {
			return err
		}
	}
}
