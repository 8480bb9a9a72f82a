package db

import (
	"context"
	"errors"

	"github.com/uptrace/bun"

	"github.com/bailiwick-mcp/bailiwick/keys"
)

func (r *reader) Handles(ctx context.Context, tenantID string) ([]string, error) {
	handles := []string{}
	if !storable(tenantID) {
		return handles, nil
	}
	err := r.tx.NewSelect().Model((*keyRow)(nil)).Column("handle").Where("tenant_id = ?", tenantID).
		Where("revoked_at IS NULL").Scan(ctx, &handles)
	return handles, fault(ctx, err)
}

func (r *reader) TakenHashes(ctx context.Context, hashes [][32]byte) ([][32]byte, error) {
	values := make([][]byte, len(hashes))
	for i := range hashes {
		values[i] = hashes[i][:]
	}
	found, err := taken[secretRow](ctx, r, "hash", values)
	if err != nil {
		return nil, err
	}
	out := make([][32]byte, len(found))
	for i, hash := range found {
		copy(out[i][:], hash)
	}
	return out, nil
}

// InsertKeys looks for what is taken before it writes, so that a caller who
// goes on after a conflict has not inserted some of the keys.
func (w *writer) InsertKeys(ctx context.Context, made []keys.Key, secrets []keys.KeySecret) error {
	if len(made) != len(secrets) {
		return errors.New("as many secrets as keys are needed")
	}
	if len(made) == 0 {
		return ctx.Err()
	}
	if err := need[tenantRow](ctx, &w.reader, eq{"id", made[0].TenantID}); err != nil {
		return err
	}
	if err := w.keysFree(ctx, made, secrets); err != nil {
		return err
	}
	rows, secretRows := make([]keyRow, len(made)), make([]secretRow, len(made))
	for i := range made {
		if made[i].TenantID != made[0].TenantID {
			return errors.New("keys of several tenants at once")
		}
		rows[i] = *newKeyRow(&made[i], w.Epoch())
		secretRows[i] = *newSecretRow(made[i].TenantID, made[i].ID, secrets[i])
	}
	if err := insertMany(ctx, w, rows, "id", idTaken); err != nil {
		return err
	}
	if err := insertMany(ctx, w, secretRows, "hash", conflicts["key_secrets_pkey"]); err != nil {
		return err
	}
	for i := range made {
		w.changed(made[i].TenantID, keys.ChangeKey, made[i].ID)
		made[i] = rows[i].key()
	}
	return nil
}

// keysFree is the conflict when an id, a handle or a hash is taken, by a key
// that is there or by another of those that are to be made.
func (w *writer) keysFree(ctx context.Context, made []keys.Key, secrets []keys.KeySecret) error {
	var ids, handles []string
	hashes := make([][32]byte, len(secrets))
	for i := range made {
		if storable(made[i].ID) {
			ids = append(ids, made[i].ID)
		}
		if made[i].RevokedAt == nil && storable(made[i].Handle) {
			handles = append(handles, made[i].Handle)
		}
		hashes[i] = secrets[i].Hash
	}
	there, err := taken[keyRow](ctx, &w.reader, "id", ids)
	if err != nil || len(there) > 0 || repeated(ids) {
		return firstError(err, &idTaken)
	}
	live, err := w.liveHandles(ctx, made[0].TenantID, handles)
	if conflict := conflicts["keys_live_handle_key"]; err != nil || live || repeated(handles) {
		return firstError(err, &conflict)
	}
	used, err := w.TakenHashes(ctx, hashes)
	if conflict := conflicts["key_secrets_pkey"]; err != nil || len(used) > 0 || repeated(hashes) {
		return firstError(err, &conflict)
	}
	return nil
}

// liveHandles tells whether a live key of the tenant has one of the handles.
func (w *writer) liveHandles(ctx context.Context, tenantID string, handles []string) (bool, error) {
	there, err := taken[keyRow](ctx, &w.reader, "handle", handles, func(q *bun.SelectQuery) {
		q.Where("tenant_id = ?", tenantID).Where("revoked_at IS NULL")
	})
	return len(there) > 0, err
}

func repeated[V comparable](values []V) bool {
	seen := make(map[V]bool, len(values))
	for _, v := range values {
		seen[v] = true
	}
	return len(seen) < len(values)
}
