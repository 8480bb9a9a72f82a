package rest

import (
	"context"

	"github.com/bailiwick-mcp/bailiwick/keys"
)

// approvalPage is one page of approvals and, where there are more, one beyond.
type approvalPage struct {
	list  []keys.CallApproval
	limit int
}

func (o operations) approvals(ctx context.Context, p keys.Principal, q keys.CallApprovalQuery) (approvalPage, error) {
	limit := q.Limit
	q.Limit++
	list, err := o.svc.CallApprovals(ctx, p, q)
	return approvalPage{list, limit}, err
}

type decideCall struct {
	id     string
	reason string
}

func (o operations) approveCall(ctx context.Context, p keys.Principal, r decideCall) (keys.ShownApproval, error) {
	return o.svc.DecideCall(ctx, p, r.id, keys.ApprovalDecision{Approve: true, Reason: r.reason})
}

func (o operations) denyCall(ctx context.Context, p keys.Principal, r decideCall) (keys.ShownApproval, error) {
	return o.svc.DecideCall(ctx, p, r.id, keys.ApprovalDecision{Reason: r.reason})
}
