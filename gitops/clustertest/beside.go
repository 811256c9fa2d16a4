package clustertest

import "context"

// Beside is a program that runs beside the cluster's own parts and ends with them,
// before they do. StopPart and StartPart know it by its name; its log is NAME.log in
// the cluster's folder.
type Beside struct {
	Name, Program string
	Args          []string
	// Env is added to what every part has: a HOME and a TMPDIR in the cluster's folder,
	// and this process' PATH.
	Env []string
	// Ready is no error once it is up.
	Ready func(context.Context) error
}

// StartBeside starts a program and waits until it is up.
func (c *Cluster) StartBeside(ctx context.Context, b Beside) error {
	return c.start(ctx, part{name: b.Name, program: b.Program, args: b.Args, env: b.Env, ready: b.Ready, down: b.Name + " is not ready"})
}
