package mcp

import (
	"context"
	"encoding/json"
	"time"

	"github.com/google/uuid"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/keys/wire"
	"github.com/bailiwick-mcp/bailiwick/policy"
)

const viewAudit = "view:audit"

// auditTools answer why and what happened.
func (g *Gateway) auditTools() []builtin {
	return []builtin{g.explainTool(), {
		name: "list_audit_events", title: "List audit events", category: categoryAudit, permission: viewAudit, effect: policy.EffectRead,
		description: "Lists calls, denials and changes within this key's reach, newest first. A page may have fewer than limit; go on while next is not null.",
		input: object(schema{
			"limit": whole("1 to 200; default 50"), "cursor": str("next of the page before"),
			"key": str("Only this key's, by id"), "tool": str("Only this tool, by name as asked for"),
			"decision": oneOf("Only these", "allow", "deny"), "since": str("RFC 3339"),
			"ref": str("Only the denial with this reference"),
		}),
		output: answered(schema{
			"events": listOf(answered(eventProperties()), "Events"),
			"next":   nullable(str("cursor of the next page; null at the end")),
		}),
		run: g.listAuditEvents,
	}}
}

func eventProperties() schema {
	return schema{
		"id": str("Event id"), "time": str("RFC 3339"), "kind": oneOf("Kind", "decision", "call", "change"),
		"action": str("What was asked or done"), "actor": str("Key id, jwt:<issuer>|<subject>, or operator"),
		"keyId": nullable(str("Key")), "keyVersion": nullable(whole("Its version")),
		"subject": nullable(str("What was changed, or the tool's canonical id")), "tool": nullable(str("Tool as asked for")),
		"decision": nullable(str("allow or deny")), "failed": listOf(str("Rule"), "Failing rules"),
		"ref": nullable(str("Reference that a denial carried")), "argsDigest": nullable(str("SHA-256 of the arguments")),
		"outcome": nullable(str("ok, tool_error, upstream_error, input_required or canceled")), "latencyMs": nullable(schema{"type": "number", "description": "Duration"}),
		"client": nullable(str("name/version as the client says")), "epoch": whole("Edit as of which it was decided"),
		"detail":   schema{"description": "Of a change: the fields before and after; of a denial: every rule; of a tool call: its arguments, where the organization has them kept"},
		"seen":     schema{"description": "What a decision over MCP saw of the tool: category, effect and the like"},
		"tenantId": str("Tenant"), "writer": nullable(str("Whose hash chain it is in")), "seq": nullable(whole("Its number in the chain")),
		"hash": nullable(str("SHA-256 over the hash before and the fields")),
	}
}

func (g *Gateway) listAuditEvents(ctx context.Context, r *request, raw json.RawMessage) (any, error) {
	in, err := arguments[struct {
		Limit    keys.Opt[int]    `json:"limit"`
		Cursor   keys.Opt[string] `json:"cursor"`
		Key      keys.Opt[string] `json:"key"`
		Tool     keys.Opt[string] `json:"tool"`
		Decision keys.Opt[string] `json:"decision"`
		Since    keys.Opt[string] `json:"since"`
		Ref      keys.Opt[string] `json:"ref"`
	}](raw)
	if err != nil {
		return nil, err
	}
	_, limit, err := paging(keys.Opt[int]{}, in.Limit)
	if err != nil {
		return nil, err
	}
	q := keys.AuditQuery{KeyID: in.Key.Value, Tool: in.Tool.Value, Decision: in.Decision.Value,
		Ref: in.Ref.Value, Before: in.Cursor.Value, Limit: limit}
	if q.Before != "" && uuid.Validate(q.Before) != nil {
		return nil, invalidArgument("cursor", "must be the value of next from the page before")
	}
	switch q.Decision {
	case "", "allow", "deny":
	default:
		return nil, invalidArgument("decision", "must be allow or deny")
	}
	if in.Since.Value != "" {
		if q.Since, err = time.Parse(time.RFC3339, in.Since.Value); err != nil {
			return nil, invalidArgument("since", "must be a time as in RFC 3339, like 2030-01-31T12:00:00Z")
		}
	}
	entries, err := g.svc.AuditEvents(ctx, r.principal, q)
	if err != nil {
		return nil, err
	}
	page := wire.AuditPageOf(entries, limit) // for where the next one begins
	entries = g.trailWithin(r, entries[:len(page.Events)])
	page.Events = wire.AuditPageOf(entries, limit).Events
	return page, nil
}
