package keystest

import (
	"context"
	"errors"

	"github.com/bailiwick-mcp/bailiwick/keys"
)

func (r *reader) Handles(ctx context.Context, tenantID string) ([]string, error) {
	handles := []string{}
	for _, k := range r.state.keys {
		if k.TenantID == tenantID && k.RevokedAt == nil {
			handles = append(handles, k.Handle)
		}
	}
	return handles, r.check(ctx)
}

func (r *reader) TakenHashes(ctx context.Context, hashes [][32]byte) ([][32]byte, error) {
	taken := [][32]byte{}
	for _, h := range hashes {
		if _, ok := r.state.secrets[h]; ok {
			taken = append(taken, h)
		}
	}
	return taken, r.check(ctx)
}

func (w *writer) InsertKeys(ctx context.Context, made []keys.Key, secrets []keys.KeySecret) error {
	if len(made) != len(secrets) {
		return errors.New("as many secrets as keys are needed")
	}
	if err := w.insertableKeys(ctx, made, secrets); err != nil {
		return err
	}
	for i := range made {
		if err := w.putKey(&made[i]); err != nil {
			return err
		}
		if err := w.putSecrets(made[i].TenantID, made[i].ID, secrets[i:i+1]); err != nil {
			return err
		}
	}
	return nil
}

// insertableKeys looks at all before any is written.
func (w *writer) insertableKeys(ctx context.Context, made []keys.Key, secrets []keys.KeySecret) error {
	ids, handles, hashes := map[string]bool{}, map[string]bool{}, map[[32]byte]bool{}
	for i := range made {
		k := &made[i]
		_, owner := w.state.tenants[k.TenantID]
		_, taken := w.state.keys[k.ID]
		if err := w.insertable(ctx, owner, taken || ids[k.ID]); err != nil {
			return err
		}
		if err := checkTexts(k); err != nil {
			return err
		}
		if err := w.handleFree(k); err != nil {
			return err
		}
		if k.RevokedAt == nil && handles[k.Handle] {
			return &keys.ConflictError{Field: "handle", Problem: "is already taken by a live key"}
		}
		if _, taken := w.state.secrets[secrets[i].Hash]; taken || hashes[secrets[i].Hash] {
			return &keys.ConflictError{Field: "key", Problem: "this secret is already in use"}
		}
		ids[k.ID], hashes[secrets[i].Hash] = true, true
		handles[k.Handle] = handles[k.Handle] || k.RevokedAt == nil
	}
	return nil
}
