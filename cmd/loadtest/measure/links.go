package measure

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
)

// linkNames are the links of the way to a preview that is ready, in order, as
// idp_ready_seconds has them.
var linkNames = []string{"image", "committed", "synced", "healthy", "total"}

// links are what idp has recorded so far of each link: the sum of its seconds, and how
// many there were.
type links struct{ sum, count map[string]float64 }

// links reads idp's own metrics.
func (w *world) links(ctx context.Context) (links, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, w.metrics, nil)
	if err != nil {
		return links{}, fmt.Errorf("read idp's metrics: %w", err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return links{}, fmt.Errorf("read idp's metrics: %w", err)
	}
	defer resp.Body.Close()
	return readLinks(resp.Body)
}

func readLinks(text io.Reader) (links, error) {
	out := links{sum: map[string]float64{}, count: map[string]float64{}}
	lines := bufio.NewScanner(text)
	for lines.Scan() {
		for prefix, into := range map[string]map[string]float64{`idp_ready_seconds_sum{link="`: out.sum, `idp_ready_seconds_count{link="`: out.count} {
			rest, ours := strings.CutPrefix(lines.Text(), prefix)
			if !ours {
				continue
			}
			link, value, _ := strings.Cut(rest, `"} `)
			n, err := strconv.ParseFloat(value, 64)
			if err != nil {
				return out, fmt.Errorf("read idp's metrics: %q: %w", lines.Text(), err)
			}
			into[link] = n
		}
	}
	return out, lines.Err()
}

// since is the mean of what was recorded since before.
func (l links) since(before links) map[string]Seconds {
	mean := map[string]Seconds{}
	for link, count := range l.count {
		if n := count - before.count[link]; n > 0 {
			mean[link] = seconds((l.sum[link] - before.sum[link]) / n)
		}
	}
	return mean
}
