package rest

import (
	"context"
	"errors"

	"github.com/bailiwick-mcp/bailiwick/keys"
)

// A key that is known by its name is found by its handle, then changed by its
// id. One that is revoked in between is not there any more.

type editNamedKey struct {
	name  string
	patch keys.KeyPatch
}

type revokeNamedKey struct {
	name      string
	ifVersion int64
}

func (o operations) keyNamed(ctx context.Context, p keys.Principal, name string) (keys.Key, error) {
	return o.svc.KeyNamed(ctx, p, name, false)
}

func (o operations) updateKeyNamed(ctx context.Context, p keys.Principal, r editNamedKey) (keys.Key, error) {
	key, err := o.svc.KeyNamed(ctx, p, r.name, true)
	if err != nil {
		return keys.Key{}, err
	}
	key, err = o.svc.UpdateKey(ctx, p, key.ID, r.patch)
	return key, revokedIsAbsent(err)
}

func (o operations) revokeKeyNamed(ctx context.Context, p keys.Principal, r revokeNamedKey) (nothing, error) {
	key, err := o.svc.KeyNamed(ctx, p, r.name, true)
	if err != nil {
		return nothing{}, err
	}
	_, err = o.svc.RevokeKey(ctx, p, key.ID, keys.Revocation{IfVersion: r.ifVersion, Once: true})
	return nothing{}, revokedIsAbsent(err)
}

func revokedIsAbsent(err error) error {
	if errors.Is(err, keys.ErrRevoked) {
		return keys.ErrNotFound
	}
	return err
}
