package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"

	"github.com/idp-bot/idp/gitops"
	"github.com/idp-bot/idp/gitops/fault"
	"github.com/idp-bot/idp/gitops/platform"
)

// platformUsage is the help of --platform where it names what is declared.
const platformUsage = "checkout of the GitOps repository whose platform folder declares environments and classes"

// platformHint goes with mistakes in a platform folder.
const platformHint = `"idp schema environments", "idp schema teams", "idp schema class" and "idp schema charts" print what is allowed`

// readPlatform reads the platform folder of a checkout of the GitOps repository: the
// files that the bot would read, and none that a link leads out to.
func readPlatform(dir string) ([]gitops.File, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, noPlatform(dir, err)
	}
	defer root.Close()
	var files []gitops.File
	for _, folder := range []string{platform.Dir, platform.ClassesDir, platform.ObjectsDir} {
		entries, err := fs.ReadDir(root.FS(), folder)
		if err != nil && (folder == platform.Dir || !errors.Is(err, fs.ErrNotExist)) {
			return nil, noPlatform(dir, err)
		}
		for _, entry := range entries {
			if !entry.Type().IsRegular() {
				continue
			}
			file := gitops.File{Path: path.Join(folder, entry.Name())}
			if file.Content, err = readLimited(root, file.Path, maxSpecFile); err != nil {
				return nil, noPlatform(dir, err)
			}
			files = append(files, file)
		}
	}
	return files, nil
}

func noPlatform(dir string, err error) error {
	return fault.Wrap(err, fault.Invalid, fmt.Sprintf("cannot read the %s folder of %s: %s", platform.Dir, dir, reason(err)),
		"name the root of a checkout of the GitOps repository, which has "+platform.EnvironmentsPath)
}

// readLimited reads a file as far as most bytes.
func readLimited(root *os.Root, name string, most int64) ([]byte, error) {
	file, err := root.Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return io.ReadAll(io.LimitReader(file, most))
}

// loadPlatform reads what a checkout declares; every mistake is told.
func loadPlatform(dir string, base platform.Class) (platform.Platform, error) {
	files, err := readPlatform(dir)
	if err != nil {
		return platform.Platform{}, err
	}
	if base.RepoURL == "" {
		base.RepoURL = exampleRepoURL // what a class does not say is the server's, and no mistake of the class
	}
	loaded, errs := platform.Load(files, base)
	if len(errs) > 0 {
		return platform.Platform{}, fault.Wrap(specErrors(errs), fault.Invalid, fmt.Sprintf("%s in the %s folder of %s", plural(errs.Count(), "mistake"), platform.Dir, dir),
			platformHint)
	}
	return loaded, nil
}
