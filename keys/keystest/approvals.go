package keystest

import (
	"bytes"
	"context"
	"maps"
	"strings"
	"time"

	"github.com/bailiwick-mcp/bailiwick/keys"
)

func cloneApproval(a keys.CallApprovalRecord) keys.CallApprovalRecord {
	a.CreatedAt, a.ExpiresAt = stamp(a.CreatedAt), stamp(a.ExpiresAt)
	a.DecidedAt, a.UsedAt = stampOrNil(a.DecidedAt), stampOrNil(a.UsedAt)
	if a.Sealed = bytes.Clone(a.Sealed); len(a.Sealed) == 0 {
		a.Sealed = nil
	}
	return a
}

func (r *reader) CallApproval(ctx context.Context, tenantID, id string) (keys.CallApprovalRecord, error) {
	a, ok := r.state.approvals[id]
	return found(ctx, r, a, ok && a.TenantID == tenantID, cloneApproval)
}

func (r *reader) CallApprovals(ctx context.Context, tenantID string, q keys.CallApprovalQuery) ([]keys.CallApprovalRecord, error) {
	fits := func(a keys.CallApprovalRecord) bool {
		status := a.Status
		if (status == keys.ApprovalPending || status == keys.ApprovalApproved) && !a.ExpiresAt.After(stamp(q.At)) {
			status = keys.ApprovalExpired
		}
		return a.TenantID == tenantID && (q.Status == "" || q.Status == status) && (q.Before == "" || a.ID < q.Before) &&
			(q.Binding == [32]byte{} || q.Binding == a.Binding)
	}
	list := sorted(r.state.approvals, fits, cloneApproval, func(a, b keys.CallApprovalRecord) int { return strings.Compare(b.ID, a.ID) })
	limit := q.Limit
	if limit == 0 {
		limit = keys.DefaultApprovalLimit
	}
	return list[:min(limit, len(list))], r.check(ctx)
}

func (r *reader) PendingCalls(ctx context.Context, tenantID, actor string, at time.Time) (own, all int, err error) {
	for _, a := range r.state.approvals {
		waits := a.Status == keys.ApprovalPending || a.Status == keys.ApprovalWithdrawn
		if a.TenantID != tenantID || !waits || !a.ExpiresAt.After(stamp(at)) {
			continue
		}
		if all++; a.Actor == actor {
			own++
		}
	}
	return own, all, r.check(ctx)
}

func (w *writer) InsertCallApproval(ctx context.Context, a *keys.CallApprovalRecord) error {
	_, owner := w.state.tenants[a.TenantID]
	_, taken := w.state.approvals[a.ID]
	if err := w.insertable(ctx, owner, taken); err != nil {
		return err
	}
	return w.putApproval(a)
}

func (w *writer) UpdateCallApproval(ctx context.Context, a *keys.CallApprovalRecord, was keys.CallApprovalRecord) error {
	next, err := w.CallApproval(ctx, a.TenantID, a.ID)
	if err != nil {
		return err
	}
	if next.Status != was.Status || next.Uses != was.Uses {
		return keys.ErrVersion
	}
	next.Status, next.DecidedBy, next.DecidedAt, next.Reason = a.Status, a.DecidedBy, a.DecidedAt, a.Reason
	next.UsedAt, next.Uses = a.UsedAt, a.Uses
	*a = next
	return w.putApproval(a)
}

func (w *writer) putApproval(a *keys.CallApprovalRecord) error {
	if err := checkTexts(&a.CallApproval); err != nil {
		return err
	}
	*a = cloneApproval(*a)
	w.state.approvals[a.ID] = cloneApproval(*a)
	w.beside = true
	return nil
}

func (w *writer) DropCallApprovals(ctx context.Context, expired time.Time) (int, error) {
	if err := w.check(ctx); err != nil {
		return 0, err
	}
	before := len(w.state.approvals)
	maps.DeleteFunc(w.state.approvals, func(_ string, a keys.CallApprovalRecord) bool { return !a.ExpiresAt.After(stamp(expired)) })
	n := before - len(w.state.approvals)
	w.beside = w.beside || n > 0
	return n, nil
}
