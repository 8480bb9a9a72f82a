package keys

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/bailiwick-mcp/bailiwick/policy"
)

const (
	maxDepth    = 8    // keys in a chain, from the first ancestor to the last child
	maxChildren = 1000 // live children of one key
)

// chain is a key with its ancestors, nearest first, as they stand in one snapshot.
type chain struct {
	tenant Tenant
	keys   []Key
	layers []policy.Subject
	broken bool // an ancestor is gone, or there are too many
}

func loadChain(ctx context.Context, r Reader, key Key) (chain, error) {
	tenant, err := r.Tenant(ctx, key.TenantID)
	if err != nil {
		return chain{}, err
	}
	c := chain{tenant: tenant}
	for {
		layer, err := subjectOf(ctx, r, &key, tenant)
		if err != nil {
			return chain{}, err
		}
		c.keys, c.layers = append(c.keys, key), append(c.layers, layer)
		if key.ParentKeyID == "" {
			return c, nil
		}
		parent, err := r.Key(ctx, tenant.ID, key.ParentKeyID)
		if errors.Is(err, ErrNotFound) || len(c.keys) == maxDepth {
			c.broken = true
			return c, nil
		}
		if err != nil {
			return chain{}, err
		}
		key = parent
	}
}

// subjectOf is all that a decision knows of one key. Of the tenant's presets it
// carries only the one that the key names.
func subjectOf(ctx context.Context, r Reader, k *Key, t Tenant) (policy.Subject, error) {
	presets, err := presetNamed(ctx, r, t.ID, k.Policy.Preset)
	if err != nil {
		return policy.Subject{}, err
	}
	return subject(k, t, presets), nil
}

// presetNamed is the tenant's own preset of that name, where it is one.
func presetNamed(ctx context.Context, r Reader, tenantID, name string) (map[string]policy.Preset, error) {
	if policy.ReservedPreset(name) {
		return nil, nil
	}
	preset, err := r.Preset(ctx, tenantID, name)
	switch {
	case isNotFound(err):
		return nil, nil
	case err != nil:
		return nil, err
	}
	return map[string]policy.Preset{preset.Name: preset.Preset}, nil
}

func subject(k *Key, t Tenant, presets map[string]policy.Preset) policy.Subject {
	return policy.Subject{
		Revoked: k.RevokedAt != nil, Enabled: k.Enabled, ExpiresAt: k.ExpiresAt,
		TenantMCPEnabled: t.MCPEnabled, Scope: k.Scope, Permissions: k.Permissions,
		ProjectID: k.ProjectID, Policy: k.Policy, Presets: presets,
	}
}

// live tells whether the key and all its ancestors count at now: revoking,
// disabling or expiring one ends its subtree.
func (c chain) live(now time.Time) bool {
	if c.broken || len(c.keys) == 0 {
		return false
	}
	for i := range c.keys {
		if !c.keys[i].Enabled || !c.keys[i].Live(now) {
			return false
		}
	}
	return true
}

// ids are those of the key and its ancestors.
func (c chain) ids() []string {
	out := make([]string, len(c.keys))
	for i := range c.keys {
		out[i] = c.keys[i].ID
	}
	return out
}

// until is when the first of the chain expires; zero = never.
func (c chain) until() (first time.Time) {
	for i := range c.keys {
		first = earlier(first, c.keys[i].ExpiresAt)
	}
	return first
}

// earlier reads the zero time and nil as never.
func earlier(a time.Time, b *time.Time) time.Time {
	if b == nil || !a.IsZero() && a.Before(*b) {
		return a
	}
	return *b
}

// projects are those that the chain is confined to, all at once.
func (c chain) projects() []string {
	var out []string
	for i := range c.keys {
		if id := c.keys[i].ProjectID; id != "" && !slices.Contains(out, id) {
			out = append(out, id)
		}
	}
	return out
}

// principal is what the chain gives to a request.
func (c chain) principal(hash [32]byte, epoch int64) Principal {
	tenant, key := c.tenant, c.keys[0] // by themselves, without the rest of the chain
	grant := policy.Compile(c.layers[0], c.layers[1:]...)
	key.Policy.ToolAllowlist = slices.Clone(key.Policy.ToolAllowlist)
	grant.Share(key.Policy.ToolAllowlist)
	return Principal{&identity{
		kind: principalKey, tenant: &tenant, key: key, hash: hash, grant: grant,
		chain: c.ids(), projects: c.projects(), until: c.until(), epoch: epoch,
	}}
}
