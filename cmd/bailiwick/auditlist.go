package main

import (
	"cmp"
	"context"
	"fmt"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/keys/wire"
)

func (c *cli) auditList() *cobra.Command {
	var (
		f      auditFlags
		out    output
		limit  int
		cursor string
		all    bool
	)
	cmd := &cobra.Command{Use: "list", Short: "List the audit trail, newest first",
		Example: "  bailiwick audit list --decision deny --since 2h\n  bailiwick audit list --ref k3v7q2m5w4xa6bzc -o json"}
	f.flags(cmd)
	f.untilFlag(cmd)
	out.flag(cmd)
	flags := cmd.Flags()
	flags.IntVar(&limit, "limit", 50, "how many events")
	flags.StringVar(&cursor, "cursor", "", "go on behind this `id`, which the list before ended with")
	flags.BoolVar(&all, "all", false, "all events")
	cmd.PreRunE = func(cmd *cobra.Command, _ []string) error {
		id, err := uuid.Parse(cursor)
		switch {
		case limit < 1:
			return &usageError{"--limit must be at least 1", "see --help"}
		case all && cmd.Flags().Changed("limit"):
			return &usageError{"--all and --limit do not go together", "keep one of them"}
		case cursor != "" && (err != nil || id.String() != cursor):
			return &usageError{"--cursor must be the id that the list before ended with", "leave it out to begin with the newest"}
		}
		return out.check()
	}
	return c.onTrail(cmd, &f, func(ctx context.Context, ring keyring, q keys.AuditQuery) error {
		if all {
			limit = 0
		}
		q.Before = cursor
		page, err := manyEvents(ctx, ring, q, limit)
		if err != nil {
			return err
		}
		rows := make([]row, len(page.Events))
		for i, e := range page.Events {
			rows[i] = auditRow(e)
		}
		if err := out.write(c.out, page, auditHeader, rows); err != nil {
			return err
		}
		if page.Next != nil && out.format == "table" {
			fmt.Fprintf(c.errs, "There are more: --cursor %s\n", *page.Next)
		}
		return nil
	})
}

// manyEvents collects pages, up to limit events; 0 = all.
func manyEvents(ctx context.Context, ring keyring, q keys.AuditQuery, limit int) (all wire.AuditPage, err error) {
	all.Events = []wire.AuditEvent{}
	for {
		if limit > 0 {
			q.Limit = min(auditPageLimit, limit-len(all.Events))
		}
		page, err := ring.Events(ctx, q)
		if err != nil {
			return all, err
		}
		all.Events, all.Next = append(all.Events, page.Events...), page.Next
		if page.Next == nil || len(all.Events) == limit {
			return all, nil
		}
		q.Before = *page.Next
	}
}

var auditHeader = row{"TIME", "DECISION", "KEY", "TOOL", "REASON", "REF", "CLIENT"}

// auditRow is an event as a line: of a change, the tool is what was done.
func auditRow(e wire.AuditEvent) row {
	decision, tool, reason := orNone(e.Decision), orNone(e.Tool), ""
	if outcome := orNone(e.Outcome); outcome != "" {
		decision += " " + outcome
	}
	if tool == "" {
		tool = e.Action
		if subject := orNone(e.Subject); subject != "" {
			tool += " " + subject
		}
	}
	if len(e.Failed) > 0 {
		reason = e.Failed[0]
	}
	return row{e.Time.UTC().Format("2006-01-02T15:04:05.000Z"), cmp.Or(decision, e.Kind), cmp.Or(orNone(e.KeyID), e.Actor),
		tool, orDash(reason), orDash(orNone(e.Ref)), orDash(orNone(e.Client))}
}
