package mcp

import (
	"context"
	"encoding/json"

	"github.com/bailiwick-mcp/bailiwick/keys/wire"
	"github.com/bailiwick-mcp/bailiwick/policy"
)

// whoami is the answer of the tool of that name.
type whoami struct {
	Organization whoamiTenant `json:"organization"`
	Key          wire.Key     `json:"key"`
	Tools        int          `json:"tools"` // visible now
}

type whoamiTenant struct {
	ID   string `json:"id"`
	Slug string `json:"slug"`
	Name string `json:"name"`
}

func (g *Gateway) whoamiTool() builtin {
	return builtin{
		name: "whoami", title: "Who am I", category: categoryPlatform, effect: policy.EffectRead,
		description: "Tells which key this connection uses, of which organization, what the key's policy is, and how many tools it shows. Of a key with a parent, the parent's limits hold too.",
		input:       object(schema{}),
		output: answered(schema{
			"organization": answered(schema{
				"id": str("Organization id"), "slug": str("Its short name"), "name": str("Its name"),
			}),
			"key":   answered(keyProperties()),
			"tools": whole("Number of tools visible to this connection now"),
		}),
		run: g.whoami,
	}
}

func (g *Gateway) whoami(_ context.Context, r *request, raw json.RawMessage) (any, error) {
	if _, err := arguments[struct{}](raw); err != nil {
		return nil, err
	}
	t := r.principal.Tenant()
	return whoami{
		Organization: whoamiTenant{t.ID, t.Slug, t.Name},
		Key:          wire.KeyOf(r.principal.Key()),
		Tools:        visible(r.question(g, "")).Count(),
	}, nil
}
