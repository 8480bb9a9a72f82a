package wire

import (
	"strings"
	"time"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/policy"
)

// Key is a key as answered, without its secrets.
type Key struct {
	ID          string       `json:"id"`
	Handle      string       `json:"handle"`
	Name        string       `json:"name"`
	Description string       `json:"description"`
	Tags        []string     `json:"tags"`
	Prefix      string       `json:"prefix"` // what the token starts with, for display
	Scope       policy.Scope `json:"scope"`
	Permissions []string     `json:"permissions"`
	Enabled     bool         `json:"enabled"`

	MCPActive        bool         `json:"mcpActive"`
	MCPReadOnly      bool         `json:"mcpReadOnly"`
	MCPPreset        string       `json:"mcpPreset"`
	MCPPermissions   policy.Limit `json:"mcpPermissions"`
	MCPAllowlistMode policy.Mode  `json:"mcpAllowlistMode"`
	MCPToolAllowlist []string     `json:"mcpToolAllowlist"`
	MCPProjectIDs    policy.Limit `json:"mcpProjectIds"`
	MCPInstanceIDs   policy.Limit `json:"mcpInstanceIds"`
	// An edit is in force with the next request, so a client never has to
	// connect again; the two fields are the documented shape's.
	ReconnectRequired        bool    `json:"mcpReconnectRequired"`
	ReconnectRequiredMessage *string `json:"mcpReconnectRequiredMessage"`

	ProjectID    *string    `json:"projectId"`
	ParentKeyID  *string    `json:"parentKeyId"`
	Source       string     `json:"source"`
	DeviceName   *string    `json:"deviceName"`
	CreatedBy    string     `json:"createdBy"`
	CreatedAt    time.Time  `json:"createdAt"`
	UpdatedAt    time.Time  `json:"updatedAt"`
	LastUsedAt   *time.Time `json:"lastUsedAt"`
	ExpiresAt    *time.Time `json:"expiresAt"`
	RevokedAt    *time.Time `json:"revokedAt"`
	RevokedBy    *string    `json:"revokedBy"`
	RevokeReason *string    `json:"revokeReason"`
	Version      int64      `json:"version"`
}

// Issued is a key and, this once, its plaintext.
type Issued struct {
	Key
	Plaintext string `json:"key"`
}

// KeyList is a list of keys; Total counts beyond the page.
type KeyList struct {
	Keys  []Key `json:"apiKeys"`
	Total int   `json:"total"`
}

// KeyOf is the wire form of a key.
func KeyOf(k keys.Key) Key {
	p := k.Policy
	return Key{
		ID: k.ID, Handle: k.Handle, Name: k.Name, Description: k.Description, Tags: list(k.Tags),
		Prefix: k.Prefix, Scope: k.Scope, Permissions: list(k.Permissions), Enabled: k.Enabled,
		MCPActive: p.Active, MCPReadOnly: p.ReadOnly, MCPPreset: p.Preset, MCPPermissions: p.Permissions,
		MCPAllowlistMode: p.AllowlistMode, MCPToolAllowlist: list(p.ToolAllowlist),
		MCPProjectIDs: p.ProjectIDs, MCPInstanceIDs: p.InstanceIDs,
		ProjectID: optional(k.ProjectID), ParentKeyID: optional(k.ParentKeyID),
		Source: k.Source, DeviceName: optional(k.DeviceName), CreatedBy: k.CreatedBy,
		CreatedAt: k.CreatedAt, UpdatedAt: k.UpdatedAt, LastUsedAt: k.LastUsedAt, ExpiresAt: k.ExpiresAt,
		RevokedAt: k.RevokedAt, RevokedBy: optional(k.RevokedBy), RevokeReason: optional(k.RevokeReason),
		Version: k.Version,
	}
}

// IssuedOf is the only place where a plaintext goes out.
func IssuedOf(i keys.Issued) Issued {
	return Issued{Key: KeyOf(i.Key), Plaintext: i.Secret.Reveal()}
}

// KeyListOf is the wire form of a list of keys.
func KeyListOf(ks []keys.Key, total int) KeyList {
	return KeyList{Keys: each(ks, KeyOf), Total: total}
}

// PlatformKey is a key in a list of all tenants' keys.
type PlatformKey struct {
	Key
	TenantID string `json:"tenantId"`
}

// PlatformKeyList is a page of all tenants' keys; Total counts beyond it.
type PlatformKeyList struct {
	Keys  []PlatformKey `json:"apiKeys"`
	Total int           `json:"total"`
}

// PlatformKeyListOf is the wire form of a list of keys of several tenants.
func PlatformKeyListOf(ks []keys.Key, total int) PlatformKeyList {
	one := func(k keys.Key) PlatformKey { return PlatformKey{KeyOf(k), k.TenantID} }
	return PlatformKeyList{Keys: each(ks, one), Total: total}
}

// PolicyFields are the MCP fields of a request: absent = unchanged (on create:
// the default), null = the default, or no limit for the three nullable lists.
type PolicyFields struct {
	MCPActive        keys.Opt[bool]         `json:"mcpActive,omitzero"`
	MCPReadOnly      keys.Opt[bool]         `json:"mcpReadOnly,omitzero"`
	MCPPreset        keys.Opt[string]       `json:"mcpPreset,omitzero"`
	MCPPermissions   keys.Opt[policy.Limit] `json:"mcpPermissions,omitzero"`
	MCPAllowlistMode keys.Opt[policy.Mode]  `json:"mcpAllowlistMode,omitzero"`
	MCPToolAllowlist keys.Opt[[]string]     `json:"mcpToolAllowlist,omitzero"`
	MCPProjectIDs    keys.Opt[policy.Limit] `json:"mcpProjectIds,omitzero"`
	MCPInstanceIDs   keys.Opt[policy.Limit] `json:"mcpInstanceIds,omitzero"`
}

// patch says of a null list what it means: no limit.
func (f PolicyFields) patch() keys.PolicyPatch {
	return keys.PolicyPatch{
		MCPActive: f.MCPActive, MCPReadOnly: f.MCPReadOnly, MCPPreset: f.MCPPreset,
		MCPPermissions:   nullAsUnlimited(f.MCPPermissions),
		MCPAllowlistMode: f.MCPAllowlistMode, MCPToolAllowlist: f.MCPToolAllowlist,
		MCPProjectIDs:  nullAsUnlimited(f.MCPProjectIDs),
		MCPInstanceIDs: nullAsUnlimited(f.MCPInstanceIDs),
	}
}

func nullAsUnlimited(o keys.Opt[policy.Limit]) keys.Opt[policy.Limit] {
	if o.Null {
		o.Value = policy.Unlimited()
	}
	return o
}

// CreateKey is the body of a create.
type CreateKey struct {
	Name        keys.Opt[string]       `json:"name,omitzero"`
	Handle      keys.Opt[string]       `json:"handle,omitzero"`
	Description keys.Opt[string]       `json:"description,omitzero"`
	Tags        keys.Opt[[]string]     `json:"tags,omitzero"`
	Scope       keys.Opt[policy.Scope] `json:"scope,omitzero"`
	Permissions keys.Opt[[]string]     `json:"permissions,omitzero"`
	Enabled     keys.Opt[bool]         `json:"enabled,omitzero"`
	PolicyFields
	ProjectID   keys.Opt[string] `json:"projectId,omitzero"`
	ParentKeyID keys.Opt[string] `json:"parentKeyId,omitzero"`
	ExpiresAt   keys.Opt[string] `json:"expiresAt,omitzero"` // RFC 3339
	DeviceName  keys.Opt[string] `json:"deviceName,omitzero"`
}

// NewKey is the domain's request; source is the door it came through (api,
// cli, mcp). The error is a *keys.InvalidError.
func (c CreateKey) NewKey(source string) (keys.NewKey, error) {
	expires, err := parseTime("expiresAt", c.ExpiresAt)
	if err != nil {
		return keys.NewKey{}, err
	}
	return keys.NewKey{
		Name: c.Name.Value, Handle: c.Handle.Value, Description: c.Description.Value, Tags: c.Tags.Value,
		Scope: c.Scope, Permissions: c.Permissions, Enabled: c.Enabled, PolicyPatch: c.PolicyFields.patch(),
		ProjectID: c.ProjectID.Value, ParentKeyID: c.ParentKeyID.Value, ExpiresAt: expires,
		Source: source, DeviceName: c.DeviceName.Value,
	}, nil
}

// UpdateKey is the body of an update: absent = unchanged, null = the default.
type UpdateKey struct {
	Name        keys.Opt[string]   `json:"name,omitzero"`
	Description keys.Opt[string]   `json:"description,omitzero"`
	Tags        keys.Opt[[]string] `json:"tags,omitzero"`
	Permissions keys.Opt[[]string] `json:"permissions,omitzero"`
	Enabled     keys.Opt[bool]     `json:"enabled,omitzero"`
	PolicyFields
}

// Patch is the domain's request; ifVersion 0 is whatever the version is.
func (u UpdateKey) Patch(ifVersion int64) keys.KeyPatch {
	return keys.KeyPatch{
		Name: u.Name, Description: u.Description, Tags: u.Tags, Permissions: u.Permissions,
		Enabled: u.Enabled, PolicyPatch: u.PolicyFields.patch(), IfVersion: ifVersion,
	}
}

// RotateKey is the body of a rotation.
type RotateKey struct {
	GraceSeconds keys.Opt[int64] `json:"graceSeconds,omitzero"` // the old secret goes on working so long; 0 to 30 days
}

const maxGraceSeconds = 30 * 24 * 60 * 60

// Grace is how long the old secret goes on working.
func (r RotateKey) Grace() (time.Duration, error) {
	if s := r.GraceSeconds.Value; s < 0 || s > maxGraceSeconds {
		return 0, invalid("graceSeconds", "must be from 0 to 2592000 (30 days)")
	}
	return time.Duration(r.GraceSeconds.Value) * time.Second, nil
}

// RevokeKey is the body of a revocation, which may also have none.
type RevokeKey struct {
	Reason keys.Opt[string] `json:"reason,omitzero"` // at most 500 characters, kept with the key
}

// Message answers what has nothing else to say.
type Message struct {
	Message string `json:"message"`
}

func parseTime(field string, o keys.Opt[string]) (*time.Time, error) {
	if !o.Set || o.Null {
		return nil, nil
	}
	// RFC 3339 allows a lower-case t and z, which time.Parse does not.
	t, err := time.Parse(time.RFC3339, strings.ToUpper(o.Value))
	if err != nil {
		return nil, invalid(field, "must be a time as in RFC 3339, like 2030-01-31T12:00:00Z")
	}
	return &t, nil
}

func invalid(field, problem string) error {
	return &keys.InvalidError{Fields: []policy.Problem{{Field: field, Problem: problem}}}
}

func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

func list[T any](l []T) []T {
	if l == nil {
		return []T{}
	}
	return l
}

func each[A, B any](in []A, f func(A) B) []B {
	out := make([]B, len(in))
	for i, v := range in {
		out[i] = f(v)
	}
	return out
}
