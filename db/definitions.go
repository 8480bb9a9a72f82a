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
}

func newDefinitionRow(instanceID string, d keys.Definition) definitionRow {
	return definitionRow{
		InstanceID: instanceID, Kind: d.Kind, Name: d.Name,
		Raw: append([]byte{}, d.Raw...), Digest: d.Digest, SeenAt: stamp(d.SeenAt),
	}
}

func (r *definitionRow) definition() keys.Definition {
	return keys.Definition{
		InstanceID: r.InstanceID, Kind: r.Kind, Name: r.Name,
		Raw: bytes.Clone(r.Raw), Digest: r.Digest, SeenAt: r.SeenAt.UTC(),
	}
}

// Definitions answers by kind and name.
func (r *reader) Definitions(ctx context.Context, tenantID, instanceID string) ([]keys.Definition, error) {
	if err := need[instanceRow](ctx, r, eq{"tenant_id", tenantID}, eq{"id", instanceID}); err != nil {
		return nil, err
	}
	rows, err := all[definitionRow](ctx, r, eq{"instance_id", instanceID})
	if err != nil {
		return nil, err
	}
	defs := make([]keys.Definition, len(rows))
	for i := range rows {
		defs[i] = rows[i].definition()
	}
	slices.SortFunc(defs, func(a, b keys.Definition) int {
		return cmp.Or(strings.Compare(a.Kind, b.Kind), strings.Compare(a.Name, b.Name))
	})
	return defs, nil
}

// SaveDefinitions replaces what is stored of one instance; see keys.Store.
func (d *DB) SaveDefinitions(ctx context.Context, tenantID, instanceID string, defs []keys.Definition) error {
	if !storable(tenantID) || !storable(instanceID) {
		return keys.ErrNotFound
	}
	seen := map[[2]string]bool{}
	rows := make([]definitionRow, len(defs))
	for i, def := range defs {
		id := [2]string{def.Kind, def.Name}
		if seen[id] {
			conflict := conflicts["definitions_pkey"]
			return &conflict
		}
		seen[id] = true
		rows[i] = newDefinitionRow(instanceID, def)
		if err := checkTexts(&rows[i]); err != nil {
			return err
		}
	}
	return d.change(ctx, func(ctx context.Context, tx bun.Tx) error {
		if err := d.lockInstance(ctx, tx, tenantID, instanceID); err != nil {
			return err
		}
		_, err := tx.NewDelete().Model((*definitionRow)(nil)).Where("instance_id = ?", instanceID).Exec(ctx)
		if err != nil {
			return fault(ctx, err)
		}
		return insertAll(ctx, tx, rows)
	})
}

// lockInstance makes two replicas that save the same instance wait for each other.
func (d *DB) lockInstance(ctx context.Context, tx bun.Tx, tenantID, instanceID string) error {
	q := tx.NewSelect().Model((*instanceRow)(nil)).Column("id").
		Where("tenant_id = ?", tenantID).Where("id = ?", instanceID)
	if !d.sqlite {
		q.For("UPDATE")
	}
	var id string
	return fault(ctx, q.Scan(ctx, &id))
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
