package db

import (
	"context"
	"errors"
	"time"

	"github.com/uptrace/bun"

	"github.com/bailiwick-mcp/bailiwick/keys"
)

type answerRow struct {
	bun.BaseModel `bun:"table:answers"`
	TenantID      string `bun:",pk"`
	Principal     string `bun:",pk"`
	Key           string `bun:",pk"`
	Digest        []byte
	Sealed        []byte
	ExpiresAt     time.Time
}

func newAnswerRow(a *keys.Answer) *answerRow {
	return &answerRow{
		TenantID: a.TenantID, Principal: a.Principal, Key: a.Key,
		Digest: a.Digest[:], Sealed: a.Sealed, ExpiresAt: stamp(a.ExpiresAt),
	}
}

func (r *answerRow) answer() (keys.Answer, error) {
	a := keys.Answer{
		TenantID: r.TenantID, Principal: r.Principal, Key: r.Key, Sealed: r.Sealed, ExpiresAt: r.ExpiresAt.UTC(),
	}
	if len(r.Digest) != len(a.Digest) {
		return keys.Answer{}, errors.New("a stored digest has the wrong length")
	}
	copy(a.Digest[:], r.Digest)
	return a, nil
}

func (r *reader) Answer(ctx context.Context, tenantID, principal, key string) (keys.Answer, error) {
	row, err := find[answerRow](ctx, r, eq{"tenant_id", tenantID}, eq{"principal", principal}, eq{"key", key})
	if err != nil {
		return keys.Answer{}, err
	}
	return row.answer()
}

func (w *writer) PutAnswer(ctx context.Context, a *keys.Answer) error {
	if err := need[tenantRow](ctx, &w.reader, eq{"id", a.TenantID}); err != nil {
		return err
	}
	row := newAnswerRow(a)
	if err := checkTexts(row); err != nil {
		return err
	}
	_, err := w.tx.NewInsert().Model(row).On("CONFLICT (tenant_id, principal, key) DO UPDATE").
		Set("digest = EXCLUDED.digest").Set("sealed = EXCLUDED.sealed").Set("expires_at = EXCLUDED.expires_at").Exec(ctx)
	if err != nil {
		return fault(ctx, err)
	}
	w.beside = true
	*a, err = row.answer()
	return err
}

func (w *writer) DropAnswers(ctx context.Context, expired time.Time) (int, error) {
	res, err := w.tx.NewDelete().Model((*answerRow)(nil)).Where("expires_at <= ?", stamp(expired)).Exec(ctx)
	if err != nil {
		return 0, fault(ctx, err)
	}
	n, err := res.RowsAffected()
	w.beside = w.beside || n > 0
	return int(n), err
}
