package db

import (
	"bytes"
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"github.com/uptrace/bun"

	"github.com/bailiwick-mcp/bailiwick/keys"
)

type definitionRow struct {
	bun.BaseModel `bun:"table:definitions"`
	InstanceID    string `bun:",pk"`
	Kind          string `bun:",pk"`
	Name          string `bun:",pk"`
	Raw           []byte
	Digest        string
	SeenAt        time.Time
	Pinned        string
	PinVersion    int64
	Approved      []byte
	Gone          bool
}

func newDefinitionRow(instanceID string, d keys.Definition) definitionRow {
	return definitionRow{
		InstanceID: instanceID, Kind: d.Kind, Name: d.Name,
		Raw: append([]byte{}, d.Raw...), Digest: d.Digest, SeenAt: stamp(d.SeenAt),
		Pinned: d.Pinned, PinVersion: d.PinVersion, Approved: d.Approved, Gone: d.Gone,
	}
}

func (r *definitionRow) definition() keys.Definition {
	d := keys.Definition{
		InstanceID: r.InstanceID, Kind: r.Kind, Name: r.Name,
		Raw: bytes.Clone(r.Raw), Digest: r.Digest, SeenAt: r.SeenAt.UTC(),
		Pinned: r.Pinned, PinVersion: r.PinVersion, Gone: r.Gone,
	}
	if len(r.Approved) > 0 {
		d.Approved = bytes.Clone(r.Approved)
	}
	return d
}

// Definitions answers by kind and name.
func (r *reader) Definitions(ctx context.Context, tenantID, instanceID string) ([]keys.Definition, error) {
	if err := need[instanceRow](ctx, r, eq{"tenant_id", tenantID}, eq{"id", instanceID}); err != nil {
		return nil, err
	}
	rows, err := all[definitionRow](ctx, r, eq{"instance_id", instanceID}, eq{"gone", false})
	if err != nil {
		return nil, err
	}
	return definitions(rows), nil
}

func definitions(rows []definitionRow) []keys.Definition {
	defs := make([]keys.Definition, len(rows))
	for i := range rows {
		defs[i] = rows[i].definition()
	}
	slices.SortFunc(defs, func(a, b keys.Definition) int {
		return cmp.Or(strings.Compare(a.Kind, b.Kind), strings.Compare(a.Name, b.Name))
	})
	return defs
}

// SaveDefinitions replaces what is stored of one instance; see keys.Store.
func (d *DB) SaveDefinitions(ctx context.Context, tenantID, instanceID string, defs []keys.Definition) ([]keys.Definition, error) {
	if !storable(tenantID) || !storable(instanceID) {
		return nil, keys.ErrNotFound
	}
	rows, err := definitionRows(instanceID, defs)
	if err != nil {
		return nil, err
	}
	announced := definitions(rows)
	var saved []keys.Definition
	err = d.change(ctx, func(ctx context.Context, tx bun.Tx) error {
		instance, err := d.lockInstance(ctx, tx, tenantID, instanceID)
		if err != nil {
			return err
		}
		r := &reader{db: d, tx: tx}
		stored, err := all[definitionRow](ctx, r, eq{"instance_id", instanceID})
		if err != nil {
			return err
		}
		saved = keys.PinDefinitions(definitions(stored), announced, instance.QuarantineNew)
		return replaceDefinitions(ctx, tx, instanceID, saved)
	})
	if err != nil {
		return nil, err
	}
	return keys.Announced(saved), nil
}

// definitionRows refuses what can't be stored, and a name that is there twice.
func definitionRows(instanceID string, defs []keys.Definition) ([]definitionRow, error) {
	seen := map[[2]string]bool{}
	rows := make([]definitionRow, len(defs))
	for i, def := range defs {
		id := [2]string{def.Kind, def.Name}
		if seen[id] {
			conflict := conflicts["definitions_pkey"]
			return nil, &conflict
		}
		seen[id] = true
		rows[i] = newDefinitionRow(instanceID, def)
		if err := checkTexts(&rows[i]); err != nil {
			return nil, err
		}
	}
	return rows, nil
}

func replaceDefinitions(ctx context.Context, tx bun.Tx, instanceID string, defs []keys.Definition) error {
	_, err := tx.NewDelete().Model((*definitionRow)(nil)).Where("instance_id = ?", instanceID).Exec(ctx)
	if err != nil {
		return fault(ctx, err)
	}
	rows := make([]definitionRow, len(defs))
	for i := range defs {
		rows[i] = newDefinitionRow(instanceID, defs[i])
	}
	return insertAll(ctx, tx, rows)
}

// lockInstance makes two replicas that save or approve definitions of the same
// instance wait for each other.
func (d *DB) lockInstance(ctx context.Context, tx bun.Tx, tenantID, instanceID string) (*instanceRow, error) {
	row := new(instanceRow)
	q := tx.NewSelect().Model(row).Where("tenant_id = ?", tenantID).Where("id = ?", instanceID)
	if !d.sqlite {
		q.For("UPDATE")
	}
	return row, fault(ctx, q.Scan(ctx))
}

// insertAll inserts rows in batches.
func insertAll[R any](ctx context.Context, tx bun.Tx, rows []R) error {
	for some := range slices.Chunk(rows, batch) {
		if _, err := tx.NewInsert().Model(&some).Exec(ctx); err != nil {
			return fault(ctx, err)
		}
	}
	return nil
}
