package db

import (
	"context"
	"errors"
	"time"

	"github.com/uptrace/bun"

	"github.com/bailiwick-mcp/bailiwick/keys"
)

type approvalRow struct {
	bun.BaseModel `bun:"table:approvals"`
	ID            string `bun:",pk"`
	TenantID      string
	Status        string
	Actor         string
	KeyID         string
	KeyHandle     string
	KeyVersion    int64
	Action        string
	Subject       string
	Tool          string
	ArgsDigest    string
	Client        string
	Epoch         int64
	CreatedAt     time.Time
	ExpiresAt     time.Time
	DecidedBy     string
	DecidedAt     *time.Time
	Reason        string
	UsedAt        *time.Time
	Uses          int64
	Binding       []byte
	Sealed        []byte
}

func newApprovalRow(a *keys.CallApprovalRecord) *approvalRow {
	row := &approvalRow{
		ID: a.ID, TenantID: a.TenantID, Status: string(a.Status), Actor: a.Actor, KeyID: a.KeyID, KeyHandle: a.KeyHandle,
		KeyVersion: a.KeyVersion, Action: a.Action, Subject: a.Subject, Tool: a.Tool, ArgsDigest: a.ArgsDigest, Client: a.Client,
		Epoch: a.Epoch, CreatedAt: stamp(a.CreatedAt), ExpiresAt: stamp(a.ExpiresAt), DecidedBy: a.DecidedBy,
		DecidedAt: stampOrNil(a.DecidedAt), Reason: a.Reason, UsedAt: stampOrNil(a.UsedAt), Uses: a.Uses, Binding: a.Binding[:],
	}
	if len(a.Sealed) > 0 {
		row.Sealed = a.Sealed
	}
	return row
}

func (r *approvalRow) approval() (keys.CallApprovalRecord, error) {
	a := keys.CallApprovalRecord{
		CallApproval: keys.CallApproval{
			ID: r.ID, TenantID: r.TenantID, Status: keys.ApprovalStatus(r.Status), Actor: r.Actor, KeyID: r.KeyID,
			KeyHandle: r.KeyHandle, KeyVersion: r.KeyVersion, Action: r.Action, Subject: r.Subject, Tool: r.Tool,
			ArgsDigest: r.ArgsDigest, Client: r.Client, Epoch: r.Epoch, CreatedAt: r.CreatedAt.UTC(), ExpiresAt: r.ExpiresAt.UTC(),
			DecidedBy: r.DecidedBy, DecidedAt: stampOrNil(r.DecidedAt), Reason: r.Reason, UsedAt: stampOrNil(r.UsedAt),
		},
		Uses: r.Uses, Sealed: r.Sealed,
	}
	if len(r.Binding) != len(a.Binding) {
		return keys.CallApprovalRecord{}, errors.New("a stored binding has the wrong length")
	}
	copy(a.Binding[:], r.Binding)
	return a, nil
}

func (r *reader) CallApproval(ctx context.Context, tenantID, id string) (keys.CallApprovalRecord, error) {
	row, err := find[approvalRow](ctx, r, eq{"id", id}, eq{"tenant_id", tenantID})
	if err != nil {
		return keys.CallApprovalRecord{}, err
	}
	return row.approval()
}

func (r *reader) CallApprovals(ctx context.Context, tenantID string, q keys.CallApprovalQuery) ([]keys.CallApprovalRecord, error) {
	if !storable(tenantID) || !storable(q.Before) || !storable(string(q.Status)) {
		return []keys.CallApprovalRecord{}, nil
	}
	rows := []approvalRow{}
	limit := q.Limit
	if limit == 0 {
		limit = keys.DefaultApprovalLimit
	}
	s := r.tx.NewSelect().Model(&rows).Where("tenant_id = ?", tenantID).Order("id DESC").Limit(int64(limit))
	if q.Before != "" {
		s.Where("id < ?", q.Before)
	}
	if q.Binding != [32]byte{} {
		s.Where("binding = ?", q.Binding[:])
	}
	open := []string{string(keys.ApprovalPending), string(keys.ApprovalApproved)}
	switch q.Status {
	case "":
	case keys.ApprovalExpired:
		s.Where("status IN (?)", bun.List(open)).Where("expires_at <= ?", stamp(q.At))
	case keys.ApprovalPending, keys.ApprovalApproved:
		s.Where("status = ?", string(q.Status)).Where("expires_at > ?", stamp(q.At))
	default:
		s.Where("status = ?", string(q.Status))
	}
	if err := s.Scan(ctx); err != nil {
		return nil, fault(ctx, err)
	}
	list := make([]keys.CallApprovalRecord, len(rows))
	for i := range rows {
		var err error
		if list[i], err = rows[i].approval(); err != nil {
			return nil, err
		}
	}
	return list, nil
}

func (r *reader) PendingCalls(ctx context.Context, tenantID, actor string, at time.Time) (own, all int, err error) {
	if !storable(tenantID) || !storable(actor) {
		return 0, 0, nil
	}
	counted := []string{string(keys.ApprovalPending), string(keys.ApprovalWithdrawn)}
	count := func(where ...eq) int {
		q := r.tx.NewSelect().Model((*approvalRow)(nil)).Where("tenant_id = ?", tenantID).
			Where("status IN (?)", bun.List(counted)).Where("expires_at > ?", stamp(at))
		for _, c := range where {
			q.Where("? = ?", bun.Ident(c.column), c.value)
		}
		n, failed := q.Count(ctx)
		err = firstError(err, fault(ctx, failed))
		return int(n)
	}
	own, all = count(eq{"actor", actor}), count()
	return own, all, err
}

func (w *writer) InsertCallApproval(ctx context.Context, a *keys.CallApprovalRecord) error {
	if err := need[tenantRow](ctx, &w.reader, eq{"id", a.TenantID}); err != nil {
		return err
	}
	row := newApprovalRow(a)
	if err := checkTexts(row); err != nil {
		return err
	}
	res, err := w.tx.NewInsert().Model(row).On("CONFLICT (id) DO NOTHING").Exec(ctx)
	if err != nil {
		return fault(ctx, err)
	}
	if n, err := res.RowsAffected(); err != nil || n == 0 {
		return firstError(err, &idTaken)
	}
	w.beside = true
	*a, err = row.approval()
	return err
}

func (w *writer) UpdateCallApproval(ctx context.Context, a *keys.CallApprovalRecord, was keys.CallApprovalRecord) error {
	now, err := w.CallApproval(ctx, a.TenantID, a.ID)
	if err != nil {
		return err
	}
	row := newApprovalRow(a)
	if err := checkTexts(row); err != nil {
		return err
	}
	res, err := w.tx.NewUpdate().Model(row).Column("status", "decided_by", "decided_at", "reason", "used_at", "uses").WherePK().
		Where("status = ?", string(was.Status)).Where("uses = ?", was.Uses).Exec(ctx)
	if err != nil {
		return fault(ctx, err)
	}
	if n, err := res.RowsAffected(); err != nil || n == 0 {
		return firstError(err, keys.ErrVersion)
	}
	now.Status, now.DecidedBy, now.DecidedAt, now.Reason = a.Status, a.DecidedBy, stampOrNil(a.DecidedAt), a.Reason
	now.UsedAt, now.Uses = stampOrNil(a.UsedAt), a.Uses
	*a, w.beside = now, true
	return nil
}

func (w *writer) DropCallApprovals(ctx context.Context, expired time.Time) (int, error) {
	res, err := w.tx.NewDelete().Model((*approvalRow)(nil)).Where("expires_at <= ?", stamp(expired)).Exec(ctx)
	if err != nil {
		return 0, fault(ctx, err)
	}
	n, err := res.RowsAffected()
	w.beside = w.beside || n > 0
	return int(n), err
}
