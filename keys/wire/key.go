package wire

import (
	"strings"
	"time"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/policy"
)

// Policy is a policy as answered.
type Policy struct {
	MCPActive        bool                  `json:"mcpActive" doc:"False while the key's MCP access is paused; REST goes on working." example:"true"`
	MCPReadOnly      bool                  `json:"mcpReadOnly" doc:"Only tools of effect read, whatever else is set." example:"true"`
	MCPPreset        string                `json:"mcpPreset" doc:"A ceiling, looked up by name at every decision: read_only, standard, full_access, custom, or one of the tenant's own." maxLength:"64" example:"read_only"`
	MCPPermissions   policy.Limit          `json:"mcpPermissions" doc:"The categories of tools, as mcp:<category> or mcp:*; null is no further limit (under the preset custom: nothing), and [] is nothing." pattern:"^mcp:([*]|[a-z0-9-]{1,32})$" example:"[\"mcp:search\"]"`
	MCPAllowlistMode policy.Mode           `json:"mcpAllowlistMode" doc:"How mcpToolAllowlist is read: not at all, as what alone is allowed, or as what is denied." example:"allow"`
	MCPToolAllowlist []string              `json:"mcpToolAllowlist" doc:"Patterns of tools; * is the only wildcard. With a / it is held against <instance>/<name>, @name is a category, any other is the tool's name with or without its instance." maxItems:"256" minLength:"1" maxLength:"256" pattern:"^[^?{}\\[\\]\\\\]+$" example:"[\"notes__read_*\",\"@search\"]"`
	MCPProjectIDs    policy.Limit          `json:"mcpProjectIds" doc:"The projects whose tools the key reaches; null is all of the tenant's, and [] is none." maxItems:"1000" format:"uuid" example:"[\"0197c1de-7a10-7c3e-9b1f-2f4f5a6b7c8d\"]"`
	MCPInstanceIDs   policy.Limit          `json:"mcpInstanceIds" doc:"The instances whose tools the key reaches; null is all of the tenant's, and [] is none." maxItems:"1000" format:"uuid" example:"[\"0197c1de-7a10-7c3e-9b1f-2f4f5a6b7c8d\"]"`
	MCPArgumentRules []policy.ArgumentRule `json:"mcpArgumentRules" doc:"What an argument of a call must be; a call that a rule is about, and that has no such argument, is denied. Lists show its tools all the same." maxItems:"64"`
	MCPApprovals     []policy.ApprovalRule `json:"mcpApprovals" doc:"Which calls a person must approve, each by itself." maxItems:"64"`
	MCPLimits        []policy.RateLimit    `json:"mcpLimits" doc:"How many calls it may make in which time." maxItems:"16"`
}

// Key is a key as answered, without its secrets.
type Key struct {
	ID          string       `json:"id" doc:"The key's id." format:"uuid" example:"0197c1de-7a10-7c3e-9b1f-2f4f5a6b7c8d"`
	Handle      string       `json:"handle" doc:"A name that is unique among the tenant's live keys, and never changes." maxLength:"64" pattern:"^[A-Za-z0-9._-]{1,64}$" example:"support-agent"`
	Name        string       `json:"name" doc:"What people call it; not unique." minLength:"1" maxLength:"200" example:"Support agent"`
	Description string       `json:"description" doc:"What it is for, in your words." maxLength:"2000" example:"Reads the notes of the support team"`
	Tags        []string     `json:"tags" doc:"Labels of your own." maxItems:"32" minLength:"1" maxLength:"64" example:"[\"team-a\"]"`
	Prefix      string       `json:"prefix" doc:"What the token starts with, for display." example:"bwk_live_aB3x"`
	Scope       policy.Scope `json:"scope" doc:"Which doors it opens: REST, MCP, or both." example:"full"`
	Permissions []string     `json:"permissions" doc:"What it may do over REST and with the built-in tools: view:<resource>, manage:<resource> (which includes view), or * (everything in the tenant)." pattern:"^([*]|(view|manage):(api-keys|projects|instances|presets|audit|approvals|tenant|tenants))$" example:"[\"view:projects\"]"`
	Enabled     bool         `json:"enabled" doc:"False switches the whole key off." example:"true"`

	Policy
	MCPShadow *Policy `json:"mcpShadow" doc:"A draft policy, decided beside the live one: the audit trail has where they differ. Null is none."`
	// An edit is in force with the next request, so a client never has to
	// connect again; the two fields are the documented shape's.
	ReconnectRequired        bool    `json:"mcpReconnectRequired" doc:"Always false: an edit is in force with the next request." example:"false"`
	ReconnectRequiredMessage *string `json:"mcpReconnectRequiredMessage" doc:"Always null." example:"null"`

	ProjectID    *string    `json:"projectId" doc:"The one project that the key is confined to; null is no confinement." format:"uuid" example:"0197c1de-7a10-7c3e-9b1f-2f4f5a6b7c8d"`
	ParentKeyID  *string    `json:"parentKeyId" doc:"The key that it is a child of: it never exceeds it, and ends with it." format:"uuid" example:"0197c1de-7a10-7c3e-9b1f-2f4f5a6b7c8d"`
	Source       string     `json:"source" doc:"Where it was made." enum:"dashboard,api,cli,agent,mcp" example:"api"`
	DeviceName   *string    `json:"deviceName" doc:"The device that it was made for." maxLength:"200" example:"build-server"`
	CreatedBy    string     `json:"createdBy" doc:"Who made it: a key's id, operator, or a JWT's subject." example:"operator"`
	CreatedAt    time.Time  `json:"createdAt" doc:"When it was made." example:"2026-01-31T12:00:00Z"`
	UpdatedAt    time.Time  `json:"updatedAt" doc:"When it was last changed." example:"2026-01-31T12:00:00Z"`
	LastUsedAt   *time.Time `json:"lastUsedAt" doc:"When it was last used, to within a minute; null is never." example:"2026-01-31T12:00:00Z"`
	ExpiresAt    *time.Time `json:"expiresAt" doc:"From when on it no longer counts; null is never." example:"2030-01-31T12:00:00Z"`
	RevokedAt    *time.Time `json:"revokedAt" doc:"When it was revoked, for good; null is not revoked." example:"null"`
	RevokedBy    *string    `json:"revokedBy" doc:"Who revoked it." example:"null"`
	RevokeReason *string    `json:"revokeReason" doc:"Why it was revoked." maxLength:"500" example:"null"`
	Version      int64      `json:"version" doc:"Grows with every edit; the ETag is made of it." minimum:"1" example:"42"`
}

// Issued is a key and, this once, its plaintext.
type Issued struct {
	Key
	Edited
	Plaintext string `json:"key" doc:"The token itself, shown this once: the server keeps only a hash of it." format:"password" example:"bwk_live_<49 letters and digits>"`
}

// KeyList is a list of keys; Total counts beyond the page.
type KeyList struct {
	Keys  []Key `json:"apiKeys" doc:"The keys, oldest first."`
	Total int   `json:"total" doc:"How many there are, beyond this page too." minimum:"0" example:"1"`
}

// KeyOf is the wire form of a key.
func KeyOf(k keys.Key) Key {
	return Key{
		ID: k.ID, Handle: k.Handle, Name: k.Name, Description: k.Description, Tags: list(k.Tags),
		Prefix: k.Prefix, Scope: k.Scope, Permissions: list(k.Permissions), Enabled: k.Enabled,
		Policy: policyOf(k.Policy), MCPShadow: shadowOf(k.Shadow),
		ProjectID: optional(k.ProjectID), ParentKeyID: optional(k.ParentKeyID),
		Source: k.Source, DeviceName: optional(k.DeviceName), CreatedBy: k.CreatedBy,
		CreatedAt: k.CreatedAt, UpdatedAt: k.UpdatedAt, LastUsedAt: k.LastUsedAt, ExpiresAt: k.ExpiresAt,
		RevokedAt: k.RevokedAt, RevokedBy: optional(k.RevokedBy), RevokeReason: optional(k.RevokeReason),
		Version: k.Version,
	}
}

func policyOf(p policy.Policy) Policy {
	return Policy{
		MCPActive: p.Active, MCPReadOnly: p.ReadOnly, MCPPreset: p.Preset, MCPPermissions: p.Permissions,
		MCPAllowlistMode: p.AllowlistMode, MCPToolAllowlist: list(p.ToolAllowlist),
		MCPProjectIDs: p.ProjectIDs, MCPInstanceIDs: p.InstanceIDs,
		MCPArgumentRules: list(p.ArgumentRules), MCPApprovals: list(p.Approvals), MCPLimits: list(p.Limits),
	}
}

func shadowOf(p *policy.Policy) *Policy {
	if p == nil {
		return nil
	}
	draft := policyOf(*p)
	return &draft
}

// IssuedOf is the only place where a plaintext goes out.
func IssuedOf(i keys.Issued, done keys.Propagation) Issued {
	return Issued{Key: KeyOf(i.Key), Edited: EditedBy(done), Plaintext: i.Secret.Reveal()}
}

// KeyListOf is the wire form of a list of keys.
func KeyListOf(ks []keys.Key, total int) KeyList {
	return KeyList{Keys: each(ks, KeyOf), Total: total}
}

// PlatformKey is a key in a list of all tenants' keys.
type PlatformKey struct {
	Key
	TenantID string `json:"tenantId" doc:"The tenant that it is of." format:"uuid" example:"0197c1de-7a10-7c3e-9b1f-2f4f5a6b7c8d"`
}

// PlatformKeyList is a page of all tenants' keys; Total counts beyond it.
type PlatformKeyList struct {
	Keys  []PlatformKey `json:"apiKeys" doc:"The keys, oldest first."`
	Total int           `json:"total" doc:"How many there are, beyond this page too." minimum:"0" example:"1"`
}

// PlatformKeyListOf is the wire form of a list of keys of several tenants.
func PlatformKeyListOf(ks []keys.Key, total int) PlatformKeyList {
	one := func(k keys.Key) PlatformKey { return PlatformKey{KeyOf(k), k.TenantID} }
	return PlatformKeyList{Keys: each(ks, one), Total: total}
}

// PolicyFields are the MCP fields of a request: absent = unchanged (on create:
// the default), null = the default, or no limit for the three nullable lists.
type PolicyFields struct {
	MCPActive        keys.Opt[bool]                  `json:"mcpActive,omitzero" doc:"False while the key's MCP access is paused; REST goes on working." example:"true" default:"true"`
	MCPReadOnly      keys.Opt[bool]                  `json:"mcpReadOnly,omitzero" doc:"Only tools of effect read, whatever else is set." example:"true" default:"true"`
	MCPPreset        keys.Opt[string]                `json:"mcpPreset,omitzero" doc:"A ceiling, looked up by name at every decision: read_only, standard, full_access, custom, or one of the tenant's own." maxLength:"64" example:"read_only" default:"read_only"`
	MCPPermissions   keys.Opt[policy.Limit]          `json:"mcpPermissions,omitzero" doc:"The categories of tools, as mcp:<category> or mcp:*; null is no further limit (under the preset custom: nothing), and [] is nothing." pattern:"^mcp:([*]|[a-z0-9-]{1,32})$" example:"[\"mcp:search\"]" default:"null"`
	MCPAllowlistMode keys.Opt[policy.Mode]           `json:"mcpAllowlistMode,omitzero" doc:"How mcpToolAllowlist is read: not at all, as what alone is allowed, or as what is denied." example:"allow" default:"all" sample:"true"`
	MCPToolAllowlist keys.Opt[[]string]              `json:"mcpToolAllowlist,omitzero" doc:"Patterns of tools; * is the only wildcard. With a / it is held against <instance>/<name>, @name is a category, any other is the tool's name with or without its instance." maxItems:"256" minLength:"1" maxLength:"256" pattern:"^[^?{}\\[\\]\\\\]+$" example:"[\"notes__read_*\",\"@search\"]" default:"[]" sample:"true"`
	MCPProjectIDs    keys.Opt[policy.Limit]          `json:"mcpProjectIds,omitzero" doc:"The projects whose tools the key reaches; null is all of the tenant's, and [] is none." maxItems:"1000" format:"uuid" example:"[\"0197c1de-7a10-7c3e-9b1f-2f4f5a6b7c8d\"]" default:"null"`
	MCPInstanceIDs   keys.Opt[policy.Limit]          `json:"mcpInstanceIds,omitzero" doc:"The instances whose tools the key reaches; null is all of the tenant's, and [] is none." maxItems:"1000" format:"uuid" example:"[\"0197c1de-7a10-7c3e-9b1f-2f4f5a6b7c8d\"]" default:"null"`
	MCPArgumentRules keys.Opt[[]policy.ArgumentRule] `json:"mcpArgumentRules,omitzero" doc:"What an argument of a call must be; a call that a rule is about, and that has no such argument, is denied. Lists show its tools all the same." maxItems:"64" default:"[]"`
	MCPApprovals     keys.Opt[[]policy.ApprovalRule] `json:"mcpApprovals,omitzero" doc:"Which calls a person must approve, each by itself." maxItems:"64" default:"[]"`
	MCPLimits        keys.Opt[[]policy.RateLimit]    `json:"mcpLimits,omitzero" doc:"How many calls it may make in which time." maxItems:"16" default:"[]"`
}

// patch says of a null list what it means: no limit.
func (f PolicyFields) patch() keys.PolicyPatch {
	return keys.PolicyPatch{
		MCPActive: f.MCPActive, MCPReadOnly: f.MCPReadOnly, MCPPreset: f.MCPPreset,
		MCPPermissions:   nullAsUnlimited(f.MCPPermissions),
		MCPAllowlistMode: f.MCPAllowlistMode, MCPToolAllowlist: f.MCPToolAllowlist,
		MCPProjectIDs:    nullAsUnlimited(f.MCPProjectIDs),
		MCPInstanceIDs:   nullAsUnlimited(f.MCPInstanceIDs),
		MCPArgumentRules: f.MCPArgumentRules, MCPApprovals: f.MCPApprovals, MCPLimits: f.MCPLimits,
	}
}

// ShadowField is a draft policy in a request.
type ShadowField struct {
	MCPShadow keys.Opt[PolicyFields] `json:"mcpShadow,omitzero" doc:"A draft policy to decide beside the live one, recording where they differ; a field absent within is as in the key's own policy, null is no draft."`
}

func (f ShadowField) patch() keys.ShadowPatch {
	return keys.ShadowPatch{Set: f.MCPShadow.Set, Null: f.MCPShadow.Null, Value: f.MCPShadow.Value.patch()}
}

func nullAsUnlimited(o keys.Opt[policy.Limit]) keys.Opt[policy.Limit] {
	if o.Null {
		o.Value = policy.Unlimited()
	}
	return o
}

// CreateKey is the body of a create.
type CreateKey struct {
	Name        keys.Opt[string]       `json:"name,omitzero" doc:"What people call it; not unique." minLength:"1" maxLength:"200" example:"Support agent" required:"true"`
	Handle      keys.Opt[string]       `json:"handle,omitzero" doc:"A name that is unique among the tenant's live keys, and never changes; absent, it is derived from name." maxLength:"64" pattern:"^[A-Za-z0-9._-]{1,64}$" example:"support-agent"`
	Description keys.Opt[string]       `json:"description,omitzero" doc:"What it is for, in your words." maxLength:"2000" example:"Reads the notes of the support team" default:""`
	Tags        keys.Opt[[]string]     `json:"tags,omitzero" doc:"Labels of your own." maxItems:"32" minLength:"1" maxLength:"64" example:"[\"team-a\"]" default:"[]"`
	Scope       keys.Opt[policy.Scope] `json:"scope,omitzero" doc:"Which doors it opens: REST, MCP, or both. It never changes." default:"full" example:"full"`
	Permissions keys.Opt[[]string]     `json:"permissions,omitzero" doc:"What it may do over REST and with the built-in tools: view:<resource>, manage:<resource> (which includes view), or * (everything in the tenant)." pattern:"^([*]|(view|manage):(api-keys|projects|instances|presets|audit|approvals|tenant|tenants))$" default:"[]" example:"[\"view:projects\"]"`
	Enabled     keys.Opt[bool]         `json:"enabled,omitzero" doc:"False switches the whole key off." default:"true" example:"true"`
	PolicyFields
	ShadowField
	ProjectID   keys.Opt[string] `json:"projectId,omitzero" doc:"Confines the key to one project, for good; then only permissions on projects and instances can stand beside it." format:"uuid" example:"0197c1de-7a10-7c3e-9b1f-2f4f5a6b7c8d"`
	ParentKeyID keys.Opt[string] `json:"parentKeyId,omitzero" doc:"Makes it a child: it never exceeds its parent, also when that is narrowed later, and ends with it. A chain has at most 8 keys, and a key at most 1000 live children." format:"uuid" example:"0197c1de-7a10-7c3e-9b1f-2f4f5a6b7c8d"`
	ExpiresAt   keys.Opt[string] `json:"expiresAt,omitzero" doc:"From when on it no longer counts (RFC 3339, in the future); absent is never, or for a child in an hour, or with its parent where that is earlier; null is never, or for a child with its parent. It never changes." format:"date-time" example:"2030-01-31T12:00:00Z"`
	DeviceName  keys.Opt[string] `json:"deviceName,omitzero" doc:"The device that it is made for." maxLength:"200" example:"build-server"`
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
		Scope: c.Scope, Permissions: c.Permissions, Enabled: c.Enabled, PolicyPatch: c.PolicyFields.patch(), MCPShadow: c.ShadowField.patch(),
		ProjectID: c.ProjectID.Value, ParentKeyID: c.ParentKeyID.Value, ExpiresAt: expires, ExpiresWithParent: c.ExpiresAt.Null,
		Source: source, DeviceName: c.DeviceName.Value,
	}, nil
}

// UpdateKey is the body of an update: absent = unchanged, null = the default.
type UpdateKey struct {
	Name        keys.Opt[string]   `json:"name,omitzero" doc:"What people call it; not unique." minLength:"1" maxLength:"200" example:"Support agent" nonnull:"true" sample:"true"`
	Description keys.Opt[string]   `json:"description,omitzero" doc:"What it is for, in your words." maxLength:"2000" example:"Reads the notes of the support team"`
	Tags        keys.Opt[[]string] `json:"tags,omitzero" doc:"Labels of your own." maxItems:"32" minLength:"1" maxLength:"64" example:"[\"team-a\"]"`
	Permissions keys.Opt[[]string] `json:"permissions,omitzero" doc:"What it may do over REST and with the built-in tools; null is nothing." pattern:"^([*]|(view|manage):(api-keys|projects|instances|presets|audit|approvals|tenant|tenants))$" example:"[\"view:projects\"]"`
	Enabled     keys.Opt[bool]     `json:"enabled,omitzero" doc:"False switches the whole key off." example:"true"`
	PolicyFields
	ShadowField
}

// Patch is the domain's request; ifVersion 0 is whatever the version is.
func (u UpdateKey) Patch(ifVersion int64) keys.KeyPatch {
	return keys.KeyPatch{
		Name: u.Name, Description: u.Description, Tags: u.Tags, Permissions: u.Permissions,
		Enabled: u.Enabled, PolicyPatch: u.PolicyFields.patch(), MCPShadow: u.ShadowField.patch(), IfVersion: ifVersion,
	}
}

// RotateKey is the body of a rotation.
type RotateKey struct {
	GraceSeconds keys.Opt[int64] `json:"graceSeconds,omitzero" doc:"How long the old secret goes on working: at most 30 days, and never beyond the key's own expiry." minimum:"0" maximum:"2592000" default:"0" sample:"true" example:"3600"`
}

const maxGraceSeconds = 30 * 24 * 60 * 60

// Grace is how long the old secret goes on working.
func (r RotateKey) Grace() (time.Duration, error) {
	if s := r.GraceSeconds.Value; s < 0 || s > maxGraceSeconds {
		return 0, invalid("graceSeconds", "must be from 0 to 2592000 seconds (30 days)")
	}
	return time.Duration(r.GraceSeconds.Value) * time.Second, nil
}

// RevokeKey is the body of a revocation, which may also have none.
type RevokeKey struct {
	Reason keys.Opt[string] `json:"reason,omitzero" doc:"Why, kept with the key." maxLength:"500" example:"The agent is retired"`
}

// Message answers an edit that has nothing else to say.
type Message struct {
	Message string `json:"message" doc:"What was done, in words." example:"API key revoked"`
	Edited
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
