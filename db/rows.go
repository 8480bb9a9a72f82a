package db

import (
	"context"
	"slices"
	"strings"

	"github.com/uptrace/bun"

	"github.com/bailiwick-mcp/bailiwick/keys"
)

// batch is how many rows one statement inserts or updates.
const batch = 500

// reader is one snapshot or edit.
type reader struct {
	db *DB
	tx bun.Tx
}

var _ keys.Reader = (*reader)(nil)

// eq is one condition; several are joined by AND.
type eq struct {
	column string
	value  any
}

// possible is false when a text can't be in any row.
func possible(where []eq) bool {
	for _, c := range where {
		if text, ok := c.value.(string); ok && !storable(text) {
			return false
		}
	}
	return true
}

// find reads the one row that meets the conditions, ErrNotFound without one.
func find[R any](ctx context.Context, r *reader, where ...eq) (*R, error) {
	row := new(R)
	if !possible(where) {
		return nil, keys.ErrNotFound
	}
	q := r.tx.NewSelect().Model(row)
	for _, c := range where {
		q.Where("? = ?", bun.Ident(c.column), c.value)
	}
	return row, fault(ctx, q.Scan(ctx))
}

// exists tells whether a row meets the conditions.
func exists[R any](ctx context.Context, r *reader, where ...eq) (bool, error) {
	if !possible(where) {
		return false, nil
	}
	q := r.tx.NewSelect().Model((*R)(nil))
	for _, c := range where {
		q.Where("? = ?", bun.Ident(c.column), c.value)
	}
	found, err := q.Exists(ctx)
	return found, fault(ctx, err)
}

// need is ErrNotFound unless a row meets the conditions.
func need[R any](ctx context.Context, r *reader, where ...eq) error {
	found, err := exists[R](ctx, r, where...)
	if err == nil && !found {
		err = keys.ErrNotFound
	}
	return err
}

// all reads the rows that meet the conditions, in no order.
func all[R any](ctx context.Context, r *reader, where ...eq) ([]R, error) {
	rows := []R{}
	if !possible(where) {
		return rows, nil
	}
	q := r.tx.NewSelect().Model(&rows)
	for _, c := range where {
		q.Where("? = ?", bun.Ident(c.column), c.value)
	}
	return rows, fault(ctx, q.Scan(ctx))
}

// free is the conflict when a row other than id's meets the conditions. Edits
// are serialized, so what is free stays so until this one ends. What can't be
// stored is free; the write will refuse it.
func free[R any](ctx context.Context, r *reader, id string, conflict keys.ConflictError, where ...eq) error {
	if !possible(where) || !storable(id) {
		return nil
	}
	q := r.tx.NewSelect().Model((*R)(nil)).Where("id <> ?", id)
	for _, c := range where {
		q.Where("? = ?", bun.Ident(c.column), c.value)
	}
	taken, err := q.Exists(ctx)
	if err == nil && taken {
		return &conflict
	}
	return fault(ctx, err)
}

// insert writes a row; the conflict is the answer when its primary key (the
// given columns) is taken. Any other broken constraint ends the transaction.
func (w *writer) insert(ctx context.Context, row any, pk string, conflict keys.ConflictError) error {
	if err := checkTexts(row); err != nil {
		return err
	}
	if err := w.take(ctx); err != nil {
		return err
	}
	res, err := w.tx.NewInsert().Model(row).On("CONFLICT (?) DO NOTHING", bun.Safe(pk)).Exec(ctx)
	if err != nil {
		return fault(ctx, err)
	}
	if n, err := res.RowsAffected(); err != nil || n == 0 {
		return firstError(err, &conflict)
	}
	return nil
}

// insertMany is insert for many rows at once; after the conflict some of them
// may be there.
func insertMany[R any](ctx context.Context, w *writer, rows []R, pk string, conflict keys.ConflictError) error {
	for i := range rows {
		if err := checkTexts(&rows[i]); err != nil {
			return err
		}
	}
	for some := range slices.Chunk(rows, batch) {
		if err := w.take(ctx); err != nil {
			return err
		}
		want := int64(len(some)) // bun empties the slice where it reads rows back
		res, err := w.tx.NewInsert().Model(&some).On("CONFLICT (?) DO NOTHING", bun.Safe(pk)).Exec(ctx)
		if err != nil {
			return fault(ctx, err)
		}
		if n, err := res.RowsAffected(); err != nil || n < want {
			return firstError(err, &conflict)
		}
	}
	return nil
}

// taken are those of the values that the column of a row has, of the rows that
// narrow leaves.
func taken[R, V any](ctx context.Context, r *reader, column string, values []V, narrow ...func(*bun.SelectQuery)) ([]V, error) {
	found := []V{}
	for some := range slices.Chunk(values, batch) {
		var hits []V
		q := r.tx.NewSelect().Model((*R)(nil)).Column(column).Where("? IN (?)", bun.Ident(column), bun.List(some))
		for _, fn := range narrow {
			fn(q)
		}
		if err := q.Scan(ctx, &hits); err != nil {
			return nil, fault(ctx, err)
		}
		found = append(found, hits...)
	}
	return found, nil
}

var idTaken = keys.ConflictError{Field: "id", Problem: "is already taken"}

// update writes all columns of the row that has the conditions but the given
// ones, and reads the whole row back into it.
func (w *writer) update(ctx context.Context, row any, fixed []string, where ...eq) error {
	if !possible(where) {
		return keys.ErrNotFound
	}
	if err := checkTexts(row); err != nil {
		return err
	}
	if err := w.take(ctx); err != nil {
		return err
	}
	q := w.tx.NewUpdate().Model(row).ExcludeColumn(fixed...).Returning("*")
	for _, c := range where {
		q.Where("? = ?", bun.Ident(c.column), c.value)
	}
	res, err := q.Exec(ctx)
	if err != nil {
		return fault(ctx, err)
	}
	if n, err := res.RowsAffected(); err != nil || n == 0 {
		return firstError(err, keys.ErrNotFound)
	}
	return nil
}

// remove deletes the rows that meet the conditions, ErrNotFound without any.
func remove[R any](ctx context.Context, w *writer, where ...eq) error {
	if !possible(where) {
		return keys.ErrNotFound
	}
	if err := w.take(ctx); err != nil {
		return err
	}
	q := w.tx.NewDelete().Model((*R)(nil))
	for _, c := range where {
		q.Where("? = ?", bun.Ident(c.column), c.value)
	}
	res, err := q.Exec(ctx)
	if err != nil {
		return fault(ctx, err)
	}
	if n, err := res.RowsAffected(); err != nil || n == 0 {
		return firstError(err, keys.ErrNotFound)
	}
	return nil
}

func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// literal escapes a LIKE pattern's wildcards; the escape character is !.
func literal(text string) string {
	return strings.NewReplacer("!", "!!", "%", "!%", "_", "!_").Replace(text)
}
