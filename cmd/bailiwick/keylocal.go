package main

import (
	"context"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/keys/wire"
)

// localKeys is the keyring of the local store, for its operator.
type localKeys struct {
	svc *keys.Service
	p   keys.Principal
}

var _ keyring = localKeys{}

func (l localKeys) Keys(ctx context.Context, q keyQuery) (wire.KeyList, error) {
	all, total, err := l.svc.Keys(ctx, l.p, keys.KeyQuery{Search: q.search, IncludeRevoked: q.revoked})
	return wire.KeyListOf(all, total), err
}

func (l localKeys) Find(ctx context.Context, idOrHandle string) (wire.Key, error) {
	k, err := l.svc.FindKey(ctx, l.p, idOrHandle)
	return wire.KeyOf(k), err
}

func (l localKeys) Create(ctx context.Context, body wire.CreateKey) (wire.Issued, error) {
	n, err := body.NewKey("cli")
	if err != nil {
		return wire.Issued{}, err
	}
	ctx, done := keys.WithReceipt(ctx)
	issued, err := l.svc.CreateKey(ctx, l.p, n)
	return wire.IssuedOf(issued, done.Last()), err
}

func (l localKeys) Update(ctx context.Context, id string, body wire.UpdateKey) (wire.EditedKey, error) {
	return l.UpdateSeen(ctx, id, 0, body)
}

func (l localKeys) UpdateSeen(ctx context.Context, id string, version int64, body wire.UpdateKey) (wire.EditedKey, error) {
	ctx, done := keys.WithReceipt(ctx)
	k, err := l.svc.UpdateKey(ctx, l.p, id, body.Patch(version))
	return wire.EditedKey{Key: wire.KeyOf(k), Edited: wire.EditedBy(done.Last())}, err
}

// DryRun goes by what instances have announced last: the local store mounts none.
func (l localKeys) DryRun(ctx context.Context, id string, body wire.UpdateKey, days int) (wire.Effects, error) {
	offer, err := l.offer(ctx)
	if err != nil {
		return wire.Effects{}, err
	}
	effects, err := l.svc.DryRunUpdate(ctx, l.p, id, body.Patch(0), offer, days)
	return wire.EffectsOf(effects, days), err
}

func (l localKeys) Rotate(ctx context.Context, id string, body wire.RotateKey) (wire.Issued, error) {
	grace, err := body.Grace()
	if err != nil {
		return wire.Issued{}, err
	}
	ctx, done := keys.WithReceipt(ctx)
	issued, err := l.svc.RotateKey(ctx, l.p, id, keys.Rotation{Grace: grace})
	return wire.IssuedOf(issued, done.Last()), err
}

func (l localKeys) Revoke(ctx context.Context, id string, body wire.RevokeKey) (wire.EditedKey, error) {
	ctx, done := keys.WithReceipt(ctx)
	k, err := l.svc.RevokeKey(ctx, l.p, id, keys.Revocation{Reason: body.Reason.Value})
	return wire.EditedKey{Key: wire.KeyOf(k), Edited: wire.EditedBy(done.Last())}, err
}

func (l localKeys) Import(ctx context.Context, lines []byte) (wire.EditedImport, error) {
	ctx, done := keys.WithReceipt(ctx)
	answer, err := wire.ParseImport(lines, "cli").Into(func(list []keys.ImportedKey) ([]keys.ImportResult, error) {
		return l.svc.ImportKeys(ctx, l.p, list)
	})
	return wire.EditedImport{ImportAnswer: answer, Edited: wire.EditedBy(done.Last())}, err
}

func (l localKeys) ProjectID(ctx context.Context, idOrSlug string) (string, error) {
	project, err := l.svc.Project(ctx, l.p, idOrSlug)
	return project.ID, err
}

func (l localKeys) InstanceID(ctx context.Context, idOrSlug string) (string, error) {
	instance, err := l.svc.Instance(ctx, l.p, idOrSlug)
	return instance.ID, err
}
