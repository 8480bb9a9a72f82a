package mcp

import (
	"context"
	"encoding/json"

	"github.com/bailiwick-mcp/bailiwick/keys/wire"
	"github.com/bailiwick-mcp/bailiwick/policy"
)

// whoami is the answer of the tool of that name.
type whoami struct {
	Organization whoamiTenant  `json:"organization"`
	Kind         string        `json:"kind"` // key, subject
	Key          *wire.Key     `json:"key"`
	Subject      *wire.Subject `json:"subject"`
	Tools        int           `json:"tools"` // visible now
}

type whoamiTenant struct {
	ID   string `json:"id"`
	Slug string `json:"slug"`
	Name string `json:"name"`
}

func (g *Gateway) whoamiTool() builtin {
	return builtin{
		name: "whoami", title: "Who am I", category: categoryPlatform, effect: policy.EffectRead,
		description: "Tells which key, or which subject of a token, this connection uses, of which organization, what its policy is, and how many tools it shows. Of a key with a parent, the parent's limits hold too.",
		input:       object(schema{}),
		output: answered(schema{
			"organization": answered(schema{
				"id": str("Organization id"), "slug": str("Its short name"), "name": str("Its name"),
			}),
			"kind":    oneOf("What authenticated: an API key, or the subject of an identity provider's token", "key", "subject"),
			"key":     nullable(answered(keyProperties().and(schema{"mcpShadow": schema{"type": "null", "description": "Not told here"}}))),
			"subject": nullable(answered(subjectProperties())),
			"tools":   whole("Number of tools visible to this connection now"),
		}),
		run: g.whoami,
	}
}

func (g *Gateway) whoami(_ context.Context, r *request, raw json.RawMessage) (any, error) {
	if _, err := arguments[struct{}](raw); err != nil {
		return nil, err
	}
	t := r.principal.Tenant()
	out := whoami{
		Organization: whoamiTenant{t.ID, t.Slug, t.Name},
		Kind:         "key",
		Tools:        visible(r.question(g), kindTool).Count(),
	}
	if r.principal.IsSubject() {
		subject := wire.SubjectOf(r.principal)
		out.Kind, out.Subject = "subject", &subject
	} else {
		key := wire.KeyOf(r.principal.Key())
		key.MCPShadow = nil // who is tried is not told: it would name what is hidden, and act for the trial
		out.Key = &key
	}
	return out, nil
}

// subjectProperties are those of a JWT's subject as answered.
func subjectProperties() schema {
	out := schema{
		"issuer": str("URL of the identity provider"), "subject": str("Its name for who this is"),
		"expiresAt": str("End of the token, RFC 3339"),
	}
	p := keyProperties()
	for _, name := range []string{"permissions", "mcpActive", "mcpReadOnly", "mcpPreset", "mcpPermissions",
		"mcpAllowlistMode", "mcpToolAllowlist", "mcpProjectIds", "mcpInstanceIds", "mcpArgumentRules", "mcpApprovals", "mcpLimits"} {
		out[name] = p[name]
	}
	return out
}
