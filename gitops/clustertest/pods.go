package clustertest

import (
	_ "embed"
	"fmt"
	"os"
	"strings"
	"time"
)

// What a pod does is its image's name: one whose repository ends in Crashes ends with
// status 1 again and again, one that ends in Unpullable cannot be pulled. All others
// become ready at once.
const (
	Crashes    = "-crashes"
	Unpullable = "-unpullable"
)

// kwokConfig is how kwok plays pods; $LOGS is the file that all of them log to.
//
//go:embed kwok.yaml
var kwokConfig string

func (c *Cluster) writeKwokConfig() error {
	if err := c.Log("listening on :8080"); err != nil {
		return err
	}
	content := strings.ReplaceAll(kwokConfig, "$LOGS", c.path("pods.log"))
	if err := os.WriteFile(c.path("kwok.yaml"), []byte(content), 0o600); err != nil {
		return fmt.Errorf("configure kwok: %w", err)
	}
	return nil
}

// Log makes these lines what every container has logged, this run and the last.
func (c *Cluster) Log(lines ...string) error {
	var out strings.Builder
	for _, line := range lines {
		// The format that container runtimes write and kubelets read.
		fmt.Fprintf(&out, "%s stdout F %s\n", time.Now().UTC().Format(time.RFC3339Nano), line)
	}
	if err := os.WriteFile(c.path("pods.log"), []byte(out.String()), 0o600); err != nil {
		return fmt.Errorf("write what pods log: %w", err)
	}
	return nil
}
