package mcp

import (
	"context"
	"encoding/json"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/keys/wire"
	"github.com/bailiwick-mcp/bailiwick/policy"
)

const (
	viewKeys   = "view:api-keys"
	manageKeys = "manage:api-keys"
)

// keyProperties are those of a key as answered.
func keyProperties() schema {
	return schema{
		"id": str("Key id"), "handle": str("Short name, unique among live keys"), "name": str("Name"),
		"description": str("Description"), "tags": listOf(str("Tag"), "Tags"),
		"prefix":  str("What the token starts with"),
		"scope":   oneOf("Which doors the key opens", "api", "mcp_only", "full"),
		"enabled": flag("Whether the key works at all"),

		"permissions":      listOf(str("view:<resource>, manage:<resource> or *"), "Management permissions"),
		"mcpActive":        flag("Whether MCP access is on (false = paused)"),
		"mcpReadOnly":      flag("Only tools of effect read; beats every other setting"),
		"mcpPreset":        str("Ceiling: read_only, standard, full_access, custom, or one of the organization's own"),
		"mcpPermissions":   nullable(listOf(str("mcp:<category> or mcp:*"), "Only these categories; null = no limit, [] = nothing")),
		"mcpAllowlistMode": oneOf("How mcpToolAllowlist is read", "all", "allow", "deny"),
		"mcpToolAllowlist": listOf(str("Pattern; * is the only wildcard"), "Tool patterns"),
		"mcpProjectIds":    nullable(listOf(str("Project id"), "Only these projects; null = all, [] = none")),
		"mcpInstanceIds":   nullable(listOf(str("Instance id"), "Only these instances; null = all, [] = none")),

		"mcpArgumentRules": listOf(object(schema{"tool": str("Pattern of tools"), "pointer": str("JSON pointer into the arguments"),
			"allow": listOf(str("Pattern of a value; * is the only wildcard"), "Values that may be there")}, "tool", "pointer", "allow"), "What arguments of calls must be"),
		"mcpApprovals": listOf(object(schema{"tool": str("Pattern of tools"),
			"effect": oneOf("From which effect on; default read", "read", "write", "destructive")}, "tool"), "Calls that a person must approve"),
		"mcpLimits": listOf(object(schema{"tool": str("Pattern of tools, which share the limit"), "requests": whole("How many calls"),
			"per": oneOf("In which time", "second", "minute", "hour", "day")}, "tool", "requests", "per"), "How many calls it may make"),

		"mcpReconnectRequired":        flag("Always false: edits are in force with the next request"),
		"mcpReconnectRequiredMessage": nullable(str("Always null")),

		"mcpShadow": nullable(schema{"type": "object", "description": "A draft policy with the fields of the key's own (mcpActive, mcpPreset, ...), decided beside it and only recorded; null = none"}),
		"projectId": nullable(str("Project that the key is confined to")), "parentKeyId": nullable(str("Key that minted it, whose limits hold too")),
		"source": str("Door it was made through"), "deviceName": nullable(str("Device")), "createdBy": str("Key id, jwt:<issuer>|<subject>, or operator"),
		"createdAt": str("RFC 3339"), "updatedAt": str("RFC 3339"), "lastUsedAt": nullable(str("RFC 3339")),
		"expiresAt": nullable(str("RFC 3339; null = never")), "revokedAt": nullable(str("RFC 3339")),
		"revokedBy": nullable(str("Key id, jwt:<issuer>|<subject>, or operator")), "revokeReason": nullable(str("Why")),
		"version": whole("Edit as of which this is"),
	}
}

func idArgument() schema { return str("Key id, or its handle") }

// keyTools read keys.
func (g *Gateway) keyTools() []builtin {
	return []builtin{{
		name: "list_api_keys", title: "List API keys", category: categoryKeys, permission: viewKeys, effect: policy.EffectRead,
		description: "Lists the organization's API keys with their policies, oldest first; never their secrets.",
		input: object(schema{
			"search":         str("Part of name, handle or prefix"),
			"includeRevoked": flag("Revoked keys too; default false"),
			"page":           whole("From 1; default 1"),
			"limit":          whole("1 to 200 keys a page; default 50"),
		}),
		output: answered(schema{
			"apiKeys": listOf(answered(keyProperties()), "Keys"), "total": whole("Number of keys on all pages"),
		}),
		run: g.listKeys,
	}, {
		name: "get_api_key", title: "Get an API key", category: categoryKeys, permission: viewKeys, effect: policy.EffectRead,
		description: "Answers one API key with its policy; never its secret.",
		input:       object(schema{"id": idArgument()}, "id"),
		output:      answered(keyProperties()),
		run:         g.getKey,
	}}
}

const (
	defaultPage = 50
	maxPage     = 200
)

func (g *Gateway) listKeys(ctx context.Context, r *request, raw json.RawMessage) (any, error) {
	in, err := arguments[struct {
		Search         keys.Opt[string] `json:"search"`
		IncludeRevoked keys.Opt[bool]   `json:"includeRevoked"`
		Page           keys.Opt[int]    `json:"page"`
		Limit          keys.Opt[int]    `json:"limit"`
	}](raw)
	if err != nil {
		return nil, err
	}
	page, limit, err := paging(in.Page, in.Limit)
	if err != nil {
		return nil, err
	}
	list, total, err := g.svc.Keys(ctx, r.principal, keys.KeyQuery{
		Search: in.Search.Value, IncludeRevoked: in.IncludeRevoked.Value, Limit: limit, Offset: (page - 1) * limit,
	})
	if err != nil {
		return nil, err
	}
	return wire.KeyListOf(list, total), nil
}

func paging(page, limit keys.Opt[int]) (int, int, error) {
	p, l := 1, defaultPage
	if page.Set && !page.Null {
		p = page.Value
	}
	if limit.Set && !limit.Null {
		l = limit.Value
	}
	switch {
	case p < 1 || p > 1_000_000:
		return 0, 0, invalidArgument("page", "must be from 1 to 1000000")
	case l < 1 || l > maxPage:
		return 0, 0, invalidArgument("limit", "must be from 1 to 200")
	}
	return p, l, nil
}

// keyID is the argument that names a key.
type keyID struct {
	ID keys.Opt[string] `json:"id"`
}

// find answers the key that the argument names.
func (k keyID) find(ctx context.Context, g *Gateway, r *request) (keys.Key, error) {
	if k.ID.Value == "" {
		return keys.Key{}, invalidArgument("id", "is required: a key's id or handle")
	}
	return g.svc.FindKey(ctx, r.principal, k.ID.Value)
}

func (g *Gateway) getKey(ctx context.Context, r *request, raw json.RawMessage) (any, error) {
	in, err := arguments[keyID](raw)
	if err != nil {
		return nil, err
	}
	key, err := in.find(ctx, g, r)
	if err != nil {
		return nil, err
	}
	return wire.KeyOf(key), nil
}
