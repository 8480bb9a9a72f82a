package main

import (
	"context"
	"net/http"
	"net/url"
	"strconv"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/keys/wire"
)

const approvalsPath = "/api/approvals"

func (l localKeys) Approvals(ctx context.Context, q keys.CallApprovalQuery) (wire.ApprovalPage, error) {
	limit := q.Limit
	q.Limit++
	list, err := l.svc.CallApprovals(ctx, l.p, q)
	return wire.ApprovalPageOf(list, limit), err
}

func (l localKeys) Approval(ctx context.Context, id string) (wire.ShownApproval, error) {
	a, err := l.svc.CallApproval(ctx, l.p, id)
	return wire.ShownApprovalOf(a), err
}

func (l localKeys) Decide(ctx context.Context, id string, approve bool, body wire.DecideApproval) (wire.ShownApproval, error) {
	a, err := l.svc.DecideCall(ctx, l.p, id, keys.ApprovalDecision{Approve: approve, Reason: body.Reason.Value})
	return wire.ShownApprovalOf(a), err
}

func (r remoteKeys) Approvals(ctx context.Context, q keys.CallApprovalQuery) (page wire.ApprovalPage, err error) {
	query := url.Values{"limit": {strconv.Itoa(q.Limit)}}
	for name, value := range map[string]string{"status": string(q.Status), "cursor": q.Before} {
		if value != "" {
			query.Set(name, value)
		}
	}
	err = r.server.do(ctx, apiRequest{method: http.MethodGet, path: approvalsPath, query: query}, &page)
	if page.Approvals == nil {
		page.Approvals = []wire.Approval{}
	}
	return page, r.noTenant(err)
}

func approvalPath(id string) string { return approvalsPath + "/" + url.PathEscape(id) }

func (r remoteKeys) Approval(ctx context.Context, id string) (a wire.ShownApproval, err error) {
	err = r.server.do(ctx, apiRequest{method: http.MethodGet, path: approvalPath(id)}, &a)
	return a, err
}

func (r remoteKeys) Decide(ctx context.Context, id string, approve bool, body wire.DecideApproval) (a wire.ShownApproval, err error) {
	verb := "/deny"
	if approve {
		verb = "/approve"
	}
	err = r.server.do(ctx, apiRequest{method: http.MethodPost, path: approvalPath(id) + verb}.with(body), &a)
	return a, err
}
