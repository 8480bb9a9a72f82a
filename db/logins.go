package db

import (
	"context"
	"errors"
	"time"

	"github.com/uptrace/bun"

	"github.com/bailiwick-mcp/bailiwick/keys"
)

type loginRow struct {
	bun.BaseModel `bun:"table:logins"`
	ID            string `bun:",pk"`
	State         string
	Name          string
	DeviceName    string
	Scopes        list
	Source        string
	KeyExpiresAt  *time.Time
	TenantID      string
	KeyID         string
	Poll          []byte
	Sealed        []byte
	CreatedAt     time.Time
	ExpiresAt     time.Time
}

func newLoginRow(l *keys.LoginRecord) *loginRow {
	row := &loginRow{
		ID: l.ID, State: string(l.State), Name: l.Name, DeviceName: l.DeviceName, Scopes: l.Scopes, Source: l.Source,
		KeyExpiresAt: stampOrNil(l.KeyExpiresAt), TenantID: l.TenantID, KeyID: l.KeyID, Poll: l.Poll[:],
		CreatedAt: stamp(l.CreatedAt), ExpiresAt: stamp(l.ExpiresAt),
	}
	if len(l.Sealed) > 0 {
		row.Sealed = l.Sealed
	}
	return row
}

func (r *loginRow) login() (keys.LoginRecord, error) {
	l := keys.LoginRecord{
		Login: keys.Login{
			ID: r.ID, State: keys.LoginState(r.State), Name: r.Name, DeviceName: r.DeviceName, Scopes: notNil(r.Scopes),
			Source: r.Source, KeyExpiresAt: stampOrNil(r.KeyExpiresAt), TenantID: r.TenantID, KeyID: r.KeyID,
			CreatedAt: r.CreatedAt.UTC(), ExpiresAt: r.ExpiresAt.UTC(),
		},
		Sealed: r.Sealed,
	}
	if len(r.Poll) != len(l.Poll) {
		return keys.LoginRecord{}, errors.New("a stored hash has the wrong length")
	}
	copy(l.Poll[:], r.Poll)
	return l, nil
}

func (r *reader) Login(ctx context.Context, id string) (keys.LoginRecord, error) {
	row, err := find[loginRow](ctx, r, eq{"id", id})
	if err != nil {
		return keys.LoginRecord{}, err
	}
	return row.login()
}

func (r *reader) PendingLogins(ctx context.Context, at time.Time) (int, error) {
	n, err := r.tx.NewSelect().Model((*loginRow)(nil)).Where("state = ?", string(keys.LoginPending)).
		Where("expires_at > ?", stamp(at)).Count(ctx)
	return int(n), fault(ctx, err)
}

func (r *reader) ExpiredLogins(ctx context.Context, at time.Time) ([]keys.LoginRecord, error) {
	rows := []loginRow{}
	err := r.tx.NewSelect().Model(&rows).Where("expires_at <= ?", stamp(at)).Order("expires_at", "id").Scan(ctx)
	if err != nil {
		return nil, fault(ctx, err)
	}
	list := make([]keys.LoginRecord, len(rows))
	for i := range rows {
		if list[i], err = rows[i].login(); err != nil {
			return nil, err
		}
	}
	return list, nil
}

func (w *writer) InsertLogin(ctx context.Context, l *keys.LoginRecord) error {
	row := newLoginRow(l)
	if err := checkTexts(row); err != nil {
		return err
	}
	res, err := w.tx.NewInsert().Model(row).On("CONFLICT (id) DO NOTHING").Exec(ctx)
	if err != nil {
		return fault(ctx, err)
	}
	if n, err := res.RowsAffected(); err != nil || n == 0 {
		return firstError(err, &idTaken)
	}
	w.beside = true
	*l, err = row.login()
	return err
}

func (w *writer) UpdateLogin(ctx context.Context, l *keys.LoginRecord) error {
	row := newLoginRow(l)
	if !storable(l.ID) {
		return keys.ErrNotFound
	}
	if err := checkTexts(row); err != nil {
		return err
	}
	_, err := w.tx.NewUpdate().Model(row).Column("state", "tenant_id", "key_id", "sealed").WherePK().Exec(ctx)
	if err != nil {
		return fault(ctx, err)
	}
	if *l, err = w.Login(ctx, l.ID); err != nil {
		return err
	}
	w.beside = true
	return nil
}

func (w *writer) DropLogins(ctx context.Context, expired time.Time) (int, error) {
	res, err := w.tx.NewDelete().Model((*loginRow)(nil)).Where("expires_at <= ?", stamp(expired)).Exec(ctx)
	if err != nil {
		return 0, fault(ctx, err)
	}
	n, err := res.RowsAffected()
	w.beside = w.beside || n > 0
	return int(n), err
}
