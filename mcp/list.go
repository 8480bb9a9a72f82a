package mcp

import (
	"context"
	"encoding/json"
	"slices"

	mcpgo "github.com/mark3labs/mcp-go/mcp"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/mcp/rawjson"
	"github.com/bailiwick-mcp/bailiwick/policy"
)

// list answers a list of one kind: one page, in order of the exposed names,
// spliced from definitions that are encoded already.
//
// mcp-go (v1.2.1) would copy, sort and encode every tool for each list, and
// loses schema keywords that its types do not know.
func (g *Gateway) list(ctx context.Context, r *request, k kind) reply {
	if cursor := rawjson.Field(r.msg.params, "cursor"); cursor != nil && string(cursor) != "null" {
		return refusal(r.era, r.msg.id, mcpgo.INVALID_PARAMS, "Unknown cursor: the list has one page", nil)
	}
	g.awaitUnseen(ctx, r)
	q := r.question(g)
	set := listed(q, k)
	if r.session != nil {
		r.session.listed[k].Store(q.catalog.offers[k].fingerprint(set))
	}
	raw := listResult(q.catalog, k, set)
	if r.era == eraModern {
		// Whoever keeps a list shows tools that an edit has taken away since,
		// so no time is granted (2026-07-28, caching hints).
		raw = rawjson.Prepend(raw, "ttlMs", []byte("0"))
		raw = rawjson.Prepend(raw, "cacheScope", []byte(`"private"`))
		return completeResult(r.msg.id, raw, r.tenant.info)
	}
	return result(r.msg.id, raw)
}

func listResult(c *catalog, k kind, set policy.Bitset) json.RawMessage {
	entries := c.offers[k].entries
	size := len(listMember[k]) + len(`{"":[]}`)
	for i := range entries {
		if set.Has(i) {
			size += len(entries[i].definition) + 1
		}
	}
	out := append(make([]byte, 0, size), `{"`...)
	out = append(append(out, listMember[k]...), `":[`...)
	for i := range entries {
		if !set.Has(i) {
			continue
		}
		if out[len(out)-1] != '[' {
			out = append(out, ',')
		}
		out = append(out, entries[i].definition...)
	}
	return append(out, `]}`...)
}

// awaitUnseen waits, for a while, until the instances that the principal
// reaches and whose lists nobody has seen yet were tried once, and tells whether
// there were any. Instances that it does not reach are never waited for.
func (g *Gateway) awaitUnseen(ctx context.Context, r *request) (waited bool) {
	ctx, done := context.WithTimeout(ctx, g.cfg.ListWait)
	defer done()
	select { // before that, no instance is known at all
	case <-g.mounts.loaded:
	case <-ctx.Done():
		return waited
	}
	for _, m := range g.unseen(r.tenant) {
		if !g.reaches(r, m) {
			continue
		}
		waited = true
		select {
		case <-m.tried:
		case <-ctx.Done():
			return waited
		}
	}
	return waited
}

// reaches tells whether the key and the session leave an instance at all: the
// rules about instances and projects hold for a tool of it.
func (g *Gateway) reaches(r *request, m *mount) bool {
	i := m.instance.Load()
	return r.narrowing.reaches(i.Slug) && !g.outside(r, i, policy.RuleInstance, policy.RuleProject)
}

// outside tells whether one of the given rules keeps the principal from every
// tool of the instance.
func (g *Gateway) outside(r *request, i *keys.Instance, rules ...policy.Rule) bool {
	probe := policy.Tool{ID: i.Slug + "/probe", Name: exposedName(i.Slug, "probe"), Category: defaultCategory,
		Effect: policy.EffectRead, InstanceID: i.ID, ProjectID: i.ProjectID, WriteEnabled: true}
	rules = append(rules, policy.RuleUnknown) // nothing was evaluated
	return slices.ContainsFunc(r.principal.Grant().Decide(nil, &probe, g.cfg.Now()).Failed(), func(failed policy.Rule) bool {
		return slices.Contains(rules, failed)
	})
}
