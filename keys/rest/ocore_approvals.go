package rest

import (
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/keys/wire"
)

var approvalStatuses = func() (out []string) {
	for _, s := range keys.ApprovalStatuses() {
		out = append(out, string(s))
	}
	return out
}()

var approvalParams = []param{
	limitParam,
	{name: "cursor", kind: "string", format: "uuid", doc: "The value of next from the page before.",
		example: "0197c1de-7a10-7c3e-9b1f-2f4f5a6b7c8d"},
	{name: "status", kind: "string", enum: approvalStatuses, doc: "Only approvals of this status.", example: "pending"},
}

func approvalQuery(c *call) (q keys.CallApprovalQuery, err error) {
	if q.Limit, err = c.number(limitParam); err != nil {
		return q, err
	}
	if q.Before, err = c.query("cursor"); err != nil {
		return q, err
	}
	status, err := c.query("status")
	if err != nil {
		return q, err
	}
	if id, err := uuid.Parse(q.Before); q.Before != "" && (err != nil || id.String() != q.Before) {
		return q, badQuery("cursor", "must be the value of next from the page before")
	}
	if status != "" && !slices.Contains(approvalStatuses, status) {
		return q, badQuery("status", "must be one of "+strings.Join(approvalStatuses, ", "))
	}
	q.Status = keys.ApprovalStatus(status)
	return q, nil
}

func decision(c *call, body wire.DecideApproval) (decideCall, error) {
	return decideCall{c.id(), body.Reason.Value}, nil
}

func approvalList(_ *call, p approvalPage) wire.ApprovalPage {
	return wire.ApprovalPageOf(p.list, p.limit)
}

func oneApproval(_ *call, a keys.ShownApproval) wire.ShownApproval { return wire.ShownApprovalOf(a) }
