package main

import (
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// version and commit are set by release builds with
// -ldflags "-X main.version=v1.2.3 -X main.commit=<sha>"; elsewhere what Go
// itself recorded in the binary is used.
var version, commit string

// build is what the program knows of its own making; its JSON names are a contract.
type build struct {
	Version string `json:"version"`
	Commit  string `json:"commit"`
	// Modified says that the tree held changes that are in no commit.
	Modified bool   `json:"modified,omitempty"`
	Go       string `json:"go"`
	Platform string `json:"platform"`
}

// buildOf puts the build together: linker flags first, then what Go recorded.
func buildOf(info *debug.BuildInfo) build {
	b := build{
		Version: version, Commit: commit,
		Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH,
	}
	if info == nil {
		info = &debug.BuildInfo{}
	}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			if b.Commit == "" {
				b.Commit = s.Value
			}
		case "vcs.modified":
			b.Modified = commit == "" && s.Value == "true"
		}
	}
	if b.Version == "" {
		b.Version = info.Main.Version
	}
	if b.Version == "" {
		b.Version = "(devel)"
	}
	if b.Commit == "" {
		b.Commit = "unknown"
	}
	return b
}

func newVersion(p *program) *cobra.Command {
	cmd := &cobra.Command{
		Use:               "version",
		Short:             "Print version, commit and Go release",
		Args:              noArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	output := addOutputFlag(cmd)
	cmd.RunE = func(*cobra.Command, []string) error {
		info, _ := debug.ReadBuildInfo()
		b := buildOf(info)
		return output.print(p.stdout, p.styled(p.stdout), b, table{
			header: []string{"VERSION", "COMMIT", "GO", "PLATFORM"},
			rows:   [][]string{{b.Version, b.Commit, b.Go, b.Platform}},
		})
	}
	return cmd
}

// buildVersion is the version alone, for logs and user agents.
func buildVersion() string {
	info, _ := debug.ReadBuildInfo()
	return buildOf(info).Version
}
