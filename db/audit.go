package db

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
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
	Ref           string
	ArgsDigest    string
	Outcome       string
	LatencyUs     int64
	Client        string
	Epoch         int64
	Detail        *string
}

// newAuditRow cleans the texts that come from clients: one that Postgres can't
// hold must not keep a whole batch from being written.
func newAuditRow(e keys.AuditEntry) (auditRow, error) {
	detail, err := cleanJSON(e.Detail)
	if err != nil {
		return auditRow{}, fmt.Errorf("detail of audit entry %s: %w", e.ID, err)
	}
	failed := make(list, len(e.Failed))
	for i, rule := range e.Failed {
		failed[i] = clean(rule)
	}
	return auditRow{
		ID: e.ID, TenantID: e.TenantID, At: stamp(e.Time), Kind: e.Kind, Action: clean(e.Action),
		Actor: clean(e.Actor), KeyID: clean(e.KeyID), KeyVersion: e.KeyVersion, Subject: clean(e.Subject),
		Tool: clean(e.Tool), Decision: clean(e.Decision), Failed: failed, Ref: clean(e.Ref),
		ArgsDigest: clean(e.ArgsDigest), Outcome: clean(e.Outcome), LatencyUs: e.Latency.Microseconds(),
		Client: clean(e.Client), Epoch: e.Epoch, Detail: detail,
	}, nil
}

func (r *auditRow) entry() keys.AuditEntry {
	e := keys.AuditEntry{
		ID: r.ID, TenantID: r.TenantID, Time: r.At.UTC(), Kind: r.Kind, Action: r.Action,
		Actor: r.Actor, KeyID: r.KeyID, KeyVersion: r.KeyVersion, Subject: r.Subject,
		Tool: r.Tool, Decision: r.Decision, Failed: notNil(r.Failed), Ref: r.Ref,
		ArgsDigest: r.ArgsDigest, Outcome: r.Outcome, Latency: time.Duration(r.LatencyUs) * time.Microsecond,
		Client: r.Client, Epoch: r.Epoch,
	}
	if r.Detail != nil {
		e.Detail = json.RawMessage(*r.Detail)
	}
	return e
}

// cleanJSON makes JSON that jsonb takes: it knows no \u0000 and no half of a
// surrogate pair. Nothing stays nothing.
func cleanJSON(raw json.RawMessage) (*string, error) {
	if len(raw) == 0 {
		return nil, nil
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		return nil, err
	}
	out, err := json.Marshal(cleanValue(v))
	text := string(out)
	return &text, err
}

func cleanValue(v any) any {
	switch v := v.(type) {
	case string:
		return clean(v)
	case []any:
		for i := range v {
			v[i] = cleanValue(v[i])
		}
	case map[string]any:
		for name, value := range v {
			delete(v, name)
			v[clean(name)] = cleanValue(value)
		}
	}
	return v
}

func (r *reader) Audit(ctx context.Context, tenantID string, q keys.AuditQuery) ([]keys.AuditEntry, error) {
	rows := []auditRow{}
	s := r.tx.NewSelect().Model(&rows).Where("tenant_id = ?", tenantID)
	if !storable(tenantID) || !storable(q.Before) || !storable(q.After) {
		return []keys.AuditEntry{}, nil
	}
	for _, c := range []eq{{"key_id", q.KeyID}, {"tool", q.Tool}, {"decision", q.Decision}, {"kind", q.Kind}, {"ref", q.Ref}} {
		if text := c.value.(string); text != "" {
			s.Where("? = ?", bun.Ident(c.column), clean(text))
		}
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
	entries := make([]keys.AuditEntry, len(rows))
	for i := range rows {
		entries[i] = rows[i].entry()
	}
	return entries, nil
}

func (w *writer) Record(ctx context.Context, entries ...keys.AuditEntry) error {
	rows := make([]auditRow, len(entries))
	for i, e := range entries {
		if !slices.Contains([]string{kindDecision, kindCall, kindChange}, e.Kind) {
			return fmt.Errorf("audit entry of unknown kind %q", e.Kind)
		}
		e.Epoch = w.Epoch()
		row, err := newAuditRow(e)
		if err != nil {
			return err
		}
		rows[i] = row
	}
	if err := insertMany(ctx, w, rows, "id", idTaken); err != nil {
		return err
	}
	for _, e := range entries {
		w.wrote, w.recorded = true, w.recorded || e.Kind == kindChange
	}
	return nil
}

// AppendAudit writes entries of what was no edit; see keys.Store.
func (d *DB) AppendAudit(ctx context.Context, entries []keys.AuditEntry) error {
	rows := make([]auditRow, len(entries))
	for i, e := range entries {
		var err error
		if e.Kind != kindDecision && e.Kind != kindCall {
			return fmt.Errorf("audit entry of kind %q outside of an edit: only decision and call", e.Kind)
		}
		if rows[i], err = newAuditRow(e); err != nil {
			return err
		}
	}
	if len(rows) == 0 {
		return ctx.Err()
	}
	return d.change(ctx, func(ctx context.Context, tx bun.Tx) error {
		for some := range slices.Chunk(rows, batch) {
			if _, err := tx.NewInsert().Model(&some).On("CONFLICT (id) DO NOTHING").Exec(ctx); err != nil {
				return fault(ctx, err)
			}
		}
		return nil
	})
}
