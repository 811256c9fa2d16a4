package source

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"

	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/chartutil"
)

// unpacked are the files of a packed chart, which may hold as much as the packed charts of one
// may. "helm package" has left out what .helmignore names.
func unpacked(packed []byte) ([]*loader.BufferedFile, error) {
	if weigh(packed, maxUnpacked) < 0 {
		return nil, fmt.Errorf("the packed chart holds more than %d MiB", maxUnpacked>>20)
	}
	if name, found := irregular(packed); found {
		return nil, fmt.Errorf("%s of the packed chart is no plain file: links are not followed", oneLine(name))
	}
	files, err := loader.LoadArchiveFiles(bytes.NewReader(packed))
	if err != nil {
		return nil, fmt.Errorf("the packed chart cannot be unpacked: %w", err)
	}
	if !slices.ContainsFunc(files, func(f *loader.BufferedFile) bool { return f.Name == chartutil.ChartfileName }) {
		return nil, errors.New("there is no Chart.yaml in the packed chart")
	}
	return files, nil
}

// irregular is the first entry of an archive that is neither a file nor a folder.
func irregular(packed []byte) (name string, found bool) {
	unzipped, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return "", false // for Helm to refuse
	}
	archive := tar.NewReader(unzipped)
	for {
		header, err := archive.Next()
		if err != nil {
			return "", false
		}
		switch header.Typeflag {
		case tar.TypeReg, tar.TypeDir, tar.TypeXGlobalHeader:
		default:
			return header.Name, true
		}
	}
}

// maxUnpacked is how much the packed charts of a chart may hold together, in bytes, those
// that are packed within them included.
const maxUnpacked = 64 << 20

// unpackable refuses packed dependencies that hold more than anybody vendors, before Helm
// unpacks them into memory. What is no archive is for Helm to refuse.
func unpackable(files []*loader.BufferedFile) error {
	room := int64(maxUnpacked)
	for _, f := range files {
		if packedChart(f.Name) {
			if room = weigh(f.Data, room); room < 0 {
				return fmt.Errorf("the packed chart %s holds more than there is room for: all of them together may hold %d MiB", oneLine(f.Name), maxUnpacked>>20)
			}
		}
	}
	return nil
}

// packedChart says whether Helm takes a file for a packed dependency, by its name.
func packedChart(name string) bool {
	return path.Ext(name) == ".tgz" && strings.HasSuffix("/"+path.Dir(name), "/charts")
}

// weigh takes what an archive holds off room, and what packed charts in it do. What is left
// is less than 0 where there is not enough, however little of the archive was read. Sizes are
// those that files have once they are unpacked, holes in them included.
func weigh(packed []byte, room int64) (left int64) {
	const ofHeader = 512
	unzipped, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return room
	}
	archive := tar.NewReader(unzipped)
	for {
		header, err := archive.Next()
		if err != nil {
			return room
		}
		if room -= ofHeader + header.Size; room < 0 {
			return room
		}
		if !packedChart(header.Name) {
			continue
		}
		inner, err := io.ReadAll(archive)
		if err != nil {
			return room
		}
		if room = weigh(inner, room); room < 0 {
			return room
		}
	}
}
