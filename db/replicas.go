package db

import (
	"context"
	"time"

	"github.com/uptrace/bun"

	"github.com/bailiwick-mcp/bailiwick/keys"
)

type replicaRow struct {
	bun.BaseModel `bun:"table:replicas"`
	ID            string `bun:",pk"`
	Name          string
	Applied       int64
	Beat          int64
	LeaseUS       int64 `bun:"lease_us"`
	StartedAt     time.Time
}

func (r *replicaRow) replica() keys.Replica {
	return keys.Replica{ID: r.ID, Name: r.Name, Applied: r.Applied, Beat: r.Beat,
		Lease: time.Duration(r.LeaseUS) * time.Microsecond, StartedAt: r.StartedAt.UTC()}
}

// Register adds a replica's row; see keys.Store.
func (d *DB) Register(ctx context.Context, r keys.Replica) error {
	row := &replicaRow{ID: r.ID, Name: r.Name, Applied: r.Applied, Beat: r.Beat,
		LeaseUS: r.Lease.Microseconds(), StartedAt: stamp(r.StartedAt)}
	if err := checkTexts(row); err != nil {
		return err
	}
	return repeat(ctx, func(ctx context.Context) error {
		waiting, done := d.waiting(ctx)
		defer done()
		res, err := d.write.NewInsert().Model(row).On("CONFLICT (id) DO NOTHING").Exec(waiting)
		if err != nil {
			return late(ctx, err)
		}
		if n, err := res.RowsAffected(); err != nil || n == 0 {
			return firstError(err, &idTaken)
		}
		return nil
	})
}

// Beat updates a replica's row, if it is there; see keys.Store. It uses a
// connection for readers, so that it never waits in a queue of edits: a replica
// that can't show that it lives must stop deciding.
func (d *DB) Beat(ctx context.Context, r keys.Replica) error {
	if !storable(r.ID) {
		return keys.ErrNotFound
	}
	return repeat(ctx, func(ctx context.Context) error {
		waiting, done := d.waiting(ctx)
		defer done()
		res, err := d.beside().NewUpdate().Model((*replicaRow)(nil)).Set("applied = ?", r.Applied).Set("beat = ?", r.Beat).
			Where("id = ?", r.ID).Exec(waiting)
		if err != nil {
			return late(ctx, err)
		}
		if n, err := res.RowsAffected(); err != nil || n == 0 {
			return firstError(err, keys.ErrNotFound)
		}
		return nil
	})
}

// beside is where small writes go that are no edits. SQLite has one writer.
func (d *DB) beside() *bun.DB {
	if d.sqlite {
		return d.write
	}
	return d.read
}

// EndReplica removes a row as it was seen; see keys.Store.
func (d *DB) EndReplica(ctx context.Context, id string, beat int64) error {
	if !storable(id) {
		return keys.ErrNotFound
	}
	return d.change(ctx, func(ctx context.Context, tx bun.Tx) error {
		res, err := tx.NewDelete().Model((*replicaRow)(nil)).Where("id = ?", id).Where("beat = ?", beat).Exec(ctx)
		if err != nil {
			return fault(ctx, err)
		}
		if n, err := res.RowsAffected(); err != nil || n > 0 {
			return err
		}
		there, err := tx.NewSelect().Model((*replicaRow)(nil)).Where("id = ?", id).Exists(ctx)
		if err != nil {
			return fault(ctx, err)
		}
		if there {
			return keys.ErrVersion
		}
		return keys.ErrNotFound
	})
}

// Replicas are all rows; see keys.Store.
func (d *DB) Replicas(ctx context.Context) ([]keys.Replica, error) {
	waiting, done := d.waiting(ctx)
	defer done()
	rows := []replicaRow{}
	if err := d.read.NewSelect().Model(&rows).Scan(waiting); err != nil {
		return nil, late(ctx, err)
	}
	out := make([]keys.Replica, len(rows))
	for i := range rows {
		out[i] = rows[i].replica()
	}
	return out, nil
}
