package webhooks

import (
	"errors"
	"io"

	"golang.org/x/sync/semaphore"
)

// errBusy says that the bodies under way take all the memory there is for them.
var errBusy = errors.New("too many large bodies at once")

// bodies shares memory out to the bodies that are being read. A body is given
// more only when it has filled what it has: claiming to be large costs nothing.
type bodies struct{ left *semaphore.Weighted }

func newBodies() *bodies { return &bodies{semaphore.NewWeighted(allBodies)} }

// read reads everything; size is what the sender claims it to be, -1 for nothing.
// Call release when the bytes are no longer needed, also after an error.
func (b *bodies) read(body io.Reader, size int64) (content []byte, release func(), err error) {
	taken := int64(0)
	release = func() { b.left.Release(taken) }
	// One more byte than claimed, to see the end without growing.
	content = make([]byte, 0, min(max(size+1, 512), freeBody))
	for {
		if len(content) == cap(content) {
			larger := 2 * cap(content)
			if more := int64(larger-freeBody) - taken; more > 0 {
				if !b.left.TryAcquire(more) {
					return nil, release, errBusy
				}
				taken += more
			}
			content = append(make([]byte, 0, larger), content...)
		}
		n, err := body.Read(content[len(content):cap(content)])
		content = content[:len(content)+n]
		if errors.Is(err, io.EOF) {
			return content, release, nil
		}
		if err != nil {
			return nil, release, err
		}
	}
}
