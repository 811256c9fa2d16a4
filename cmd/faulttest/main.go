// Command faulttest breaks idp in many ways, on this machine alone, and looks whether it
// holds.
//
//	go run ./cmd/faulttest [-rounds 20] [-for 10m] [-seed 1] [-database both] [-faults kill,git]
//
// It needs Go, git, and for -database postgres Debian's postgresql. It ends with 0 where
// every invariant held after every round.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/idp-bot/idp/cmd/faulttest/campaign"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	switch err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); {
	case errors.Is(err, flag.ErrHelp):
	case err != nil:
		fmt.Fprintln(os.Stderr, "\nerror:", err)
		os.Exit(1)
	}
}

// run plays what the arguments say. It is an error where something did not hold.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	began := time.Now()
	o := campaign.Options{Progress: func(line string) {
		fmt.Fprintf(stderr, "%7s  %s\n", time.Since(began).Round(time.Second), line)
	}}
	flags := flag.NewFlagSet("faulttest", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.IntVar(&o.Rounds, "rounds", 20, "the most `rounds` to play")
	flags.DurationVar(&o.For, "for", 0, "begin no round after this `time`; 0 for any")
	flags.Uint64Var(&o.Seed, "seed", uint64(began.UnixNano()/int64(time.Millisecond)%1_000_000), "of the first round; each has the next")
	flags.IntVar(&o.Kills, "kills", 10, "how often idp is killed in a round that kills it")
	flags.IntVar(&o.AtOnce, "at-once", 2, "how many rounds are played side by side")
	flags.StringVar(&o.Program, "idp", "", "idp's `binary`; by default it is built")
	database := flags.String("database", "both", "sqlite, postgres or both")
	faults := flags.String("faults", "", "what rounds are about, separated by commas; all by default:\n"+campaign.Describe())
	output := flags.String("o", "text", "how to print the report: text or json")
	if err := flags.Parse(args); err != nil {
		return err
	}
	switch *database {
	case "both":
	case string(campaign.SQLite), string(campaign.Postgres):
		o.Databases = []campaign.Database{campaign.Database(*database)}
	default:
		return fmt.Errorf("-database %s: expected sqlite, postgres or both", *database)
	}
	if *faults != "" {
		o.Faults = strings.Split(*faults, ",")
	}
	if *output != "text" && *output != "json" {
		return fmt.Errorf("-o %s: expected text or json", *output)
	}
	fmt.Fprintf(stderr, "seed %d\n", o.Seed)
	report, err := campaign.Run(ctx, o)
	if err != nil {
		return err
	}
	print := report.Text
	if *output == "json" {
		print = report.JSON
	}
	if err := print(stdout); err != nil {
		return err
	}
	if !report.Held() {
		return errors.New("not everything held")
	}
	return nil
}
