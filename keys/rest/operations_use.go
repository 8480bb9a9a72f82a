package rest

import (
	"context"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/keys/wire"
)

// changeKey asks for an edit, or for what it would do.
type changeKey struct {
	editKey
	dryRun bool
	days   int
}

// keyChanged is the key as it is now, or what would become of it.
type keyChanged struct {
	key     keys.Key
	effects *wire.Effects
}

func (o operations) changeKey(ctx context.Context, p keys.Principal, r changeKey) (out keyChanged, err error) {
	if !r.dryRun {
		out.key, err = o.updateKey(ctx, p, r.editKey)
		return out, err
	}
	offer, err := o.offered(ctx, p)
	if err != nil {
		return out, err
	}
	found, err := o.svc.DryRunUpdate(ctx, p, r.id, r.patch, offer, r.days)
	effects := wire.EffectsOf(found, r.days)
	out.effects = &effects
	return out, err
}

// keyUse asks for what a key was used for in so many days.
type keyUse struct {
	id   string
	days int
}

func (o operations) shadow(ctx context.Context, p keys.Principal, r keyUse) (keys.ShadowReport, error) {
	return o.svc.Shadow(ctx, p, r.id, r.days)
}

func (o operations) suggest(ctx context.Context, p keys.Principal, r keyUse) (keys.Suggestion, error) {
	offer, err := o.offered(ctx, p)
	if err != nil {
		return keys.Suggestion{}, err
	}
	return o.svc.Suggest(ctx, p, r.id, offer, r.days)
}
