package wire

import (
	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/policy"
)

// KeyDefinition is a key in the walletcrew shape, where its name is its handle.
type KeyDefinition struct {
	// Name is the key's handle.
	Name string `json:"name" doc:"The key's name, unique in the tenant; it never changes." minLength:"1" maxLength:"64" pattern:"^[A-Za-z0-9._-]{1,64}$" example:"support-agent"`
	// Enabled is the whole key's switch, not that of its MCP access.
	Enabled bool `json:"enabled" doc:"False while the key is switched off." example:"true"`
	// Permissions are never null.
	Permissions []string `json:"permissions" doc:"What the key may do: tenant.<resource>:read, tenant.<resource>:write (which includes read), or * (everything in the tenant)." pattern:"^([*]|(tenant[.](apiKey|project|instance|preset|audit|approval|tenant)|platform[.]tenant):(read|write))$" example:"[\"tenant.apiKey:read\"]"`
}

// IssuedKeyDefinition is a key and, this once, its plaintext.
type IssuedKeyDefinition struct {
	KeyDefinition
	// Token is the plaintext.
	Token string `json:"token" doc:"The key itself. It is shown this once, and kept as a hash only." example:"bwk_live_aB3xYtZ"`
}

// KeyDefinitionOf is the walletcrew form of a key.
func KeyDefinitionOf(k keys.Key) KeyDefinition {
	return KeyDefinition{Name: k.Handle, Enabled: k.Enabled, Permissions: SpellingWalletcrew.write(k.Permissions)}
}

// KeyDefinitionsOf is the walletcrew form of a list of keys.
func KeyDefinitionsOf(ks []keys.Key) []KeyDefinition { return each(ks, KeyDefinitionOf) }

// IssuedKeyDefinitionOf shows the plaintext.
func IssuedKeyDefinitionOf(i keys.Issued) IssuedKeyDefinition {
	return IssuedKeyDefinition{KeyDefinition: KeyDefinitionOf(i.Key), Token: i.Secret.Reveal()}
}

// CreateKeyDefinition is the body of a create.
type CreateKeyDefinition struct {
	// Name becomes the key's name and its handle.
	Name keys.Opt[string] `json:"name" doc:"A name that no live key of the tenant has: letters, digits, '.', '_' and '-', and not . or .. alone." minLength:"1" maxLength:"64" pattern:"^[A-Za-z0-9._-]{1,64}$" required:"true" example:"support-agent"`
	// Enabled may be absent, not null.
	Enabled keys.Opt[bool] `json:"enabled" doc:"False makes the key switched off." default:"true" nonnull:"true" example:"true"`
	// Permissions may be absent, not null.
	Permissions keys.Opt[[]string] `json:"permissions" doc:"What the key may do: tenant.<resource>:read, tenant.<resource>:write (which includes read), or * (everything in the tenant)." pattern:"^([*]|(tenant[.](apiKey|project|instance|preset|audit|approval|tenant)|platform[.]tenant):(read|write))$" default:"[]" nonnull:"true" example:"[\"tenant.apiKey:read\"]"`
}

// NewKey is the domain's request. This shape knows nothing of MCP, so the key's
// MCP access starts paused. The error is a *keys.InvalidError.
func (c CreateKeyDefinition) NewKey(source string) (keys.NewKey, error) {
	permissions, faults := readDefinition(c.Enabled, c.Permissions)
	if faults != nil {
		return keys.NewKey{}, &keys.InvalidError{Fields: faults}
	}
	return keys.NewKey{
		Name: c.Name.Value, Handle: c.Name.Value, Enabled: c.Enabled, Permissions: keys.Some(permissions),
		PolicyPatch: keys.PolicyPatch{MCPActive: keys.Some(false)}, Source: source,
	}, nil
}

// ReplaceKeyDefinition is the body of a replacement.
type ReplaceKeyDefinition struct {
	// Enabled must be there.
	Enabled keys.Opt[bool] `json:"enabled" doc:"False switches the whole key off." required:"true" example:"true"`
	// Permissions that are absent are none: what a client leaves out it does not grant.
	Permissions keys.Opt[[]string] `json:"permissions" doc:"What the key may do from now on; absent is nothing." pattern:"^([*]|(tenant[.](apiKey|project|instance|preset|audit|approval|tenant)|platform[.]tenant):(read|write))$" default:"[]" nonnull:"true" example:"[\"tenant.apiKey:read\"]"`
}

// Patch is the domain's request; ifVersion 0 is whatever the version is. The
// error is a *keys.InvalidError.
func (r ReplaceKeyDefinition) Patch(ifVersion int64) (keys.KeyPatch, error) {
	permissions, faults := readDefinition(r.Enabled, r.Permissions)
	if !r.Enabled.Set {
		faults = append(faults, policy.Problem{Field: "enabled", Problem: "is required"})
	}
	if faults != nil {
		return keys.KeyPatch{}, &keys.InvalidError{Fields: faults}
	}
	return keys.KeyPatch{Enabled: r.Enabled, Permissions: keys.Some(permissions), IfVersion: ifVersion}, nil
}

func readDefinition(enabled keys.Opt[bool], texts keys.Opt[[]string]) ([]string, []policy.Problem) {
	permissions, faults := SpellingWalletcrew.read("permissions", texts.Value)
	if enabled.Null {
		faults = append(faults, policy.Problem{Field: "enabled", Problem: "must be true or false"})
	}
	if texts.Null {
		faults = append(faults, policy.Problem{Field: "permissions", Problem: "must be a list: leave it out, or send [], for none"})
	}
	return permissions, faults
}
