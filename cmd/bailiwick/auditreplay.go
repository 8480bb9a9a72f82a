package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/bailiwick-mcp/bailiwick/keys"
)

// maxDifferences is how many are told of one tenant; all are counted.
const maxDifferences = 1000

// replayed is what came of one tenant's decisions, as JSON.
type replayed struct {
	TenantID      string                    `json:"tenantId"`
	Slug          string                    `json:"slug"`
	Replayed      int64                     `json:"replayed"`
	Same          int64                     `json:"same"`
	Different     int64                     `json:"different"`
	NotReplayable map[keys.ReplaySkip]int64 `json:"notReplayable"`
	Differences   []difference              `json:"differences"` // the first ones
}

// difference is a decision that does not come out as it was recorded.
type difference struct {
	ID       string   `json:"id"`
	Epoch    int64    `json:"epoch"`
	Actor    string   `json:"actor"`
	Action   string   `json:"action"`
	Tool     string   `json:"tool"`
	Recorded decided  `json:"recorded"`
	Replayed *decided `json:"replayed"` // null where it could not be decided, for problem
	Problem  *string  `json:"problem"`
}

type decided struct {
	Decision string   `json:"decision"`
	Failed   []string `json:"failed"`
}

func (d *decided) String() string {
	return strings.TrimSpace(d.Decision + " " + strings.Join(d.Failed, " "))
}

func (c *cli) auditReplay() *cobra.Command {
	return c.onPlatform("replay", "Make recorded decisions again, and compare", exactly(), func(cmd *cobra.Command, out *output) act {
		var f auditFlags
		var tenant string
		cmd.Long = "Make the recorded decisions on requests over MCP again, of all tenants or one: each\n" +
			"with the policies as the trail's changes say they were at its edit, with the tool\n" +
			"as it was seen, and at its time. Exit code 1 and each event that comes out\n" +
			"otherwise, if one does: another decision, or other rules that failed.\n\n" +
			"What can't be decided again is counted, by why: unseen (recorded before what was\n" +
			"seen of the tool was, or of a name that is not kept), cut (retention took away\n" +
			"what decided), callTime (by arguments, limits or approvals, or allowed where there\n" +
			"were such rules; all other rules were compared), notMCP (by another door than MCP)."
		cmd.Example = "  bailiwick audit replay --since 24h\n  bailiwick audit replay --key note-taker -o json"
		flags := cmd.Flags()
		flags.StringVar(&tenant, "tenant", "", "only of this `tenant`, by id or slug")
		flags.StringVar(&f.key, "key", "", "only this `key`'s, by id, handle or name")
		f.sinceFlag(cmd)
		f.untilFlag(cmd)
		return func(ctx context.Context, svc *keys.Service, p keys.Principal, _ []string) error {
			q, err := f.query(time.Now())
			if err != nil {
				return err
			}
			tenants, err := tenantsOf(ctx, svc, p, tenant)
			if err != nil {
				return err
			}
			all, err := c.replayTenants(ctx, svc, tenants, &f, keys.ReplayQuery{Since: q.Since, Until: q.Until})
			if err != nil {
				return err
			}
			return c.writeReplayed(out, all)
		}
	})
}

// replayTenants replays the tenants' trails; with --key, those of the tenants that
// have the key.
func (c *cli) replayTenants(ctx context.Context, svc *keys.Service, tenants []keys.Tenant, f *auditFlags, q keys.ReplayQuery) ([]replayed, error) {
	q.Progress = c.progress()
	all := []replayed{}
	for i, t := range tenants {
		p, err := svc.Operator(ctx, t.ID)
		if err != nil {
			return nil, err
		}
		q.KeyID, err = f.find(ctx, localKeys{svc, p})
		if errors.Is(err, keys.ErrNotFound) && (len(all) > 0 || i < len(tenants)-1) {
			continue
		}
		if err != nil {
			return nil, err
		}
		one := replayed{TenantID: t.ID, Slug: t.Slug, NotReplayable: map[keys.ReplaySkip]int64{}, Differences: []difference{}}
		got, err := svc.ReplayAudit(ctx, p, q, func(d keys.ReplayDifference) error {
			if len(one.Differences) < maxDifferences {
				one.Differences = append(one.Differences, differenceOf(d))
			}
			return nil
		})
		if err != nil {
			return nil, fmt.Errorf("tenant %s: %w", t.Slug, err)
		}
		one.Replayed, one.Same, one.Different = got.Replayed(), got.Same, got.Different
		for _, skip := range keys.ReplaySkips {
			one.NotReplayable[skip] = got.Skipped[skip]
		}
		all = append(all, one)
	}
	return all, nil
}

// progress tells on a terminal how many events were read, once a second; nil
// elsewhere.
func (c *cli) progress() func(int64) {
	terminal, ok := c.errs.(*os.File)
	if !ok || !term.IsTerminal(int(terminal.Fd())) {
		return nil
	}
	told := time.Now()
	return func(n int64) {
		if time.Since(told) > time.Second {
			told = time.Now()
			fmt.Fprintf(c.errs, "\r%d events\r", n)
		}
	}
}

func differenceOf(d keys.ReplayDifference) difference {
	out := difference{ID: d.Entry.ID, Epoch: d.Entry.Epoch, Actor: d.Entry.Actor, Action: d.Entry.Action, Tool: d.Entry.Tool,
		Recorded: decided{d.Entry.Decision, append([]string{}, d.Entry.Failed...)}}
	if d.Problem != "" {
		out.Problem = &d.Problem
		return out
	}
	out.Replayed = &decided{d.Decision, d.Failed}
	return out
}

func (c *cli) writeReplayed(out *output, all []replayed) error {
	rows, told := []row{}, []row{}
	var replays, different int64
	var first difference
	for _, one := range all {
		if replays, different = replays+one.Replayed, different+one.Different; one.Different > 0 && len(told) == 0 {
			first = one.Differences[0]
		}
		var why []string
		for _, skip := range keys.ReplaySkips {
			if n := one.NotReplayable[skip]; n > 0 {
				why = append(why, fmt.Sprintf("%s %d", skip, n))
			}
		}
		rows = append(rows, row{one.Slug, fmt.Sprint(one.Replayed), fmt.Sprint(one.Same), fmt.Sprint(one.Different), orDash(strings.Join(why, ", "))})
		for _, d := range one.Differences {
			came := orNone(d.Problem)
			if d.Replayed != nil {
				came = d.Replayed.String()
			}
			told = append(told, row{d.ID, fmt.Sprint(d.Epoch), d.Actor, strings.TrimSpace(d.Action + " " + d.Tool), d.Recorded.String(), came})
		}
	}
	err := out.write(c.out, map[string]any{"ok": different == 0, "tenants": all}, row{"TENANT", "REPLAYED", "SAME", "DIFFERENT", "NOT REPLAYABLE"}, rows)
	if err == nil && out.format == "table" && len(told) > 0 {
		fmt.Fprintln(c.out)
		err = out.write(c.out, nil, row{"EVENT", "EPOCH", "ACTOR", "REQUEST", "RECORDED", "REPLAYED"}, told)
	}
	if err != nil || different == 0 {
		return err
	}
	return withHint(fmt.Errorf("%d of %d decisions do not come out as they were recorded; the first is event %s", different, replays, first.ID),
		"bailiwick audit verify tells whether an event or change was altered; docs/audit.md says what else it can be")
}
