package mcp

import (
	"context"
	"encoding/json"
	"time"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/keys/wire"
	"github.com/bailiwick-mcp/bailiwick/mcp/rawjson"
	"github.com/bailiwick-mcp/bailiwick/policy"
)

// explainTool answers why a key may or may not use one thing, or all of them.
func (g *Gateway) explainTool() builtin {
	denial := object(schema{"name": str("Name as listed"), "reason": str("First failing rule")}, "name", "reason")
	return builtin{
		name: "explain_access", title: "Explain access", category: categoryAudit, permission: viewAudit, effect: policy.EffectRead,
		description: "Tells whether a key may call a tool, get a prompt or read a resource, and which rules of its policy decide that. " +
			"Without tool: which of all tools it may use, and why not the others. Asking changes nothing.",
		input: object(schema{
			"id":        str("Key id, or its handle; default who asks"),
			"tool":      str("Name as listed, or <instance>/<name>; of a resource or template <instance>/<uri>; absent = all"),
			"at":        str("As of this time, RFC 3339: a key may expire; default now"),
			"arguments": schema{"type": "object", "description": "With tool: arguments of a call to judge too; without them, argument.not_allowed says what they must meet"},
			"limit":     whole("Without tool: at most so many names allowed, and so many denied; 1 to 200, default 50"),
		}),
		output: object(schema{
			"decision": oneOf("Outcome", "allow", "deny"),
			"reason":   nullable(str("First failing rule; null when allowed")),
			"failed":   listOf(str("Rule"), "All failing rules, in order"),
			"rules": listOf(object(schema{"rule": str("Rule"), "ok": flag("Whether it holds"),
				"observed": str("What it saw"), "pattern": nullable(str("Allowlist pattern that decided"))},
				"rule", "ok", "observed"), "Every rule that was evaluated, in order"),
			"summary": described("How many, of all that is on offer", answered(schema{"allowed": whole("Allowed"), "denied": whole("Denied")})),
			"allowed": listOf(str("Name as listed"), "Without tool: what is allowed, up to limit"),
			"denied":  listOf(denial, "Without tool: what is denied, up to limit"),
			"keyId":   nullable(str("Key; null for the subject of a token")), "keyVersion": nullable(whole("Its version")),
			"epoch": whole("Edit as of which it was decided"), "at": str("Time as of which it was decided"),
			"catalogVersion": str("Which catalog was asked: of equal ones equal"),
		}, "at", "catalogVersion", "epoch", "keyId", "keyVersion"),
		run: g.explainAccess,
	}
}

// accessSummary is a wire.Matrix cut to what a model can use.
type accessSummary struct {
	wire.Basis
	CatalogVersion string       `json:"catalogVersion"`
	Summary        wire.Summary `json:"summary"`
	Allowed        []string     `json:"allowed"`
	Denied         []denial     `json:"denied"`
}

type denial struct {
	Name   string `json:"name"`
	Reason string `json:"reason"`
}

// explainAccess takes a withheld tool for an unknown one, whoever is asked about:
// the caller may not know of it.
func (g *Gateway) explainAccess(ctx context.Context, r *request, raw json.RawMessage) (any, error) {
	in, err := arguments[struct {
		ID    keys.Opt[string] `json:"id"`
		Tool  keys.Opt[string] `json:"tool"`
		At    keys.Opt[string] `json:"at"`
		Limit keys.Opt[int]    `json:"limit"`

		Arguments map[string]any `json:"arguments"`
	}](raw)
	if err != nil {
		return nil, err
	}
	_, limit, err := paging(keys.Opt[int]{}, in.Limit)
	if err != nil {
		return nil, err
	}
	if in.Tool.Set && in.Tool.Value == "" {
		return nil, invalidArgument("tool", "must be a name as listed, or <instance>/<name or uri>; leave it out for all")
	}
	q := keys.Question{Key: in.ID.Value}
	if in.Arguments != nil {
		q.Arguments = rawjson.Field(raw, "arguments")
	}
	st, err := g.standing(ctx, r.principal, q, in.At.Value)
	if err != nil {
		return nil, err
	}
	offer, err := g.Offer(ctx, r.principal)
	if err != nil {
		return nil, err
	}
	offer = offer.Without(func(t *policy.Tool) bool { return g.withheld(r, t) })
	if in.Tool.Set {
		return wire.ExplanationOf(&st, offer, in.Tool.Value), nil
	}
	return summed(wire.MatrixOf(&st, offer), limit), nil
}

func (g *Gateway) standing(ctx context.Context, p keys.Principal, q keys.Question, at string) (keys.Standing, error) {
	q.At = g.cfg.Now()
	if at != "" {
		var err error
		if q.At, err = time.Parse(time.RFC3339, at); err != nil {
			return keys.Standing{}, invalidArgument("at", "must be a time as in RFC 3339, like 2030-01-31T12:00:00Z")
		}
	}
	if q.Key == "" {
		return g.svc.OwnStanding(ctx, p, q)
	}
	return g.svc.Standing(ctx, p, q)
}

func summed(m wire.Matrix, limit int) accessSummary {
	out := accessSummary{Basis: m.Basis, CatalogVersion: m.CatalogVersion, Summary: m.Summary, Allowed: []string{}, Denied: []denial{}}
	for _, t := range m.Tools {
		switch {
		case t.Reason == nil && len(out.Allowed) < limit:
			out.Allowed = append(out.Allowed, t.Name)
		case t.Reason != nil && len(out.Denied) < limit:
			out.Denied = append(out.Denied, denial{t.Name, *t.Reason})
		}
	}
	return out
}
