package policy

import (
	"time"
)

// Scope says which doors a key opens.
type Scope string

// The scopes. Any other value opens nothing.
const (
	ScopeAPI     Scope = "api"
	ScopeMCPOnly Scope = "mcp_only"
	ScopeFull    Scope = "full"
)

// OpensMCP tells whether the scope lets a key speak MCP.
func (s Scope) OpensMCP() bool { return s == ScopeMCPOnly || s == ScopeFull }

// OpensAPI tells whether the scope lets a key use REST.
func (s Scope) OpensAPI() bool { return s == ScopeAPI || s == ScopeFull }

// Mode says how a key's tool allowlist is read.
type Mode string

// The allowlist modes. Any other value matches nothing.
const (
	ModeAll   Mode = "all"
	ModeAllow Mode = "allow"
	ModeDeny  Mode = "deny"
)

// The built-in presets; their names are reserved.
const (
	PresetReadOnly   = "read_only"
	PresetStandard   = "standard"
	PresetFullAccess = "full_access"
	PresetCustom     = "custom"
)

// Policy is a key's MCP settings as data; its JSON form is the wire's.
// The zero Policy permits nothing; [Default] is what a new key starts with.
type Policy struct {
	Active        bool     `json:"mcpActive"`
	ReadOnly      bool     `json:"mcpReadOnly"`
	Preset        string   `json:"mcpPreset"`
	Permissions   Limit    `json:"mcpPermissions"`
	AllowlistMode Mode     `json:"mcpAllowlistMode"`
	ToolAllowlist []string `json:"mcpToolAllowlist"`
	ProjectIDs    Limit    `json:"mcpProjectIds"`
	InstanceIDs   Limit    `json:"mcpInstanceIds"`

	// Of calls only; empty lists demand nothing.
	ArgumentRules []ArgumentRule `json:"mcpArgumentRules"`
	Approvals     []ApprovalRule `json:"mcpApprovals"`
	Limits        []RateLimit    `json:"mcpLimits"`
}

// Default is the policy of a new key: active, read-only, preset read_only.
func Default() Policy {
	return Policy{
		Active: true, ReadOnly: true, Preset: PresetReadOnly,
		Permissions: Unlimited(), AllowlistMode: ModeAll, ToolAllowlist: []string{},
		ProjectIDs: Unlimited(), InstanceIDs: Unlimited(),
		ArgumentRules: []ArgumentRule{}, Approvals: []ApprovalRule{}, Limits: []RateLimit{},
	}
}

// Preset is a tenant's own ceiling: categories as mcp:<category> or mcp:*, and
// the highest effect.
type Preset struct {
	Permissions []string `json:"permissions"`
	MaxEffect   Effect   `json:"maxEffect"`
}

// Subject is all that a decision knows of one key. The zero Subject is denied.
type Subject struct {
	Revoked          bool              `json:"revoked"`
	Enabled          bool              `json:"enabled"`
	ExpiresAt        *time.Time        `json:"expiresAt"` // nil = never
	TenantMCPEnabled bool              `json:"tenantMcpEnabled"`
	Scope            Scope             `json:"scope"`
	Permissions      []string          `json:"permissions"` // REST: view:<resource>, manage:<resource>, *
	ProjectID        string            `json:"projectId"`   // confinement to one project; "" = not confined
	Policy           Policy            `json:"policy"`
	Presets          map[string]Preset `json:"presets"` // the tenant's own
}

// Tool is what a decision knows of one tool.
type Tool struct {
	ID           string `json:"id"`   // canonical: <instance slug>/<upstream name>, built-ins bailiwick/<name>
	Name         string `json:"name"` // exposed: <instance slug>__<upstream name>, built-ins <name>
	Category     string `json:"category"`
	Effect       Effect `json:"effect"`
	InstanceID   string `json:"instanceId,omitempty"`
	ProjectID    string `json:"projectId,omitempty"`
	WriteEnabled bool   `json:"writeEnabled,omitempty"` // of the instance
	Permission   string `json:"permission,omitempty"`   // REST permission a built-in needs
	Quarantined  bool   `json:"quarantined,omitempty"`

	// ProjectPointer is where the arguments of its calls name a project: a JSON
	// pointer; "" = nowhere.
	ProjectPointer string `json:"projectPointer,omitempty"`
}

// Problem is one fault of one field, in words for the person who wrote it.
type Problem struct {
	Field   string `json:"field" doc:"The field or parameter, as in tools[0].effect." example:"name"`
	Problem string `json:"problem" doc:"What is wrong with it." example:"must not be empty"`
}
