package clustertest

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/lockedfile"
)

// tools is a module below testdata/cluster and what is taken of it.
type tools struct {
	// dir is the module's folder.
	dir string
	// programs are the packages to build, by the name of the binary; ldflags are the
	// linker's.
	programs map[string]string
	ldflags  string
	// assets are folders and files to copy out of module, by where they go.
	module string
	assets map[string]string
}

const kubernetesVersion = "v1.34.4"

// secretsCRD is the file with the kind that base objects of classes have secrets made with.
const secretsCRD = "external-secrets-crds/externalsecrets.yaml"

// goStopTimeout is how long the go command may take to clean up.
const goStopTimeout = 30 * time.Second

// toolsets are what a cluster is made of, with one version of Argo CD.
func toolsets(argoCD string) ([]tools, error) {
	argo, ok := map[string]tools{
		ArgoCD214: {module: "github.com/argoproj/argo-cd/v2"},
		ArgoCD35:  {module: "github.com/argoproj/argo-cd/v3"},
	}[argoCD]
	if !ok {
		return nil, fmt.Errorf("there is no Argo CD %q here: %s or %s", argoCD, ArgoCD35, ArgoCD214)
	}
	argo.dir = "argocd-" + argoCD
	argo.programs = map[string]string{"argocd": argo.module + "/cmd"}
	argo.assets = map[string]string{
		"argocd-crds": "manifests/crds", "argocd-config": "manifests/base/config",
		"argocd-hack/git-verify-wrapper.sh": "hack/git-verify-wrapper.sh", "argocd-hack/gpg-wrapper.sh": "hack/gpg-wrapper.sh",
	}
	return []tools{
		{
			dir: "kubernetes",
			programs: map[string]string{
				"kube-apiserver":          "k8s.io/kubernetes/cmd/kube-apiserver",
				"kube-controller-manager": "k8s.io/kubernetes/cmd/kube-controller-manager",
				"kube-scheduler":          "k8s.io/kubernetes/cmd/kube-scheduler",
				"etcd":                    "go.etcd.io/etcd/server/v3",
			},
			// Without it kubectl cannot read the server's version.
			ldflags: "-X k8s.io/component-base/version.gitVersion=" + kubernetesVersion,
		},
		{dir: "kwok", programs: map[string]string{"kwok": "sigs.k8s.io/kwok/cmd/kwok"}},
		argo,
		{
			dir:      "argo-rollouts",
			programs: map[string]string{"rollouts-controller": "github.com/argoproj/argo-rollouts/cmd/rollouts-controller"},
			module:   "github.com/argoproj/argo-rollouts",
			assets:   map[string]string{"rollouts-crds": "manifests/crds"},
		},
		{
			dir:    "external-secrets",
			module: "github.com/external-secrets/external-secrets",
			assets: map[string]string{secretsCRD: "config/crds/bases/external-secrets.io_externalsecrets.yaml"},
		},
	}, nil
}

// binaries are where the programs and assets of each toolset are, by their names;
// "root" is idp's own module.
type binaries map[string]string

// Build builds what a cluster needs and is not built yet.
func Build(ctx context.Context, o Options) error {
	if o.ArgoCD == "" {
		o.ArgoCD = ArgoCD35
	}
	if err := missing(exec.LookPath); err != nil {
		return err
	}
	_, err := build(ctx, o)
	return err
}

func build(ctx context.Context, o Options) (binaries, error) {
	root, err := moduleRoot()
	if err != nil {
		return nil, err
	}
	sets, err := toolsets(o.ArgoCD)
	if err != nil {
		return nil, err
	}
	out := binaries{"root": root}
	for _, set := range sets {
		dir, err := set.build(ctx, filepath.Join(root, "testdata", "cluster", set.dir), o)
		if err != nil {
			return nil, err
		}
		for name := range set.programs {
			out[name] = filepath.Join(dir, name)
		}
		for name := range set.assets {
			out[name] = filepath.Join(dir, filepath.FromSlash(name))
		}
	}
	return out, nil
}

// build returns the folder with everything of the set, which it makes where it is
// not there. Two that build at once wait for each other.
func (s tools) build(ctx context.Context, module string, o Options) (string, error) {
	key, err := s.key(module)
	if err != nil {
		return "", err
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("find the user's cache folder: %w", err)
	}
	cache = filepath.Join(cache, "idp-cluster")
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return "", fmt.Errorf("make the cache folder: %w", err)
	}
	dir := filepath.Join(cache, s.dir+"-"+key)
	unlock, err := lockedfile.MutexAt(dir + ".lock").Lock()
	if err != nil {
		return "", fmt.Errorf("lock %s: %w", dir, err)
	}
	defer unlock()
	if _, err := os.Stat(dir); err == nil {
		return dir, nil
	}
	made, err := os.MkdirTemp(cache, s.dir+"-")
	if err != nil {
		return "", fmt.Errorf("make a folder to build in: %w", err)
	}
	defer os.RemoveAll(made) // nothing is left of it after a success
	for _, name := range slices.Sorted(maps.Keys(s.programs)) {
		pkg := s.programs[name]
		err := step(o, "build "+name, func() error {
			_, err := goTool(ctx, module, "build", "-ldflags", "-s -w "+s.ldflags, "-o", filepath.Join(made, name), pkg)
			return err
		})
		if err != nil {
			return "", fmt.Errorf("build %s: %w", name, err)
		}
	}
	if err := s.copyAssets(ctx, module, made); err != nil {
		return "", err
	}
	return dir, os.Rename(made, dir)
}

// key changes with everything that decides what is built.
func (s tools) key(module string) (string, error) {
	sum := sha256.New()
	fmt.Fprintf(sum, "%s %s %s %v %v %s\n", runtime.Version(), runtime.GOOS, runtime.GOARCH, s.programs, s.assets, s.ldflags)
	for _, file := range []string{"go.mod", "go.sum"} {
		content, err := os.ReadFile(filepath.Join(module, file))
		if err != nil {
			return "", fmt.Errorf("read what %s is built from: %w", s.dir, err)
		}
		sum.Write(content)
	}
	return hex.EncodeToString(sum.Sum(nil))[:12], nil
}

// copyAssets copies what is taken of the module's files.
func (s tools) copyAssets(ctx context.Context, module, to string) error {
	if len(s.assets) == 0 {
		return nil
	}
	// Where a program was built of it, it is there already.
	if _, err := goTool(ctx, module, "mod", "download", s.module); err != nil {
		return fmt.Errorf("download %s: %w", s.module, err)
	}
	out, err := goTool(ctx, module, "list", "-m", "-f", "{{.Dir}}", s.module)
	if err != nil {
		return fmt.Errorf("find %s: %w", s.module, err)
	}
	from := os.DirFS(strings.TrimSpace(string(out)))
	for target, source := range s.assets {
		err := fs.WalkDir(from, source, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			content, err := fs.ReadFile(from, path)
			if err != nil {
				return err
			}
			file := filepath.Join(to, filepath.FromSlash(target), strings.TrimPrefix(strings.TrimPrefix(path, source), "/"))
			if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
				return err
			}
			// Modules lose the run bits of their scripts.
			return os.WriteFile(file, content, 0o755)
		})
		if err != nil {
			return fmt.Errorf("copy %s of %s: %w", source, s.module, err)
		}
	}
	return nil
}

// goTool runs the go command in a module of testdata/cluster.
func goTool(ctx context.Context, module string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, "go", append([]string{"-C", module}, args...)...)
	cmd.Env = append(os.Environ(), "GOFLAGS=-mod=readonly", "GOWORK=off")
	// It ends its compilers and removes what it wrote, where it is asked to.
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = goStopTimeout
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go %s: %w\n%s", strings.Join(args, " "), err, strings.TrimSpace(stderr.String()))
	}
	return out, nil
}

// moduleRoot looks for idp's own module from the working directory upwards.
func moduleRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("find the module's root: %w", err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "testdata", "cluster")); err == nil {
			return dir, nil
		} else if !errors.Is(err, fs.ErrNotExist) {
			return "", fmt.Errorf("find the module's root: %w", err)
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", errors.New("find the module's root: no testdata/cluster above the working directory")
		}
		dir = parent
	}
}
