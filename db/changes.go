package db

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/uptrace/bun"

	"github.com/bailiwick-mcp/bailiwick/keys"
)

type changeRow struct {
	bun.BaseModel `bun:"table:changes"`
	Epoch         int64  `bun:",pk"`
	TenantID      string `bun:",pk"`
	Kind          string `bun:",pk"`
	ID            string `bun:",pk"`
}

func (r *changeRow) change() keys.Change {
	return keys.Change{Epoch: r.Epoch, TenantID: r.TenantID, Kind: keys.ChangeKind(r.Kind), ID: r.ID}
}

func (w *writer) insertChanges(ctx context.Context) error {
	rows := make([]changeRow, 0, len(w.changes))
	for c := range maps.Keys(w.changes) {
		rows = append(rows, changeRow{Epoch: c.Epoch, TenantID: c.TenantID, Kind: string(c.Kind), ID: c.ID})
	}
	return insertAll(ctx, w.tx, rows)
}

// Changes pages through the feed by whole epochs; see keys.Store.
func (d *DB) Changes(ctx context.Context, after int64, limit int) ([]keys.Change, error) {
	limit = max(limit, 0)
	rows := []changeRow{}
	waiting, done := d.waiting(ctx)
	defer done()
	err := d.read.NewSelect().Model(&rows).Where("epoch > ?", after).Order("epoch").Limit(int64(limit) + 1).Scan(waiting)
	if err != nil {
		return nil, late(ctx, err)
	}
	if len(rows) > limit {
		if rows, err = d.wholeEpochs(ctx, rows); err != nil {
			return nil, err
		}
	}
	changes := make([]keys.Change, len(rows))
	for i := range rows {
		changes[i] = rows[i].change()
	}
	slices.SortFunc(changes, func(a, b keys.Change) int {
		return cmp.Or(cmp.Compare(a.Epoch, b.Epoch), strings.Compare(a.TenantID, b.TenantID),
			strings.Compare(string(a.Kind), string(b.Kind)), strings.Compare(a.ID, b.ID))
	})
	return changes, nil
}

// wholeEpochs drops the last epoch, which may be cut off. Is it the only one,
// all of it is read instead.
func (d *DB) wholeEpochs(ctx context.Context, rows []changeRow) ([]changeRow, error) {
	last := rows[len(rows)-1].Epoch
	if rows[0].Epoch != last {
		return slices.DeleteFunc(rows, func(r changeRow) bool { return r.Epoch == last }), nil
	}
	rows = []changeRow{}
	waiting, done := d.waiting(ctx)
	defer done()
	err := d.read.NewSelect().Model(&rows).Where("epoch = ?", last).Scan(waiting)
	return rows, late(ctx, err)
}
