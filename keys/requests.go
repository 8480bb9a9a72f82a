package keys

import (
	"time"

	"github.com/bailiwick-mcp/bailiwick/policy"
)

// NewKey asks for a key. An absent field takes its default, or the creator's
// own value where the default would exceed it.
type NewKey struct {
	Name        string
	Handle      string // "" = derived from Name
	Description string
	Tags        []string
	Scope       Opt[policy.Scope]
	Permissions Opt[[]string]
	Enabled     Opt[bool]
	PolicyPatch
	MCPShadow   ShadowPatch
	ProjectID   string
	ParentKeyID string // "" = none
	// ExpiresAt nil is never; for a child it is ChildTTL from now, or with the
	// first key above it where that is earlier.
	ExpiresAt *time.Time
	// ExpiresWithParent has a child without ExpiresAt end with the first key
	// above it that does, or never, whatever ChildTTL is.
	ExpiresWithParent bool
	Source            string // api, cli, mcp, ...
	DeviceName        string
	Idempotency       Idempotency
}

// PolicyPatch holds the MCP fields of a request: absent = unchanged (or
// default), null = reset to the default, where null is not itself a value.
type PolicyPatch struct {
	MCPActive        Opt[bool]
	MCPReadOnly      Opt[bool]
	MCPPreset        Opt[string]
	MCPPermissions   Opt[policy.Limit] // null = no limit
	MCPAllowlistMode Opt[policy.Mode]
	MCPToolAllowlist Opt[[]string]
	MCPProjectIDs    Opt[policy.Limit] // null = all
	MCPInstanceIDs   Opt[policy.Limit] // null = all
	MCPArgumentRules Opt[[]policy.ArgumentRule]
	MCPApprovals     Opt[[]policy.ApprovalRule]
	MCPLimits        Opt[[]policy.RateLimit]
}

// ShadowPatch is a draft policy in a request: what it leaves out is as in the
// key's own policy, as the request leaves that; null = no draft.
type ShadowPatch = Opt[PolicyPatch]

// KeyPatch changes a key; absent = unchanged, null = reset to the default.
type KeyPatch struct {
	Name        Opt[string] // null is invalid
	Description Opt[string]
	Tags        Opt[[]string]
	Permissions Opt[[]string]
	Enabled     Opt[bool]
	PolicyPatch
	MCPShadow ShadowPatch
	IfVersion int64 // 0 = whatever the version is
}

// Rotation asks for a key's new secret.
type Rotation struct {
	Grace       time.Duration // that the old secret goes on working for; 0 to 30 days
	IfVersion   int64         // 0 = whatever the version is
	Idempotency Idempotency
}

// Revocation ends a key.
type Revocation struct {
	Reason    string // at most 500 characters
	IfVersion int64  // 0 = whatever the version is
	Once      bool   // a key that is revoked already is ErrRevoked
}

// Issued is a key with its plaintext, which is shown this once.
type Issued struct {
	Key    Key
	Secret Secret
}

// NewProject asks for a project; Slug "" is derived from Name.
type NewProject struct{ Slug, Name string }

// ProjectPatch changes a project.
type ProjectPatch struct {
	Slug, Name Opt[string]
	IfVersion  int64
}

// InstanceSpec is an instance as written. Slices and maps that are absent on an
// update are unchanged when they are Opt.
type InstanceSpec struct {
	ProjectID        Opt[string] // absent on create = the tenant's only project, else invalid
	Slug             Opt[string]
	Transport        Opt[Transport]
	Command          Opt[string]
	Args             Opt[[]string]
	URL              Opt[string]
	Env              Opt[map[string]string] // write-only; null = none
	Headers          Opt[map[string]string] // write-only; null = none
	Enabled          Opt[bool]              // default true
	WriteEnabled     Opt[bool]              // default false; true from config, import, run
	TrustAnnotations Opt[bool]              // default false; true from config, import, run
	QuarantineNew    Opt[bool]              // default false
	Tools            Opt[[]ToolRule]
	Source           string // "" = api
	IfVersion        int64
}

// ToolApproval names a tool of an instance, and the definition of it that was looked at.
type ToolApproval struct {
	Name   string // upstream name
	Digest string // as Definition.Digest
}

// NewPreset asks for a tenant's own preset.
type NewPreset struct {
	Name        string
	Permissions []string
	MaxEffect   policy.Effect
}

// NewTenant asks for a tenant; Slug "" is derived from Name.
type NewTenant struct{ Slug, Name string }

// TenantPatch changes a tenant.
type TenantPatch struct {
	Name           Opt[string]
	MCPEnabled     Opt[bool]
	AuditArguments Opt[bool]        // null = false
	JWTPolicy      Opt[PolicyPatch] // null = all of it as in DefaultJWTPolicy
	IfVersion      int64
}
