package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/idp-bot/idp/gitops/fault"
	"github.com/idp-bot/idp/previews"
	"github.com/idp-bot/idp/previews/store"
)

func newDeliveries(p *program) *cobra.Command {
	cmd := &cobra.Command{Use: "deliveries", Short: "Look at webhooks that were stored, and handle again what was given up"}
	asGroup(cmd)
	cmd.AddCommand(newDeliveriesList(p), newDeliveriesShow(p), newDeliveriesReplay(p))
	return cmd
}

// deliveryStates are those that "idp deliveries list" can be asked for.
var deliveryStates = []string{string(store.DeliveryDead), string(store.DeliveryPending), string(store.DeliveryDone), "all"}

func newDeliveriesList(p *program) *cobra.Command {
	state, limit := "", 0
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List deliveries, the newest first",
		Long: `Lists the webhooks that idp has stored, the newest first: unless asked otherwise those
that were given up after their last attempt, with what that failed with. It reads the
database, beside a running "idp serve" or without one.`,
		Example: `  idp deliveries list
  idp deliveries list --state pending -o json`,
		Args:              noArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	cmd.Flags().StringVar(&state, "state", string(store.DeliveryDead), "only those in this state: "+strings.Join(deliveryStates, ", "))
	cmd.Flags().IntVar(&limit, "limit", 50, "the most to list")
	// The flag was just defined: the only error there is cannot be.
	_ = cmd.RegisterFlagCompletionFunc("state", cobra.FixedCompletions(deliveryStates, cobra.ShellCompDirectiveNoFileComp))
	output := addOutputFlag(cmd)
	config := addConfigFlags(cmd, databaseKey)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		switch {
		case !slices.Contains(deliveryStates, state):
			return fault.Newf(fault.Usage, "--state %s is no state of a delivery", state).WithHint("one of %s", strings.Join(deliveryStates, ", "))
		case limit < 1:
			return fault.Newf(fault.Usage, "--limit %d: expected 1 or more", limit)
		}
		wanted := store.DeliveryState(state)
		if state == "all" {
			wanted = ""
		}
		ctx := cmd.Context()
		return p.withStore(ctx, config, func(s *store.Store) error {
			all, err := s.Deliveries(ctx, wanted, limit)
			if err != nil {
				return err
			}
			facts := make([]deliveryFacts, 0, len(all))
			lines := table{header: []string{"GUID", "EVENT", "ABOUT", "RECEIVED", "STATE", "ATTEMPTS", "NOTE"}}
			for _, d := range all {
				f := deliveryFactsOf(d)
				facts = append(facts, f)
				lines.rows = append(lines.rows, []string{f.GUID, f.event(), f.about(), f.ReceivedAt.Format(time.DateTime), f.State, fmt.Sprint(f.Attempts), firstLine(cmp.Or(f.Error, f.Result))})
			}
			return output.print(p.stdout, p.styled(p.stdout), facts, lines)
		})
	}
	return cmd
}

func newDeliveriesShow(p *program) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "show GUID",
		Short: "Print one delivery, with what GitHub sent",
		Long: `Prints what idp knows of a delivery and the body that GitHub sent, which is kept until three
days after it was handled. Bodies are of private repositories too: mind where you paste them.`,
		Example:           `  idp deliveries show 72d3162e-cc78-11e3-81ab-4c9367dc0958`,
		Args:              guids(1),
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	config := addConfigFlags(cmd, databaseKey)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		ctx := cmd.Context()
		return p.withStore(ctx, config, func(s *store.Store) error {
			d, err := s.Delivery(ctx, args[0])
			if err != nil {
				return noDelivery(args[0], err)
			}
			f := deliveryFactsOf(d)
			if d.Payload != nil && json.Valid(d.Payload) {
				f.Payload = d.Payload
			}
			encoder := json.NewEncoder(p.stdout)
			encoder.SetIndent("", "  ")
			encoder.SetEscapeHTML(false)
			return encoder.Encode(f)
		})
	}
	return cmd
}

func newDeliveriesReplay(p *program) *cobra.Command {
	var dead bool
	cmd := &cobra.Command{
		Use:   "replay (GUID... | --dead)",
		Short: "Handle again what was given up",
		Long: `Gives deliveries that were given up another round of attempts: the running "idp serve" handles
them, or the next one. What they ask for is decided from how things stand by then, so that one
that is out of date does no harm. One that is pending or done is left as it is.`,
		Example: `  idp deliveries replay 72d3162e-cc78-11e3-81ab-4c9367dc0958
  idp deliveries replay --dead`,
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	cmd.Flags().BoolVar(&dead, "dead", false, "all that were given up")
	config := addConfigFlags(cmd, databaseKey)
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		if dead == (len(args) > 0) {
			return fault.New(fault.Usage, "expected GUIDs, or --dead for all that were given up", "idp deliveries list shows them")
		}
		return nil
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		ctx := cmd.Context()
		return p.withStore(ctx, config, func(s *store.Store) error {
			if dead {
				all, err := s.Deliveries(ctx, store.DeliveryDead, maxReplayed)
				if err != nil {
					return err
				}
				for _, d := range all {
					args = append(args, d.GUID)
				}
				slices.Reverse(args) // the oldest first, as they came
			}
			return p.replayDeliveries(ctx, s, args)
		})
	}
	return cmd
}

// maxReplayed bounds how many are replayed by one command.
const maxReplayed = 10_000

// replayDeliveries replays what it can, and tells what it could not and why.
func (p *program) replayDeliveries(ctx context.Context, s *store.Store, guids []string) error {
	var failed []error
	for _, guid := range guids {
		d, err := s.Delivery(ctx, guid)
		if err == nil {
			err = s.Replay(ctx, guid, p.operator())
		}
		switch {
		case err == nil:
			fmt.Fprintf(p.stdout, "%s is handled again\n", guid)
		case !errors.Is(err, previews.ErrNotFound):
			return err
		case d.GUID == "":
			failed = append(failed, noDelivery(guid, err))
		case d.State != store.DeliveryDead:
			failed = append(failed, fault.Newf(fault.Conflict, "%s is %s, and was left as it is", guid, d.State))
		default:
			failed = append(failed, fault.Newf(fault.NotFound, "the body of %s is not kept any more", guid).WithHint("GitHub can deliver it again: the App's settings, Advanced, Recent Deliveries"))
		}
	}
	return errors.Join(failed...)
}

func guids(n int) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		if len(args) != n {
			return fault.New(fault.Usage, "expected the GUID of a delivery", "idp deliveries list shows them")
		}
		return nil
	}
}

func noDelivery(guid string, err error) error {
	if errors.Is(err, previews.ErrNotFound) {
		return fault.Newf(fault.NotFound, "there is no delivery %s", guid).WithHint("idp deliveries list --state all shows those that there are; they are kept for 30 days")
	}
	return err
}

// deliveryFacts is one delivery as scripts see it; its names are a contract.
type deliveryFacts struct {
	GUID         string          `json:"guid"`
	Event        string          `json:"event"`
	Action       string          `json:"action,omitempty"`
	Repository   string          `json:"repository,omitempty"`
	RepositoryID int64           `json:"repositoryId,omitempty"`
	PR           int             `json:"pr,omitempty"`
	ReceivedAt   time.Time       `json:"receivedAt"`
	State        string          `json:"state"`
	Attempts     int             `json:"attempts"`
	Error        string          `json:"error,omitempty"`
	Result       string          `json:"result,omitempty"`
	Payload      json.RawMessage `json:"payload,omitempty"`
}

func deliveryFactsOf(d store.Delivery) deliveryFacts {
	var body struct {
		Repository struct {
			FullName string `json:"full_name"`
		} `json:"repository"`
	}
	_ = json.Unmarshal(d.Payload, &body) // the name is a help, and may be missing
	return deliveryFacts{
		GUID: d.GUID, Event: d.Event, Action: d.Action, Repository: body.Repository.FullName, RepositoryID: d.RepositoryID, PR: d.PR,
		ReceivedAt: d.ReceivedAt.UTC(), State: string(d.State), Attempts: d.Attempts, Error: d.Error, Result: d.Result,
	}
}

func (f deliveryFacts) event() string { return strings.TrimSuffix(f.Event+" "+f.Action, " ") }

// about is the pull request or the repository, by its name where that is still known.
func (f deliveryFacts) about() string {
	about := f.Repository
	if about == "" && f.RepositoryID != 0 {
		about = fmt.Sprintf("repository %d", f.RepositoryID)
	}
	if f.PR != 0 {
		about += fmt.Sprintf("#%d", f.PR)
	}
	return about
}

func firstLine(text string) string {
	line, _, _ := strings.Cut(text, "\n")
	return line
}
