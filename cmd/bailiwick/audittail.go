package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/keys/wire"
)

func (c *cli) auditTail() *cobra.Command {
	var (
		f        auditFlags
		out      output
		follow   bool
		last     int
		lookback time.Duration
	)
	cmd := &cobra.Command{Use: "tail", Short: "Show the end of the audit trail, and follow it",
		Long: "Show the last events of the audit trail, oldest first, and with --follow new ones as\n" +
			"they are written. With -o json each event is one line.\n\n" +
			"A server that did not reach its database writes events late. They are shown when\n" +
			"they come, if they are of the last --lookback; bailiwick audit list shows older ones.",
		Example: "  bailiwick audit tail -f --decision deny"}
	f.flags(cmd)
	out.flag(cmd)
	flags := cmd.Flags()
	flags.BoolVarP(&follow, "follow", "f", false, "go on with new events, until it is interrupted")
	flags.IntVarP(&last, "lines", "n", 10, "how many of the events that are there to begin with")
	flags.DurationVar(&lookback, "lookback", 5*time.Minute, "with --follow, how late an event may be written")
	cmd.PreRunE = func(cmd *cobra.Command, _ []string) error {
		switch {
		case last < 0:
			return &usageError{"--lines must not be negative", "see --help"}
		case lookback < nearWindow:
			return &usageError{"--lookback must be at least " + nearWindow.String(), "see --help"}
		}
		return out.check()
	}
	return c.onTrail(cmd, &f, func(ctx context.Context, ring keyring, q keys.AuditQuery) error {
		signal.Ignore(syscall.SIGPIPE) // a reader that has had enough is no fault
		show := c.auditLines(&out)
		var err error
		if follow {
			t := newFollower(ring, q, lookback)
			err = t.run(ctx, last, show, func(text string) { fmt.Fprintln(c.errs, text) })
		} else if last > 0 {
			var page wire.AuditPage
			page, err = manyEvents(ctx, ring, q, last)
			slices.Reverse(page.Events)
			err = errors.Join(err, show(page.Events))
		}
		if errors.Is(err, syscall.EPIPE) || errors.Is(err, io.ErrClosedPipe) || ctx.Err() != nil {
			return nil
		}
		return err
	})
}

// auditLines writes events as they come: columns of a fixed width, for what
// will come is not known.
func (c *cli) auditLines(out *output) func([]wire.AuditEvent) error {
	const columns = "%-24s  %-15s  %-36s  %-32s  %-20s  %-16s  %s\n"
	header := out.format == "table"
	return func(events []wire.AuditEvent) error {
		var b strings.Builder
		for _, e := range events {
			if out.format == "json" {
				if err := writeLine(&b, e); err != nil {
					return err
				}
				continue
			}
			if header {
				header = false
				fmt.Fprintf(&b, columns, cells(auditHeader)...)
			}
			fmt.Fprintf(&b, columns, cells(auditRow(e))...)
		}
		_, err := io.WriteString(c.out, b.String())
		return err
	}
}

func cells(r row) []any {
	out := make([]any, len(r))
	for i, cell := range r {
		out[i] = printable(cell)
	}
	return out
}
