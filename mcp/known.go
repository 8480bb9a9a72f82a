package mcp

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/policy"
)

// mayKnow tells whether the key may notice an instance whose tools nobody has
// seen: it and the session reach it, and the key's policy allows a tool that it
// may well have. When in doubt it may not.
func (g *Gateway) mayKnow(r *request, i *keys.Instance) bool {
	grant := r.principal.Grant()
	if !r.narrowing.reaches(i.Slug) || !r.principal.Valid() || grant == nil {
		return false
	}
	names := grant.SuggestedNames()
	for _, rule := range i.Tools {
		if name := strings.ReplaceAll(rule.Match, "*", ""); name != "" {
			names = append(names, name)
		}
	}
	now := g.cfg.Now()
	return slices.ContainsFunc(names, func(name string) bool {
		// The least that a tool may do, as far as the instance is trusted.
		category, effect := classify(*i, name, json.RawMessage(`{"readOnlyHint":true}`))
		t := policy.Tool{ID: i.Slug + "/" + name, Name: exposedName(i.Slug, name), Category: category, Effect: effect,
			InstanceID: i.ID, ProjectID: i.ProjectID, WriteEnabled: i.WriteEnabled}
		return grant.Decide(nil, &t, now).Allowed()
	})
}

// reached is what of the instances is to be mounted here.
func (g *Gateway) reached(ctx context.Context, all []keys.Instance) ([]keys.Instance, error) {
	all = slices.DeleteFunc(all, func(i keys.Instance) bool { return !g.reachable(&i) })
	if g.cfg.Only == nil {
		return all, nil
	}
	p, err := g.svc.Refresh(ctx, *g.cfg.Only)
	switch {
	case errors.Is(err, keys.ErrBadCredential):
		return nil, nil
	case err != nil:
		return nil, err
	case !p.Grant().DecideKey(g.cfg.Now()).Allowed():
		return nil, nil
	}
	r := &request{principal: p}
	return slices.DeleteFunc(all, func(i keys.Instance) bool {
		return i.TenantID != p.TenantID() || g.outside(r, &i, policy.RuleInstance, policy.RuleProject)
	}), nil
}

// awaitFirst waits, for a while, for the first attempt to reach the instance
// that a call is for, and tells whether it waited. It never waits for one of
// which the key may not know, or that was tried before.
func (g *Gateway) awaitFirst(ctx context.Context, r *request, v verdict) bool {
	if !v.allowed() && (v.target.kind == kindResource || v.target.kind == kindTemplate) {
		return g.awaitUnseen(ctx, r) // it says no instance, so it may be any one's
	}
	s := shelfOf(r.tenant.catalog.Load(), v)
	if s == nil || s.mount == nil || s.mount.wasTried() {
		return false
	}
	if !v.allowed() && (s.known || !g.mayKnow(r, &s.instance)) {
		return false
	}
	limit := time.NewTimer(g.cfg.ListWait)
	defer limit.Stop()
	select {
	case <-s.mount.tried:
	case <-limit.C:
	case <-ctx.Done():
	}
	return true
}

// shelfOf is the instance that a call is for; nil = none that is there.
func shelfOf(c *catalog, v verdict) *shelf {
	slug, _, named := strings.Cut(v.target.name, "__")
	if c.bare != "" {
		slug, named = c.bare, true
	}
	if v.tool != nil {
		slug, named = slugOf(v.tool), true
	}
	if !named {
		return nil
	}
	return c.slugs[slug]
}

// wasTried tells whether the first attempt is over.
func (m *mount) wasTried() bool {
	select {
	case <-m.tried:
		return true
	default:
		return false
	}
}
