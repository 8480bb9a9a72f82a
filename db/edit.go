package db

import (
	"context"
	"database/sql"
	"errors"
	"strconv"
	"time"

	"github.com/sethvargo/go-retry"
	"github.com/uptrace/bun"

	"github.com/bailiwick-mcp/bailiwick/keys"
)

// Channel is where Postgres announces each edit; the payload is its epoch.
const Channel = "bailiwick"

// Serialization failures are tried again: the waits double from the first to
// the longest, give or take half of each at random.
const (
	retryFirst   = 5 * time.Millisecond
	retryLongest = 500 * time.Millisecond
	retryJitter  = 50 // percent
	retryTimes   = 16
	retryFor     = 10 * time.Second
)

// holdLimit is how long Postgres leaves the epoch's row to an edit of which
// nothing is heard. A process that was stopped, or whose machine is gone, would
// else keep all others from editing for as long as its connection seems to live.
// An import of thousands of keys is silent for seconds on a slow machine.
const holdLimit = 15 * time.Second

type epochRow struct {
	bun.BaseModel `bun:"table:epoch"`
	ID            int64 `bun:",pk"`
	Value         int64
}

// Read runs fn over one snapshot; see keys.Store.
func (d *DB) Read(ctx context.Context, fn func(keys.Reader) error) error {
	opts := &sql.TxOptions{ReadOnly: true}
	if !d.sqlite { // SQLite's transactions are snapshots anyway
		opts.Isolation = sql.LevelRepeatableRead
	}
	tx, release, err := d.begin(ctx, d.read, opts)
	if err != nil {
		return err
	}
	defer release()
	return fn(&reader{db: d, tx: tx})
}

// Edit runs fn in one serialized transaction; see keys.Store. A connection that
// breaks during the commit leaves open whether it took place: ErrUnavailable.
func (d *DB) Edit(ctx context.Context, fn func(keys.Writer) error) (epoch int64, err error) {
	err = repeat(ctx, func(ctx context.Context) error {
		epoch, err = d.edit(ctx, fn)
		return err
	})
	if err != nil {
		return 0, err
	}
	return epoch, nil
}

func (d *DB) edit(ctx context.Context, fn func(keys.Writer) error) (int64, error) {
	tx, release, err := d.begin(ctx, d.write, nil)
	if err != nil {
		return 0, err
	}
	defer release() // of no effect on the data after Commit; undoes on error and panic
	last, err := d.lockEpoch(ctx, tx)
	if err != nil {
		return 0, err
	}
	w := &writer{reader: reader{db: d, tx: tx}, last: last, changes: map[keys.Change]bool{}}
	if err := fn(w); err != nil {
		return 0, err
	}
	if err := w.finish(ctx); err != nil {
		return 0, err
	}
	if !w.wrote && !w.beside {
		return last, nil
	}
	if err := tx.Commit(); err != nil {
		return 0, fault(ctx, err)
	}
	if !w.taken {
		return last, nil
	}
	return w.Epoch(), nil
}

// lockEpoch makes edits wait for one another from their first read on, so that
// what an edit has checked still holds when it writes.
func (d *DB) lockEpoch(ctx context.Context, tx bun.Tx) (int64, error) {
	row := epochRow{ID: 1}
	q := tx.NewSelect().Model(&row).WherePK()
	if !d.sqlite { // there the transaction itself is the lock
		q.For("UPDATE")
	}
	if d.notify { // Postgres; in the same statement, for it must not cost a round trip
		q.Column("id", "value").ColumnExpr("set_config('idle_in_transaction_session_timeout', ?, true)", holdLimit.String())
	}
	err := q.Scan(ctx)
	return row.Value, fault(ctx, err)
}

// change runs fn in a transaction that is no edit.
func (d *DB) change(ctx context.Context, fn func(ctx context.Context, tx bun.Tx) error) error {
	return repeat(ctx, func(ctx context.Context) error {
		tx, release, err := d.begin(ctx, d.write, nil)
		if err != nil {
			return err
		}
		defer release()
		if err := fn(ctx, tx); err != nil {
			return err
		}
		return fault(ctx, tx.Commit())
	})
}

// repeat runs fn until it fails for another reason than being in others' way.
func repeat(ctx context.Context, fn func(context.Context) error) error {
	waits := retry.WithCappedDuration(retryLongest, retry.NewExponential(retryFirst))
	waits = retry.WithMaxRetries(retryTimes, retry.WithMaxDuration(retryFor, retry.WithJitterPercent(retryJitter, waits)))
	err := retry.Do(ctx, waits, func(ctx context.Context) error {
		err := fn(ctx)
		if retryable(err) {
			return retry.RetryableError(err)
		}
		return err
	})
	if retryable(err) && !errors.Is(err, keys.ErrUnavailable) {
		return unavailable(err)
	}
	return err
}

// Epoch is the last committed edit.
func (d *DB) Epoch(ctx context.Context) (int64, error) {
	waiting, done := d.waiting(ctx)
	defer done()
	row := epochRow{ID: 1}
	err := d.read.NewSelect().Model(&row).WherePK().Scan(waiting)
	return row.Value, late(ctx, err)
}

// AsOf is the last edit of the snapshot; see keys.Reader.
func (r *reader) AsOf(ctx context.Context) (int64, error) {
	row := epochRow{ID: 1}
	err := r.tx.NewSelect().Model(&row).WherePK().Scan(ctx)
	return row.Value, fault(ctx, err)
}

// writer is one edit.
type writer struct {
	reader
	last     int64 // the epoch before this edit
	taken    bool  // this edit has counted up to its own
	wrote    bool
	beside   bool // wrote rows that are no part of the feed, and take no epoch
	changes  map[keys.Change]bool
	meta     bool
	recorded bool // a change in the audit trail
	chains   map[keys.AuditChainID]keys.AuditChain
	spoiled  error // why the audit trail has not all entries of this edit
}

var _ keys.Writer = (*writer)(nil)

func (w *writer) Epoch() int64 { return w.last + 1 }

func (w *writer) AsOf(context.Context) (int64, error) { return w.last, nil }

// take counts the epoch up, at the edit's first write.
func (w *writer) take(ctx context.Context) error {
	if w.taken {
		return nil
	}
	var value int64
	err := w.tx.NewUpdate().Model((*epochRow)(nil)).Set("value = value + 1").Where("id = 1").
		Returning("value").Scan(ctx, &value)
	if err != nil {
		return fault(ctx, err)
	}
	if value != w.Epoch() {
		return errors.New("the epoch moved during an edit")
	}
	w.taken = true
	return nil
}

func (w *writer) changed(tenantID string, kind keys.ChangeKind, id string) {
	w.wrote = true
	w.changes[keys.Change{Epoch: w.Epoch(), TenantID: tenantID, Kind: kind, ID: id}] = true
}

func (w *writer) finish(ctx context.Context) error {
	switch {
	case w.spoiled != nil:
		return w.spoiled
	case len(w.changes) > 0 && !w.recorded:
		return errors.New("an edit changed something and recorded no change in the audit trail")
	case len(w.changes) == 0 && !w.meta && !w.beside && w.recorded:
		return errors.New("an edit recorded a change in the audit trail and changed nothing")
	case !w.taken:
		return nil
	}
	if err := w.insertChanges(ctx); err != nil {
		return err
	}
	if !w.db.notify {
		return nil
	}
	_, err := w.tx.NewRaw("SELECT pg_notify(?, ?)", Channel, strconv.FormatInt(w.Epoch(), 10)).Exec(ctx)
	return fault(ctx, err)
}
