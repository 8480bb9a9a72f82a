package db

import (
	"context"

	"github.com/uptrace/bun"

	"github.com/bailiwick-mcp/bailiwick/keys"
)

type callWindowRow struct {
	bun.BaseModel `bun:"table:call_windows"`
	TenantID      string `bun:",pk"`
	KeyID         string `bun:",pk"`
	Rule          string `bun:",pk"`
	Begins        int64  `bun:",pk"`
	Ends          int64
	Taken         int64
}

// TakeCalls takes under a lock of the window's row; see keys.Store.
func (d *DB) TakeCalls(ctx context.Context, w keys.CallWindow, want, most int64) (granted, left int64, err error) {
	row := callWindowRow{TenantID: w.TenantID, KeyID: w.KeyID, Rule: w.Rule, Begins: w.Begins, Ends: w.Ends}
	if err := checkTexts(&row); err != nil {
		return 0, 0, err
	}
	err = d.change(ctx, func(ctx context.Context, tx bun.Tx) error {
		if _, err := tx.NewInsert().Model(&row).On("CONFLICT (tenant_id, key_id, rule, begins) DO NOTHING").Returning("").Exec(ctx); err != nil {
			return fault(ctx, err)
		}
		var there callWindowRow
		s := tx.NewSelect().Model(&there).Where("tenant_id = ?", w.TenantID).Where("key_id = ?", w.KeyID).
			Where("rule = ?", w.Rule).Where("begins = ?", w.Begins)
		if !d.sqlite {
			s.For("UPDATE")
		}
		if err := s.Scan(ctx); err != nil {
			return fault(ctx, err)
		}
		granted = max(-there.Taken, min(want, max(most-there.Taken, 0)))
		left = max(most-there.Taken-granted, 0)
		if granted == 0 {
			return nil
		}
		there.Taken += granted
		_, err := tx.NewUpdate().Model(&there).Column("taken").WherePK().Exec(ctx)
		return fault(ctx, err)
	})
	return granted, left, err
}

// DropCalls forgets periods that are over; see keys.Store.
func (d *DB) DropCalls(ctx context.Context, ended int64) error {
	return d.change(ctx, func(ctx context.Context, tx bun.Tx) error {
		_, err := tx.NewDelete().Model((*callWindowRow)(nil)).Where("ends <= ?", ended).Exec(ctx)
		return fault(ctx, err)
	})
}
