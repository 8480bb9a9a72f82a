package db

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/uptrace/bun"

	"github.com/bailiwick-mcp/bailiwick/keys"
)

type chainRow struct {
	bun.BaseModel `bun:"table:audit_chains"`
	TenantID      string `bun:",pk"`
	Writer        string `bun:",pk"`
	Seq           int64
	Hash          string
	MAC           string `bun:"mac"`
	CutSeq        int64
	CutHash       string
	CutMAC        string `bun:"cut_mac"`
}

func newChainRow(c *keys.AuditChain) chainRow {
	return chainRow{TenantID: c.TenantID, Writer: c.Writer, Seq: c.Seq, Hash: c.Hash, MAC: c.MAC,
		CutSeq: c.CutSeq, CutHash: c.CutHash, CutMAC: c.CutMAC}
}

func (r *chainRow) chain() keys.AuditChain {
	return keys.AuditChain{TenantID: r.TenantID, Writer: r.Writer, Seq: r.Seq, Hash: r.Hash, MAC: r.MAC,
		CutSeq: r.CutSeq, CutHash: r.CutHash, CutMAC: r.CutMAC}
}

// SignAudit sets who signs; see keys.Store.
func (d *DB) SignAudit(signer *keys.AuditSigner) { d.signer.Store(signer) }

// AuditChains are the ends and cuts; see keys.Reader.
func (r *reader) AuditChains(ctx context.Context, tenantID string) ([]keys.AuditChain, error) {
	rows := []chainRow{}
	q := r.tx.NewSelect().Model(&rows).Order("tenant_id", "writer")
	if tenantID != "" {
		if !storable(tenantID) {
			return []keys.AuditChain{}, nil
		}
		q.Where("tenant_id = ?", tenantID)
	}
	if err := q.Scan(ctx); err != nil {
		return nil, fault(ctx, err)
	}
	chains := make([]keys.AuditChain, len(rows))
	for i := range rows {
		chains[i] = rows[i].chain()
	}
	return chains, nil
}

// errChainMoved is a chain that another transaction has made longer.
var errChainMoved = errors.New("the audit chain has moved")

// ends reads, and locks, where the chains of the entries end.
func (d *DB) ends(ctx context.Context, tx bun.Tx, entries []keys.AuditEntry, known map[keys.AuditChainID]keys.AuditChain) error {
	byWriter := map[string][]string{}
	seen := map[keys.AuditChainID]bool{}
	for i := range entries {
		id := entries[i].Chain()
		if _, have := known[id]; !have && !seen[id] {
			seen[id] = true
			byWriter[id.Writer] = append(byWriter[id.Writer], id.TenantID)
		}
	}
	for writer, tenants := range byWriter {
		for some := range slices.Chunk(tenants, batch) {
			rows := []chainRow{}
			q := tx.NewSelect().Model(&rows).Where("writer = ?", writer).Where("tenant_id IN (?)", bun.List(some)).Order("tenant_id")
			if !d.sqlite {
				q.For("UPDATE")
			}
			if err := q.Scan(ctx); err != nil {
				return fault(ctx, err)
			}
			for i := range rows {
				c := rows[i].chain()
				known[c.ID()] = c
			}
		}
	}
	return nil
}

// link numbers and hashes the entries after the chains' ends, which it moves in
// the table and in chains.
func (d *DB) link(ctx context.Context, tx bun.Tx, chains map[keys.AuditChainID]keys.AuditChain, entries []keys.AuditEntry) error {
	if err := d.ends(ctx, tx, entries, chains); err != nil {
		return err
	}
	var made, grown []chainRow
	for _, c := range keys.LinkAudit(d.signer.Load(), chains, entries) {
		if _, there := chains[c.ID()]; there {
			grown = append(grown, newChainRow(&c))
		} else {
			made = append(made, newChainRow(&c))
		}
		chains[c.ID()] = c
	}
	// Those that were there are locked, so nothing else can have moved them.
	for some := range slices.Chunk(grown, batch) {
		_, err := tx.NewInsert().Model(&some).On("CONFLICT (tenant_id, writer) DO UPDATE").
			Set("seq = EXCLUDED.seq").Set("hash = EXCLUDED.hash").Set("mac = EXCLUDED.mac").Exec(ctx)
		if err != nil {
			return fault(ctx, err)
		}
	}
	for some := range slices.Chunk(made, batch) {
		want := int64(len(some))
		res, err := tx.NewInsert().Model(&some).On("CONFLICT (tenant_id, writer) DO NOTHING").Exec(ctx)
		if err != nil {
			return fault(ctx, err)
		}
		if n, err := res.RowsAffected(); err != nil || n < want {
			return firstError(err, errChainMoved)
		}
	}
	return nil
}

// Record adds to the chain of the tenant's edits; edits are serialized, so what
// this one has read of it holds until its end.
func (w *writer) Record(ctx context.Context, entries ...keys.AuditEntry) error {
	err := w.record(ctx, entries)
	if err != nil {
		w.spoiled = err
	}
	return err
}

func (w *writer) record(ctx context.Context, entries []keys.AuditEntry) error {
	if len(entries) == 0 {
		return nil
	}
	stored := make([]keys.AuditEntry, len(entries))
	for i, e := range entries {
		if !slices.Contains([]string{kindDecision, kindCall, kindChange}, e.Kind) {
			return fmt.Errorf("audit entry of unknown kind %q", e.Kind)
		}
		e.Epoch, e.Writer = w.Epoch(), keys.EditsWriter
		var err error
		if stored[i], err = e.Stored(); err != nil {
			return err
		}
	}
	if err := w.take(ctx); err != nil {
		return err
	}
	if w.chains == nil {
		w.chains = map[keys.AuditChainID]keys.AuditChain{}
	}
	if err := w.db.link(ctx, w.tx, w.chains, stored); err != nil {
		return err
	}
	if err := insertMany(ctx, w, newAuditRows(stored), "id", idTaken); err != nil {
		return err
	}
	for _, e := range entries {
		w.wrote, w.recorded = true, w.recorded || e.Kind == kindChange
	}
	return nil
}

// appendTries is how often a batch is looked at again, when others were in its way.
const appendTries = 5

// AppendAudit writes entries of what was no edit; see keys.Store. That an entry
// is there already is seldom, so it is looked for only when one was in the way.
func (d *DB) AppendAudit(ctx context.Context, entries []keys.AuditEntry) error {
	stored := make([]keys.AuditEntry, len(entries))
	for i, e := range entries {
		var err error
		if e.Kind != kindDecision && e.Kind != kindCall {
			return fmt.Errorf("audit entry of kind %q outside of an edit: only decision and call", e.Kind)
		}
		if stored[i], err = e.Stored(); err != nil {
			return err
		}
	}
	if len(stored) == 0 {
		return ctx.Err()
	}
	err := d.append(ctx, stored, false)
	for try := 0; try < appendTries && inTheWay(err); try++ {
		err = d.append(ctx, stored, true)
	}
	if inTheWay(err) {
		return unavailable(err)
	}
	return err
}

func inTheWay(err error) bool {
	var conflict *keys.ConflictError
	return errors.As(err, &conflict) || errors.Is(err, errChainMoved)
}

func (d *DB) append(ctx context.Context, entries []keys.AuditEntry, look bool) error {
	if d.sqlite {
		if err := d.auditInsert.prepare(ctx, d.write); err != nil {
			return err
		}
	}
	return d.change(ctx, func(ctx context.Context, tx bun.Tx) error {
		if look {
			var err error
			if entries, err = d.unwritten(ctx, tx, entries); err != nil || len(entries) == 0 {
				return err
			}
		}
		chains := map[keys.AuditChainID]keys.AuditChain{}
		if err := d.link(ctx, tx, chains, entries); err != nil {
			return err
		}
		rows := newAuditRows(entries)
		if d.sqlite {
			return d.auditInsert.write(ctx, tx, rows)
		}
		for some := range slices.Chunk(rows, batch) {
			// Without an own word on it, bun would read each row's detail back.
			if _, err := tx.NewInsert().Model(&some).Returning("").Exec(ctx); err != nil {
				return fault(ctx, err)
			}
		}
		return nil
	})
}

// unwritten are the entries that are not there yet, each once.
func (d *DB) unwritten(ctx context.Context, tx bun.Tx, entries []keys.AuditEntry) ([]keys.AuditEntry, error) {
	ids := make([]string, len(entries))
	for i := range entries {
		ids[i] = entries[i].ID
	}
	there, err := taken[auditRow](ctx, &reader{db: d, tx: tx}, "id", ids)
	if err != nil {
		return nil, err
	}
	seen := make(map[string]bool, len(entries))
	for _, id := range there {
		seen[id] = true
	}
	var out []keys.AuditEntry
	for i := range entries {
		if !seen[entries[i].ID] {
			seen[entries[i].ID] = true
			out = append(out, entries[i])
		}
	}
	return out, nil
}

// CutAudit removes entries; see keys.Store.
func (d *DB) CutAudit(ctx context.Context, tenantID string, ids []string, cuts []keys.AuditCut) error {
	return d.change(ctx, func(ctx context.Context, tx bun.Tx) error {
		for _, c := range cuts {
			res, err := tx.NewUpdate().Model((*chainRow)(nil)).Set("cut_seq = ?", c.CutSeq).Set("cut_hash = ?", c.CutHash).
				Set("cut_mac = ?", c.CutMAC).Where("tenant_id = ?", tenantID).Where("writer = ?", c.Writer).
				Where("cut_seq = ?", c.From).Where("seq >= ?", c.CutSeq).Exec(ctx)
			if err != nil {
				return fault(ctx, err)
			}
			if n, err := res.RowsAffected(); err != nil || n == 0 {
				return firstError(err, keys.ErrVersion)
			}
		}
		for some := range slices.Chunk(ids, batch) {
			_, err := tx.NewDelete().Model((*auditRow)(nil)).Where("tenant_id = ?", tenantID).Where("id IN (?)", bun.List(some)).Exec(ctx)
			if err != nil {
				return fault(ctx, err)
			}
		}
		return nil
	})
}
