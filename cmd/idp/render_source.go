package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/idp-bot/idp/gitops/source"
)

// newRenderSource is the child that "idp serve" renders charts, overlays and manifests in.
// It is for nobody to type: it gives up all that a process may have and waits for work on
// its standard input.
func newRenderSource(*program) *cobra.Command {
	return &cobra.Command{
		Use:    source.Command,
		Short:  "Render a chart, an overlay or manifests, for idp serve",
		Hidden: true,
		Args:   noArgs,
		RunE: func(*cobra.Command, []string) error {
			if status := source.Child(os.Stdin, os.Stdout, os.Stderr); status != 0 {
				return fmt.Errorf("render a source: status %d", status)
			}
			return nil
		},
	}
}
