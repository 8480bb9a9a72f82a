package mcp

import (
	"context"
	"encoding/json"
	"slices"
	"strings"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/keys/wire"
	"github.com/bailiwick-mcp/bailiwick/policy"
)

// Explain tells why a key (by id, or else by handle) of the principal's tenant
// may or may not use a tool, prompt, resource or template, by its exposed name or
// canonical id. It needs view:audit, and shows anything of the tenant.
func (g *Gateway) Explain(ctx context.Context, p keys.Principal, keyID, tool string) (wire.Explanation, error) {
	return g.explain(ctx, p, keyID, tool, nil, func(*policy.Tool) bool { return false })
}

// explain takes a withheld tool for an unknown one, whoever is asked about: the
// caller may not know of it.
func (g *Gateway) explain(ctx context.Context, p keys.Principal, keyID, name string, arguments json.RawMessage, withheld func(*policy.Tool) bool) (wire.Explanation, error) {
	key, grant := keys.Key{}, p.Grant() // of a JWT's subject, who has no key
	if keyID != "" {
		var err error
		if key, grant, err = g.svc.Grant(ctx, p, keyID); err != nil {
			return wire.Explanation{}, err
		}
	}
	tenant := g.tenantOf(p.TenantID())
	tool := tenant.catalog.Load().askedFor(name)
	if tool != nil && withheld(tool) {
		tool = nil
	}
	decision, rules := grant.Explain(nil, tool, g.cfg.Now())
	decision, rules = tenant.explainArguments(grant, tool, arguments, decision, rules)
	epoch, _ := g.svc.Confirmed()
	return wire.ExplanationOf(decision, rules, key, epoch), nil
}

// Subject is what policies see of a tool, prompt, resource or template of an
// instance, by its upstream name or uri and as last announced; nil when there is
// none. The caller has made sure that the instance is the principal's to see.
func (g *Gateway) Subject(ctx context.Context, i keys.Instance, name string) (*policy.Tool, error) {
	defs, err := g.svc.Definitions(ctx, i)
	if err != nil {
		return nil, err
	}
	c, _, err := newCatalog(nil, []mounted{{instance: i, defs: defs, reads: haveResources(defs)}})
	if err != nil {
		return nil, err
	}
	return c.askedFor(i.Slug + "/" + name), nil
}

// askedFor is what somebody means who asks about a name: what named finds, else a
// uri at an instance that may have it without listing it. Whether the upstream has
// it nobody here knows, and a policy decides it all the same.
func (c *catalog) askedFor(name string) *policy.Tool {
	if t := c.named(name); t != nil {
		return t
	}
	slug, uri := SplitName(name)
	scheme, _, absolute := strings.Cut(uri, ":")
	s := c.slugs[slug]
	if s == nil || !s.reads || !absolute || scheme == "" || len(uri) > maxUnlisted {
		return nil
	}
	t := readable(&s.instance, uri)
	return &t
}

// SplitName takes an exposed name or a canonical id apart; the slug is empty when it
// is neither, or is that of a tool of the gateway's own. No slug has a separator
// in it, but uris do.
func SplitName(name string) (slug, upstream string) {
	n := strings.IndexAny(name, "/_")
	switch {
	case n < 0:
		return "", name
	case name[n] == '/':
		return name[:n], name[n+1:]
	case strings.HasPrefix(name[n:], "__"):
		return name[:n], name[n+2:]
	}
	return "", name
}

// haveResources tells whether an instance with these definitions has resources.
func haveResources(defs []keys.Definition) bool {
	return slices.ContainsFunc(defs, func(d keys.Definition) bool {
		return d.Kind == kindResource.String() || d.Kind == kindTemplate.String()
	})
}
