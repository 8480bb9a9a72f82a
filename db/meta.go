package db

import (
	"context"

	"github.com/uptrace/bun"
)

type metaRow struct {
	bun.BaseModel `bun:"table:meta"`
	Name          string `bun:",pk"`
	Value         string
}

func (r *reader) Meta(ctx context.Context, name string) (string, error) {
	row, err := find[metaRow](ctx, r, eq{"name", name})
	if err != nil {
		return "", err
	}
	return row.Value, nil
}

func (w *writer) PutMeta(ctx context.Context, name, value string) error {
	row := &metaRow{Name: name, Value: value}
	if err := checkTexts(row); err != nil {
		return err
	}
	if err := w.take(ctx); err != nil {
		return err
	}
	_, err := w.tx.NewInsert().Model(row).
		On("CONFLICT (name) DO UPDATE").Set("value = EXCLUDED.value").Exec(ctx)
	if err != nil {
		return fault(ctx, err)
	}
	w.wrote, w.meta = true, true
	return nil
}
