package db

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"time"

	"github.com/uptrace/bun"

	"github.com/bailiwick-mcp/bailiwick/keys"
)

const defaultAuditLimit = 50

// The kinds of audit entry; see keys.AuditEntry.
const (
	kindDecision = "decision"
	kindCall     = "call"
	kindChange   = "change"
)

type auditRow struct {
	bun.BaseModel `bun:"table:audit"`
	ID            string `bun:",pk"`
	TenantID      string
	At            time.Time
	Kind          string
	Action        string
	Actor         string
	KeyID         string
	KeyVersion    int64
	Subject       string
	Tool          string
	Decision      string
	Failed        list
	Seen          string
	Ref           string
	ArgsDigest    string
	Outcome       string
	LatencyUs     int64
	Client        string
	Epoch         int64
	Detail        *string
	Writer        string
	Seq           int64
	Hash          string
}

// newAuditRow is the row of an entry as it is stored.
func newAuditRow(e *keys.AuditEntry) auditRow {
	row := auditRow{
		ID: e.ID, TenantID: e.TenantID, At: e.Time, Kind: e.Kind, Action: e.Action,
		Actor: e.Actor, KeyID: e.KeyID, KeyVersion: e.KeyVersion, Subject: e.Subject,
		Tool: e.Tool, Decision: e.Decision, Failed: e.Failed, Seen: e.Seen, Ref: e.Ref,
		ArgsDigest: e.ArgsDigest, Outcome: e.Outcome, LatencyUs: e.Latency.Microseconds(),
		Client: e.Client, Epoch: e.Epoch, Writer: e.Writer, Seq: e.Seq, Hash: e.Hash,
	}
	if e.Detail != nil {
		detail := string(e.Detail)
		row.Detail = &detail
	}
	return row
}

func newAuditRows(entries []keys.AuditEntry) []auditRow {
	rows := make([]auditRow, len(entries))
	for i := range entries {
		rows[i] = newAuditRow(&entries[i])
	}
	return rows
}

func (r *auditRow) entry() keys.AuditEntry {
	e := keys.AuditEntry{
		ID: r.ID, TenantID: r.TenantID, Time: r.At.UTC(), Kind: r.Kind, Action: r.Action,
		Actor: r.Actor, KeyID: r.KeyID, KeyVersion: r.KeyVersion, Subject: r.Subject,
		Tool: r.Tool, Decision: r.Decision, Failed: notNil(r.Failed), Seen: r.Seen, Ref: r.Ref,
		ArgsDigest: r.ArgsDigest, Outcome: r.Outcome, Latency: time.Duration(r.LatencyUs) * time.Microsecond,
		Client: r.Client, Epoch: r.Epoch, Writer: r.Writer, Seq: r.Seq, Hash: r.Hash,
	}
	if r.Detail != nil {
		e.Detail = json.RawMessage(*r.Detail)
		// Postgres has an order of its own for an object's members. What is no
		// JSON any more stays as it is, for whoever looks into it.
		if canonical, err := keys.CanonicalJSON(e.Detail); err == nil {
			e.Detail = canonical
		}
	}
	return e
}

func entriesOf(rows []auditRow) []keys.AuditEntry {
	entries := make([]keys.AuditEntry, len(rows))
	for i := range rows {
		entries[i] = rows[i].entry()
	}
	return entries
}

func (r *reader) Audit(ctx context.Context, tenantID string, q keys.AuditQuery) ([]keys.AuditEntry, error) {
	rows := []auditRow{}
	s := r.tx.NewSelect().Model(&rows).Where("tenant_id = ?", tenantID)
	if !storable(tenantID) || !storable(q.Before) || !storable(q.After) {
		return []keys.AuditEntry{}, nil
	}
	for _, c := range []eq{{"key_id", q.KeyID}, {"action", q.Action}, {"subject", q.Subject}, {"tool", q.Tool}, {"decision", q.Decision}, {"kind", q.Kind}, {"ref", q.Ref}} {
		if text := c.value.(string); text != "" {
			s.Where("? = ?", bun.Ident(c.column), clean(text))
		}
	}
	if q.Shadow != "" {
		s.Where(shadowDecision+" = ?", clean(q.Shadow))
	}
	if !q.Since.IsZero() {
		s.Where("at >= ?", stamp(q.Since))
	}
	if !q.Until.IsZero() {
		s.Where("at < ?", stamp(q.Until))
	}
	if q.Before != "" {
		s.Where("id < ?", q.Before)
	}
	if q.After != "" {
		s.Where("id > ?", q.After)
	}
	order := bun.OrderDesc
	if q.Oldest {
		order = bun.OrderAsc
	}
	limit := int64(q.Limit)
	if limit <= 0 {
		limit = defaultAuditLimit
	}
	if err := s.OrderBy("id", order).Limit(limit).Scan(ctx); err != nil {
		return nil, fault(ctx, err)
	}
	return entriesOf(rows), nil
}

// The parts of an entry's detail that say what the key's draft would have decided;
// SQLite and Postgres read both alike.
const (
	shadowDecision = "detail -> 'shadow' ->> 'decision'"
	shadowFailed   = "detail -> 'shadow' ->> 'failed'"
)

// AuditUse counts in the database, so that a long trail is not read; see keys.Reader.
func (r *reader) AuditUse(ctx context.Context, tenantID string, q keys.AuditUseQuery) ([]keys.AuditUse, error) {
	if !storable(tenantID) {
		return []keys.AuditUse{}, nil
	}
	var rows []struct {
		KeyID, Action, Subject, Tool, Decision, Shadow string
		ShadowFailed                                   sql.NullString
		Count                                          int
		Last                                           time.Time
	}
	alike := []string{"key_id", "action", "subject", "tool", "decision"}
	s := r.tx.NewSelect().Model((*auditRow)(nil)).Column(alike...)
	if q.Shadowed {
		s.ColumnExpr(shadowDecision + " AS shadow").ColumnExpr(shadowFailed + " AS shadow_failed").
			Where(shadowDecision + " IS NOT NULL")
		alike = append(alike, "shadow", "shadow_failed")
	}
	s.ColumnExpr("count(*) AS count").ColumnExpr("max(at) AS last").
		Where("tenant_id = ?", tenantID).Where("kind <> ?", kindChange).Where("at >= ?", stamp(q.Since)).
		Group(alike...).OrderExpr("count DESC").Order(alike...).
		Limit(int64(cmp.Or(q.Limit, keys.MaxAuditUse)))
	if q.KeyID != "" {
		s.Where("key_id = ?", clean(q.KeyID))
	}
	if err := s.Scan(ctx, &rows); err != nil {
		return nil, fault(ctx, err)
	}
	used := make([]keys.AuditUse, len(rows))
	for i, g := range rows {
		used[i] = keys.AuditUse{KeyID: g.KeyID, Action: g.Action, Subject: g.Subject, Tool: g.Tool,
			Decision: g.Decision, Shadow: g.Shadow, ShadowFailed: g.ShadowFailed.String, Count: g.Count, Last: g.Last.UTC()}
	}
	return used, nil
}

// AuditTrail pages through a tenant's trail from its beginning; see keys.Reader.
func (r *reader) AuditTrail(ctx context.Context, tenantID, after string, limit int) ([]keys.AuditEntry, error) {
	rows := []auditRow{}
	if !storable(tenantID) || !storable(after) {
		return []keys.AuditEntry{}, nil
	}
	err := r.tx.NewSelect().Model(&rows).Where("tenant_id = ?", tenantID).Where("id > ?", after).
		Order("id").Limit(int64(limit)).Scan(ctx)
	if err != nil {
		return nil, fault(ctx, err)
	}
	return entriesOf(rows), nil
}
