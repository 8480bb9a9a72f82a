package mcp

import (
	"context"

	"github.com/bailiwick-mcp/bailiwick/keys"
)

// Offer is what the principal's tenant has on offer now, whatever the principal
// itself may use: who asks must hold view:audit, which the gateway does not check.
func (g *Gateway) Offer(_ context.Context, p keys.Principal) (keys.Offer, error) {
	return g.tenantOf(p.TenantID()).catalog.Load().offered(), nil
}

// StoredOffer is Offer for a process that mounts nothing: what the enabled
// instances have announced last, and the gateway's own tools. It needs
// view:instances.
func (g *Gateway) StoredOffer(ctx context.Context, p keys.Principal) (keys.Offer, error) {
	instances, err := g.svc.Instances(ctx, p)
	if err != nil {
		return keys.Offer{}, err
	}
	var parts []mounted
	for _, i := range instances {
		if !i.Enabled {
			continue
		}
		defs, err := g.svc.Definitions(ctx, i)
		if err != nil {
			return keys.Offer{}, err
		}
		parts = append(parts, mounted{instance: i, defs: defs, reads: haveResources(defs)})
	}
	c, _, err := newCatalog(g.builtinTools(), parts)
	if err != nil {
		return keys.Offer{}, err
	}
	return c.offered(), nil
}

func (c *catalog) offered() keys.Offer {
	var items []keys.Offered
	if c == nil {
		return keys.NewOffer(items)
	}
	for k := range c.offers {
		for i := range c.offers[k].entries {
			items = append(items, keys.Offered{Kind: kind(k).String(), Tool: *c.offers[k].tools.At(i)})
		}
	}
	offer := keys.NewOffer(items)
	offer.Unlisted = c.unlisted
	return offer
}
