package main

import (
	"fmt"
	"io/fs"
	"os"
	"path"
	"time"

	"github.com/spf13/cobra"

	"github.com/idp-bot/idp/gitops"
	"github.com/idp-bot/idp/gitops/fault"
	"github.com/idp-bot/idp/gitops/policy"
)

func newPolicy(p *program) *cobra.Command {
	cmd := &cobra.Command{Use: "policy", Short: "Look at guardrails, and test them"}
	asGroup(cmd)
	cmd.AddCommand(newPolicyList(p), newPolicyTest(p))
	return cmd
}

func newPolicyList(p *program) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "list [NAME]",
		Short: "List the policies that are on by default, or print one",
		Long: `Lists the starter set: the policies that are on unless platform/policies/settings.yaml
of the GitOps repository says otherwise. With a name it prints that policy's Rego, to
read or to start one's own from.`,
		Example:           "  idp policy list\n  idp policy list limits",
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	output := addOutputFlag(cmd)
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		facts := []starterFacts{}
		lines := table{header: []string{"NAME", "BY DEFAULT", "WHAT IT HOLDS"}}
		var names []string
		for _, one := range policy.Starter() {
			if len(args) > 0 && args[0] == one.Name {
				_, err := fmt.Fprint(p.stdout, one.Source)
				return wrapOutput(err)
			}
			names = append(names, one.Name)
			facts = append(facts, starterFacts{one.Name, one.Title, one.Level, one.Description})
			lines.rows = append(lines.rows, []string{one.Name, one.Level, one.Title})
		}
		if len(args) > 0 {
			err := fault.Newf(fault.Usage, "the starter set has no policy %q", args[0])
			if near := nearest(args[0], names); near != "" {
				return err.WithHint("did you mean %q?", near)
			}
			return err.WithHint(`"idp policy list" lists them`)
		}
		return output.print(p.stdout, p.styled(p.stdout), facts, lines)
	}
	return cmd
}

// starterFacts is a policy of the starter set as scripts see it; its names are a contract.
type starterFacts struct {
	Name        string `json:"name"`
	Title       string `json:"title"`
	Default     string `json:"default"`
	Description string `json:"description"`
}

func newPolicyTest(p *program) *cobra.Command {
	var own bool
	cmd := &cobra.Command{
		Use:   "test DIR",
		Short: "Run the tests of policies",
		Long: `Runs the rules test_… in the *_test.rego files of a folder of policies, as "opa test"
does, beside the starter set and with the settings of the folder's settings.yaml. The
folder is one of policies itself, or a checkout of the GitOps repository that has them
in platform/policies. Ends with exit status 3 where policies are broken, 1 where a test
fails.`,
		Example:           "  idp policy test platform/policies\n  idp policy test --starter .",
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	cmd.Flags().BoolVar(&own, "starter", false, "run the tests of the starter set too")
	output := addOutputFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		files, err := readPolicies(args[0])
		if err != nil {
			return err
		}
		tests, err := policy.Test(cmd.Context(), files, own)
		if err != nil {
			return brokenPolicies(err)
		}
		return p.printTested(*output, args[0], tests)
	}
	return cmd
}

// testedFacts is one test as scripts see it; its names are a contract.
type testedFacts struct {
	Test   string `json:"test"`
	File   string `json:"file"`
	Line   int    `json:"line"`
	Result string `json:"result"`
	// Error is why it could not be asked.
	Error   string  `json:"error,omitempty"`
	Seconds float64 `json:"seconds"`
}

func (p *program) printTested(output format, dir string, tests []policy.Tested) error {
	facts := []testedFacts{}
	lines := table{header: []string{"RESULT", "TEST", "WHERE", "TOOK"}}
	failed := 0
	for _, t := range tests {
		f := testedFacts{Test: t.Package + "." + t.Name, File: t.File, Line: t.Line, Result: "pass", Seconds: t.Took.Seconds()}
		switch {
		case t.Skipped:
			f.Result = "skip"
		case !t.Passed:
			f.Result = "fail"
			failed++
		}
		if t.Err != nil {
			f.Error = t.Err.Error()
		}
		facts = append(facts, f)
		lines.rows = append(lines.rows, []string{f.Result, f.Test, fmt.Sprintf("%s:%d", f.File, f.Line), t.Took.Round(10 * time.Microsecond).String()})
	}
	if err := output.print(p.stdout, p.styled(p.stdout), facts, lines); err != nil {
		return err
	}
	switch {
	case len(tests) == 0:
		return fault.New(fault.Failure, "there are no tests in "+dir, "write rules named test_… into a file *_test.rego there")
	case failed > 0:
		return fault.Newf(fault.Failure, "%s of %d failed", plural(failed, "test"), len(tests))
	}
	return nil
}

// brokenPolicies is the error of policies that do not parse or compile; its text names
// the places.
func brokenPolicies(err error) error {
	return fault.New(fault.Invalid, err.Error(), "idp deploys nothing new while policies are broken")
}

// readPolicies reads a folder of policies, or that of a checkout, as the bot reads it in
// the GitOps repository.
func readPolicies(dir string) ([]gitops.File, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fault.New(fault.Invalid, fmt.Sprintf("cannot read %s: %s", dir, reason(err)), "name a folder of policies, or a checkout that has "+policy.Dir)
	}
	defer root.Close()
	folder := "."
	if info, err := root.Stat(policy.Dir); err == nil && info.IsDir() {
		folder = policy.Dir
	}
	entries, err := fs.ReadDir(root.FS(), folder)
	if err != nil {
		return nil, fault.New(fault.Invalid, fmt.Sprintf("cannot read %s: %s", dir, reason(err)), "")
	}
	var files []gitops.File
	for _, entry := range entries {
		ext := path.Ext(entry.Name())
		if !entry.Type().IsRegular() || ext != ".rego" && ext != ".yaml" && ext != ".yml" && ext != ".json" {
			continue
		}
		content, err := readLimited(root, path.Join(folder, entry.Name()), maxSpecFile)
		if err != nil {
			return nil, fault.New(fault.Invalid, fmt.Sprintf("cannot read %s: %s", entry.Name(), reason(err)), "")
		}
		files = append(files, gitops.File{Path: policy.Dir + "/" + entry.Name(), Content: content})
	}
	return files, nil
}
