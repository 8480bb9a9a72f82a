package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/keys/wire"
)

func (c *cli) approvals() *cobra.Command {
	g := group("approvals", "See calls that wait for a person, and approve or deny them",
		c.approvalsList(), c.approvalsShow(),
		c.approvalsDecide("approve ID", "Approve a call that waits: it is made, once", true),
		c.approvalsDecide("deny ID", "Deny a call that waits", false))
	g.Long = "See calls that wait for a person, and approve or deny them: in the store on this\n" +
		"machine (--data, --database-url), as its operator, or with --url on a running server,\n" +
		"as the key that is given there with BAILIWICK_KEY or --key-file; it needs\n" +
		"view:approvals, and to see arguments or to answer manage:approvals.\n\n" +
		"An approval lets one call through, with the arguments that it is about. A denial holds\n" +
		"for that call until the approval expires. Nobody answers for calls of their own key.\n\n" +
		"BAILIWICK_APPROVALS_URL sets --url for all of these commands."
	return g
}

// onApprovals makes a command that works on the approvals of the local store or of a
// server.
func (c *cli) onApprovals(use, short string, args cobra.PositionalArgs, fn func(cmd *cobra.Command, out *output) keyAct) *cobra.Command {
	return c.onRing("BAILIWICK_APPROVALS_URL", use, short, args, fn)
}

// anyStatus lists approvals whatever has become of them.
const anyStatus = "any"

func (c *cli) approvalsList() *cobra.Command {
	return c.onApprovals("list", "List calls that wait for approval, newest first", exactly(), func(cmd *cobra.Command, out *output) keyAct {
		var status, cursor string
		var limit int
		cmd.Flags().StringVar(&status, "status", string(keys.ApprovalPending), "only this `status`: "+strings.Join(choices["status"], ", "))
		cmd.Flags().IntVar(&limit, "limit", keys.DefaultApprovalLimit, "how many, 200 at most")
		cmd.Flags().StringVar(&cursor, "cursor", "", "go on behind this `id`, which the list before ended with")
		cmd.Example = "  bailiwick approvals list\n  bailiwick approvals list --status any -o json"
		return func(ctx context.Context, ring keyring, _ []string) error {
			q, err := approvalQuery(status, cursor, limit)
			if err != nil {
				return err
			}
			page, err := ring.Approvals(ctx, q)
			if err != nil {
				return err
			}
			rows := make([]row, len(page.Approvals))
			for i, a := range page.Approvals {
				rows[i] = row{a.ID, a.Status, a.Tool, approvalCaller(a), orDash(orNone(a.Client)), when(&a.CreatedAt), when(&a.ExpiresAt)}
			}
			if err := out.write(c.out, page, row{"ID", "STATUS", "TOOL", "KEY", "CLIENT", "ASKED", "EXPIRES"}, rows); err != nil {
				return err
			}
			if page.Next != nil && out.format == "table" {
				fmt.Fprintf(c.errs, "There are more: --cursor %s\n", *page.Next)
			}
			return nil
		}
	})
}

func approvalQuery(status, cursor string, limit int) (q keys.CallApprovalQuery, err error) {
	id, bad := uuid.Parse(cursor)
	switch {
	case !slices.Contains(choices["status"], status):
		return q, &usageError{"--status must be one of " + strings.Join(choices["status"], ", "), "see --help"}
	case limit < 1 || limit > auditPageLimit:
		return q, &usageError{fmt.Sprintf("--limit must be from 1 to %d", auditPageLimit), "go on with --cursor"}
	case cursor != "" && (bad != nil || id.String() != cursor):
		return q, &usageError{"--cursor must be the id that the list before ended with", "leave it out to begin with the newest"}
	}
	if status != anyStatus {
		q.Status = keys.ApprovalStatus(status)
	}
	q.Before, q.Limit = cursor, limit
	return q, nil
}

// approvalCaller is who calls, as people know it.
func approvalCaller(a wire.Approval) string {
	if handle := orNone(a.KeyHandle); handle != "" {
		return handle
	}
	return a.Actor
}

func (c *cli) approvalsShow() *cobra.Command {
	cmd := c.onApprovals("show ID", "Show a call that waits for approval, with its arguments", exactly("ID"), func(_ *cobra.Command, out *output) keyAct {
		return func(ctx context.Context, ring keyring, args []string) error {
			a, err := ring.Approval(ctx, args[0])
			if err != nil {
				return absent(err, "approval", args[0])
			}
			return c.writeApproval(out, a)
		}
	})
	cmd.SuggestFor = []string{"get"}
	return cmd
}

func (c *cli) approvalsDecide(use, short string, approve bool) *cobra.Command {
	return c.onApprovals(use, short, exactly("ID"), func(cmd *cobra.Command, out *output) keyAct {
		var reason string
		cmd.Flags().StringVar(&reason, "reason", "", "why, in a `text` for the audit trail; a denied client is told")
		verb, _, _ := strings.Cut(use, " ")
		cmd.Example = "  bailiwick approvals " + verb + " 0197c1de-7a10-7c3e-9b1f-2f4f5a6b7c8d --reason 'as agreed'"
		return func(ctx context.Context, ring keyring, args []string) error {
			a, err := ring.Decide(ctx, args[0], approve, wire.DecideApproval{Reason: given(cmd.Flags(), "reason", reason)})
			if err != nil {
				return absent(err, "approval", args[0])
			}
			return c.writeApproval(out, a)
		}
	})
}

func (c *cli) writeApproval(out *output, a wire.ShownApproval) error {
	arguments := string(a.Arguments)
	switch {
	case a.ArgumentsOmitted:
		arguments = "too large to be kept; digest " + a.ArgsDigest
	case arguments == "null":
		arguments = "-"
	}
	rows := []row{{"id", a.ID}, {"status", a.Status}, {"action", a.Action}, {"tool", a.Tool}, {"key", approvalCaller(a.Approval)},
		{"client", orDash(orNone(a.Client))}, {"arguments", arguments}, {"asked", when(&a.CreatedAt)}, {"expires", when(&a.ExpiresAt)}}
	for _, more := range []row{{"decided by", orEmpty(a.DecidedBy)}, {"reason", orEmpty(a.Reason)}} {
		if more[1] != "" {
			rows = append(rows, more)
		}
	}
	if a.UsedAt != nil {
		rows = append(rows, row{"used", when(a.UsedAt)})
	}
	return out.write(c.out, a, nil, rows)
}

func approvalStatuses() (out []string) {
	for _, s := range keys.ApprovalStatuses() {
		out = append(out, string(s))
	}
	return out
}
