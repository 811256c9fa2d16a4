package platform

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/idp-bot/idp/gitops"
	"github.com/idp-bot/idp/gitops/fault"
	"github.com/idp-bot/idp/gitops/spec"
	"golang.org/x/mod/sumdb/dirhash"
)

const (
	// ChartsPath names the charts that repositories may deploy with and pins each; ChartsDir
	// is the folder that they are in.
	ChartsPath = Dir + "/charts.yaml"
	ChartsDir  = Dir + "/charts"
	// MaxChart bounds the files of one chart, in bytes, and maxChartFiles their number.
	MaxChart      = 8 << 20
	maxChartFiles = 2000
)

// Chart is a Helm chart that the platform team keeps for repositories, pinned by its digest.
type Chart struct {
	// Path is its folder, or the archive that "helm package" made of it, such as
	// "platform/charts/web" or "platform/charts/web-1.4.0.tgz".
	Path string
	// Digest is of a folder what golang.org/x/mod/sumdb/dirhash calls Hash1 ("h1:…"), by the
	// paths of its files from there, and of an archive that of its bytes ("sha256:…").
	Digest string
}

// UsedCharts are the charts that an environment was rendered from.
type UsedCharts struct {
	// At is the commit of the platform folder that they were read at, "" where nobody knows.
	At string `json:"at,omitempty"`
	// Digests are what they were pinned by, by name.
	Digests map[string]string `json:"digests"`
}

// String is NAME=DIGEST of each, sorted.
func (u UsedCharts) String() string {
	var out []string
	for _, name := range slices.Sorted(maps.Keys(u.Digests)) {
		out = append(out, name+"="+u.Digests[name])
	}
	return strings.Join(out, " ")
}

// Valid says that they can be charts that were used.
func (u UsedCharts) Valid() bool {
	for name, digest := range u.Digests {
		if spec.CheckChartName(name) != "" || !folderDigest.MatchString(digest) && !archiveDigest.MatchString(digest) {
			return false
		}
	}
	return len(u.Digests) > 0
}

// Packed says that the chart is an archive.
func (c Chart) Packed() bool { return path.Ext(c.Path) == packedExt }

const (
	packedExt    = ".tgz"
	ofArchive    = "sha256:"
	howToDigest  = `"idp platform validate" says which it is`
	chartsMended = `the platform team has to mend that, and "idp platform validate" says how`
)

// Hold returns the chart's files by their paths from its folder, or the archive alone by "",
// where they are what is pinned. files are those of the repository at Path; what is wrong with
// them is a fault.Conflict, for the platform team.
func (c Chart) Hold(files []gitops.File) (map[string][]byte, error) {
	own := c.Own(files)
	digest, err := c.digestOf(own)
	if err != nil {
		return nil, fault.Wrap(err, fault.Conflict, err.Error(), chartsMended)
	}
	if digest != c.Digest {
		return nil, fault.Newf(fault.Conflict, "the chart %s is not what %s pins: it is %s, and pinned is %s", c.Path, ChartsPath, digest, c.Digest).WithHint(chartsMended)
	}
	return own, nil
}

// Own are those of the files that are the chart's, as Hold gives them.
func (c Chart) Own(files []gitops.File) map[string][]byte {
	out := map[string][]byte{}
	for _, f := range files {
		if c.Packed() && f.Path == c.Path {
			out[""] = f.Content
		} else if name, below := strings.CutPrefix(f.Path, c.Path+"/"); below && !c.Packed() {
			out[name] = f.Content
		}
	}
	return out
}

// digestOf is the digest that the chart of these files has.
func (c Chart) digestOf(own map[string][]byte) (string, error) {
	size := 0
	for _, content := range own {
		size += len(content)
	}
	switch {
	case len(own) == 0:
		return "", fmt.Errorf("there is no %s", c.Path)
	case size > MaxChart || len(own) > maxChartFiles:
		return "", fmt.Errorf("the chart %s is larger than %d MiB, or has more than %d files", c.Path, MaxChart>>20, maxChartFiles)
	case c.Packed():
		sum := sha256.Sum256(own[""])
		return ofArchive + hex.EncodeToString(sum[:]), nil
	}
	digest, err := dirhash.Hash1(slices.Collect(maps.Keys(own)), func(name string) (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(own[name])), nil
	})
	if err != nil {
		return "", fmt.Errorf("the chart %s has no digest: %w", c.Path, err)
	}
	return digest, nil
}

// ChartNames returns the names of the charts, sorted.
func (p Platform) ChartNames() []string { return slices.Sorted(maps.Keys(p.Charts)) }

// CheckSpec holds a valid deploy.yaml to the charts that there are. name is what the errors
// call the file.
func (p Platform) CheckSpec(name string, raw []byte) spec.Errors {
	return spec.CheckCharts(name, raw, p.ChartNames(), ChartsPath+" of the GitOps repository")
}
