package mcp

import (
	"context"
	"encoding/json"
	"slices"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/keys/wire"
	"github.com/bailiwick-mcp/bailiwick/policy"
)

// sourceMCP marks keys that were minted by a tool call.
const sourceMCP = "mcp"

// policyArguments are the MCP fields of create and update.
func policyArguments() schema {
	p := keyProperties()
	out := schema{}
	for _, name := range []string{"mcpActive", "mcpReadOnly", "mcpPreset", "mcpPermissions", "mcpAllowlistMode",
		"mcpToolAllowlist", "mcpProjectIds", "mcpInstanceIds", "mcpArgumentRules", "mcpApprovals", "mcpLimits", "mcpShadow",
		"name", "description", "tags", "permissions", "enabled"} {
		out[name] = p[name]
		if name != "name" {
			out[name] = nullable(p[name].(schema))
		}
	}
	return out
}

// editedOutput is that of a tool that edits: what it is about, and how far the
// edit had come.
func editedOutput(properties schema) schema {
	return answered(properties.and(schema{"propagation": described("How far the edit had come with this answer: no server accepts any more what it took away", answered(schema{
		"epoch":    whole("The edit's number"),
		"replicas": whole("How many servers there were"),
		"applied":  whole("How many of them have applied it; any other refuses every request until it has"),
	}))}))
}

func issuedOutput() schema {
	return editedOutput(keyProperties().and(schema{"key": str("The secret, shown this once")}))
}

// editedKey answers what an edit left, as the receipt has it.
func editedKey(k keys.Key, done *keys.Receipt) wire.EditedKey {
	return wire.EditedKey{Key: wire.KeyOf(k), Edited: wire.EditedBy(done.Last())}
}

func revealArgument() schema {
	return flag("Must be true: the answer puts a secret into this conversation's transcript")
}

func confirmArgument() schema {
	return flag("Must be true when the key is the one that this connection uses")
}

// keyEditTools change keys.
func (g *Gateway) keyEditTools() []builtin {
	return []builtin{{
		name: "create_api_key", title: "Create an API key", category: categoryKeys, permission: manageKeys, effect: policy.EffectWrite,
		description: "Mints an API key as a child of the one in use, within its rights, and answers its secret once. It ends with the key in use, and after 1 hour unless expiresAt says otherwise. Omitted fields take their defaults: read-only, preset read_only.",
		input: object(policyArguments().and(schema{
			"handle":     str("Short name [A-Za-z0-9._-]; default derived from name"),
			"scope":      oneOf("Which doors the key opens; default full", "api", "mcp_only", "full"),
			"projectId":  str("Confines the key to one project"),
			"expiresAt":  nullable(str("RFC 3339, in the future; default 1 hour from now, or when the key in use ends if that is earlier; null: when the key in use ends")),
			"deviceName": str("Device that the key is for"),
			"reveal":     revealArgument(),
		}), "name", "reveal"),
		output: issuedOutput(),
		run:    g.createKey,
	}, {
		name: "update_api_key", title: "Update an API key", category: categoryKeys, permission: manageKeys, effect: policy.EffectDestructive, idempotent: true,
		description: "Changes a key's name or policy. Omitted fields stay, null resets to the default (for the nullable lists: no limit).",
		input:       object(policyArguments().and(schema{"id": idArgument(), "confirm": confirmArgument()}), "id"),
		output:      editedOutput(keyProperties()),
		run:         g.updateKey,
	}, {
		name: "toggle_api_key", title: "Pause or resume an API key", category: categoryKeys, permission: manageKeys, effect: policy.EffectWrite,
		description: "Flips a key's MCP access (mcpActive): pauses it when it is on, resumes it when it is paused.",
		input:       object(schema{"id": idArgument(), "confirm": confirmArgument()}, "id"),
		output:      editedOutput(keyProperties()),
		run:         g.toggleKey,
	}, {
		name: "rotate_api_key", title: "Rotate an API key", category: categoryKeys, permission: manageKeys, effect: policy.EffectDestructive,
		description: "Gives a key a new secret and answers it once; the old one goes on working for graceSeconds.",
		input: object(schema{"id": idArgument(), "reveal": revealArgument(),
			"graceSeconds": whole("0 to 2592000 (30 days); default 0")}, "id", "reveal"),
		output: issuedOutput(),
		run:    g.rotateKey,
	}, {
		name: "revoke_api_key", title: "Revoke an API key", category: categoryKeys, permission: manageKeys, effect: policy.EffectDestructive, idempotent: true,
		description: "Ends a key, and every key minted by it, at once and for good.",
		input:       object(schema{"id": idArgument(), "reason": str("Why"), "confirm": confirmArgument()}, "id"),
		output:      editedOutput(keyProperties()),
		run:         g.revokeKey,
	}}
}

// reveal is the caller's word that a secret may be shown.
type reveal struct {
	Reveal keys.Opt[bool] `json:"reveal"`
}

func (v reveal) check() error {
	if v.Reveal.Value {
		return nil
	}
	return invalidArgument("reveal", "must be true, because the answer puts a secret into this conversation's transcript; nothing was done. Use the REST API or the command line to keep it out")
}

// confirm is the caller's word that it means its own key.
type confirm struct {
	Confirm keys.Opt[bool] `json:"confirm"`
}

// check asks for the word when id is the caller's key or one that its rights
// come from.
func (c confirm) check(r *request, id string) error {
	if c.Confirm.Value || !slices.Contains(r.principal.Chain(), id) {
		return nil
	}
	return invalidArgument("confirm", "must be true, because this is the key in use, or one that it comes from, and the connection would end; nothing was done")
}

func (g *Gateway) createKey(ctx context.Context, r *request, raw json.RawMessage) (any, error) {
	type fields struct {
		Name        keys.Opt[string]       `json:"name"`
		Handle      keys.Opt[string]       `json:"handle"`
		Description keys.Opt[string]       `json:"description"`
		Tags        keys.Opt[[]string]     `json:"tags"`
		Scope       keys.Opt[policy.Scope] `json:"scope"`
		Permissions keys.Opt[[]string]     `json:"permissions"`
		Enabled     keys.Opt[bool]         `json:"enabled"`
		wire.PolicyFields
		ProjectID  keys.Opt[string] `json:"projectId"`
		ExpiresAt  keys.Opt[string] `json:"expiresAt"`
		DeviceName keys.Opt[string] `json:"deviceName"`
		reveal
	}
	in, err := arguments[fields](raw)
	if err == nil {
		err = in.check()
	}
	if err != nil {
		return nil, err
	}
	n, err := wire.CreateKey{
		Name: in.Name, Handle: in.Handle, Description: in.Description, Tags: in.Tags, Scope: in.Scope,
		Permissions: in.Permissions, Enabled: in.Enabled, PolicyFields: in.PolicyFields,
		ProjectID: in.ProjectID, ExpiresAt: in.ExpiresAt, DeviceName: in.DeviceName,
	}.NewKey(sourceMCP)
	if err != nil {
		return nil, err
	}
	n.ParentKeyID = r.principal.KeyID()
	ctx, done := keys.WithReceipt(ctx)
	issued, err := g.svc.CreateKey(ctx, r.principal, n)
	if err != nil {
		return nil, err
	}
	return wire.IssuedOf(issued, done.Last()), nil
}

func (g *Gateway) updateKey(ctx context.Context, r *request, raw json.RawMessage) (any, error) {
	in, err := arguments[struct {
		keyID
		confirm
		wire.UpdateKey
	}](raw)
	if err != nil {
		return nil, err
	}
	key, err := in.find(ctx, g, r)
	if err != nil {
		return nil, err
	}
	if stops(in.MCPActive) || stops(in.Enabled) {
		if err := in.check(r, key.ID); err != nil {
			return nil, err
		}
	}
	ctx, done := keys.WithReceipt(ctx)
	if key, err = g.svc.UpdateKey(ctx, r.principal, key.ID, in.Patch(0)); err != nil {
		return nil, err
	}
	return editedKey(key, done), nil
}

// stops tells a switch that is being turned off.
func stops(o keys.Opt[bool]) bool { return o.Set && !o.Null && !o.Value }

func (g *Gateway) toggleKey(ctx context.Context, r *request, raw json.RawMessage) (any, error) {
	in, err := arguments[struct {
		keyID
		confirm
	}](raw)
	if err != nil {
		return nil, err
	}
	key, err := in.find(ctx, g, r)
	if err == nil {
		err = in.check(r, key.ID)
	}
	if err != nil {
		return nil, err
	}
	ctx, done := keys.WithReceipt(ctx)
	if key, err = g.svc.ToggleKey(ctx, r.principal, key.ID, 0); err != nil {
		return nil, err
	}
	return editedKey(key, done), nil
}

func (g *Gateway) rotateKey(ctx context.Context, r *request, raw json.RawMessage) (any, error) {
	in, err := arguments[struct {
		keyID
		reveal
		wire.RotateKey
	}](raw)
	if err == nil {
		err = in.check()
	}
	if err != nil {
		return nil, err
	}
	grace, err := in.Grace()
	if err != nil {
		return nil, err
	}
	key, err := in.find(ctx, g, r)
	if err != nil {
		return nil, err
	}
	ctx, done := keys.WithReceipt(ctx)
	issued, err := g.svc.RotateKey(ctx, r.principal, key.ID, keys.Rotation{Grace: grace})
	if err != nil {
		return nil, err
	}
	return wire.IssuedOf(issued, done.Last()), nil
}

func (g *Gateway) revokeKey(ctx context.Context, r *request, raw json.RawMessage) (any, error) {
	in, err := arguments[struct {
		keyID
		confirm
		Reason keys.Opt[string] `json:"reason"`
	}](raw)
	if err != nil {
		return nil, err
	}
	key, err := in.find(ctx, g, r)
	if err == nil {
		err = in.check(r, key.ID)
	}
	if err != nil {
		return nil, err
	}
	ctx, done := keys.WithReceipt(ctx)
	if key, err = g.svc.RevokeKey(ctx, r.principal, key.ID, keys.Revocation{Reason: in.Reason.Value}); err != nil {
		return nil, err
	}
	return editedKey(key, done), nil
}
