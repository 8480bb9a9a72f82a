package db

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/uptrace/bun"

	"github.com/bailiwick-mcp/bailiwick/keys"
)

type secretRow struct {
	bun.BaseModel `bun:"table:key_secrets"`
	Hash          []byte `bun:",pk"`
	KeyID         string
	TenantID      string
	Pepper        int
	Imported      bool
	CreatedAt     time.Time
	ExpiresAt     *time.Time
}

func newSecretRow(tenantID, keyID string, s keys.KeySecret) *secretRow {
	return &secretRow{
		Hash: s.Hash[:], KeyID: keyID, TenantID: tenantID, Pepper: s.Pepper, Imported: s.Imported,
		CreatedAt: stamp(s.CreatedAt), ExpiresAt: stampOrNil(s.ExpiresAt),
	}
}

func (r *secretRow) secret() (keys.KeySecret, error) {
	s := keys.KeySecret{
		KeyID: r.KeyID, TenantID: r.TenantID, Pepper: r.Pepper, Imported: r.Imported,
		CreatedAt: r.CreatedAt.UTC(), ExpiresAt: stampOrNil(r.ExpiresAt),
	}
	if len(r.Hash) != len(s.Hash) {
		return keys.KeySecret{}, errors.New("a stored hash has the wrong length")
	}
	copy(s.Hash[:], r.Hash)
	return s, nil
}

func (r *reader) KeyByHash(ctx context.Context, hash [32]byte) (keys.Key, keys.KeySecret, error) {
	row, err := find[secretRow](ctx, r, eq{"hash", hash[:]})
	if err != nil {
		return keys.Key{}, keys.KeySecret{}, err
	}
	secret, err := row.secret()
	if err != nil {
		return keys.Key{}, keys.KeySecret{}, err
	}
	key, err := r.Key(ctx, secret.TenantID, secret.KeyID)
	if err != nil {
		return keys.Key{}, keys.KeySecret{}, err
	}
	return key, secret, nil
}

func (r *reader) Secrets(ctx context.Context, tenantID, keyID string) ([]keys.KeySecret, error) {
	if err := need[keyRow](ctx, r, eq{"tenant_id", tenantID}, eq{"id", keyID}); err != nil {
		return nil, err
	}
	rows, err := all[secretRow](ctx, r, eq{"key_id", keyID})
	if err != nil {
		return nil, err
	}
	secrets := make([]keys.KeySecret, len(rows))
	for i := range rows {
		if secrets[i], err = rows[i].secret(); err != nil {
			return nil, err
		}
	}
	slices.SortFunc(secrets, func(a, b keys.KeySecret) int { return b.CreatedAt.Compare(a.CreatedAt) })
	return secrets, nil
}

// PutSecrets changes the key itself: its version becomes this edit's epoch.
func (w *writer) PutSecrets(ctx context.Context, tenantID, keyID string, secrets ...keys.KeySecret) error {
	if err := need[keyRow](ctx, &w.reader, eq{"tenant_id", tenantID}, eq{"id", keyID}); err != nil {
		return err
	}
	if err := w.secretsFree(ctx, keyID, secrets); err != nil {
		return err
	}
	if err := w.take(ctx); err != nil {
		return err
	}
	if _, err := w.tx.NewDelete().Model((*secretRow)(nil)).Where("key_id = ?", keyID).Exec(ctx); err != nil {
		return fault(ctx, err)
	}
	if err := w.insertSecrets(ctx, tenantID, keyID, secrets); err != nil {
		return err
	}
	_, err := w.tx.NewUpdate().Model((*keyRow)(nil)).Set("version = ?", w.Epoch()).Where("id = ?", keyID).Exec(ctx)
	if err != nil {
		return fault(ctx, err)
	}
	w.changed(tenantID, keys.ChangeKey, keyID)
	return nil
}

// secretsFree looks before anything is written, so that a caller who goes on
// after the conflict has not changed half of a key.
func (w *writer) secretsFree(ctx context.Context, keyID string, secrets []keys.KeySecret) error {
	conflict := conflicts["key_secrets_pkey"]
	seen := map[[32]byte]bool{}
	for _, s := range secrets {
		if seen[s.Hash] {
			return &conflict
		}
		seen[s.Hash] = true
		taken, err := w.tx.NewSelect().Model((*secretRow)(nil)).Where("hash = ?", s.Hash[:]).
			Where("key_id <> ?", keyID).Exists(ctx)
		if err == nil && taken {
			return &conflict
		}
		if err != nil {
			return fault(ctx, err)
		}
	}
	return nil
}

func (w *writer) insertSecrets(ctx context.Context, tenantID, keyID string, secrets []keys.KeySecret) error {
	for _, s := range secrets {
		if err := w.insert(ctx, newSecretRow(tenantID, keyID, s), "hash", conflicts["key_secrets_pkey"]); err != nil {
			return err
		}
	}
	return nil
}
