package wire

import (
	"time"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/policy"
)

// Tenant is an organization as answered.
type Tenant struct {
	ID         string `json:"id"`
	Slug       string `json:"slug"`
	Name       string `json:"name"`
	MCPEnabled bool   `json:"mcpEnabled"`
	// What the subjects of JWTs may do over MCP.
	JWTPolicy policy.Policy `json:"jwtPolicy"`
	CreatedAt time.Time     `json:"createdAt"`
	UpdatedAt time.Time     `json:"updatedAt"`
	Version   int64         `json:"version"`
}

// TenantList is a list of tenants.
type TenantList struct {
	Tenants []Tenant `json:"tenants"`
	Total   int      `json:"total"`
}

// TenantOf is the wire form of a tenant.
func TenantOf(t keys.Tenant) Tenant {
	t.JWTPolicy.ToolAllowlist = list(t.JWTPolicy.ToolAllowlist)
	return Tenant{ID: t.ID, Slug: t.Slug, Name: t.Name, MCPEnabled: t.MCPEnabled, JWTPolicy: t.JWTPolicy,
		CreatedAt: t.CreatedAt, UpdatedAt: t.UpdatedAt, Version: t.Version}
}

// TenantListOf is the wire form of a list of tenants.
func TenantListOf(ts []keys.Tenant, total int) TenantList {
	return TenantList{Tenants: each(ts, TenantOf), Total: total}
}

// CreateTenant is the body of a create.
type CreateTenant struct {
	Slug keys.Opt[string] `json:"slug"` // default: derived from the name
	Name keys.Opt[string] `json:"name"`
}

// NewTenant is the domain's request.
func (c CreateTenant) NewTenant() keys.NewTenant {
	return keys.NewTenant{Slug: c.Slug.Value, Name: c.Name.Value}
}

// UpdateTenant is the body of an update.
type UpdateTenant struct {
	Name       keys.Opt[string]       `json:"name"`
	MCPEnabled keys.Opt[bool]         `json:"mcpEnabled"`
	JWTPolicy  keys.Opt[PolicyFields] `json:"jwtPolicy"` // absent within = unchanged, null = the default of a new tenant
}

// Patch is the domain's request.
func (u UpdateTenant) Patch(ifVersion int64) keys.TenantPatch {
	p := keys.TenantPatch{Name: u.Name, MCPEnabled: u.MCPEnabled, IfVersion: ifVersion}
	if o := u.JWTPolicy; o.Set {
		p.JWTPolicy = keys.Opt[keys.PolicyPatch]{Set: true, Null: o.Null, Value: o.Value.patch()}
	}
	return p
}

// Project is a project as answered.
type Project struct {
	ID        string    `json:"id"`
	Slug      string    `json:"slug"`
	Name      string    `json:"name"`
	CreatedAt time.Time `json:"createdAt"`
	UpdatedAt time.Time `json:"updatedAt"`
	Version   int64     `json:"version"`
}

// ProjectList is a list of projects; Total counts beyond the page.
type ProjectList struct {
	Projects []Project `json:"projects"`
	Total    int       `json:"total"`
}

// ProjectOf is the wire form of a project.
func ProjectOf(p keys.Project) Project {
	return Project{ID: p.ID, Slug: p.Slug, Name: p.Name,
		CreatedAt: p.CreatedAt, UpdatedAt: p.UpdatedAt, Version: p.Version}
}

// ProjectListOf is the wire form of a list of projects.
func ProjectListOf(ps []keys.Project, total int) ProjectList {
	return ProjectList{Projects: each(ps, ProjectOf), Total: total}
}

// CreateProject is the body of a create.
type CreateProject struct {
	Slug keys.Opt[string] `json:"slug"`
	Name keys.Opt[string] `json:"name"`
}

// NewProject is the domain's request.
func (c CreateProject) NewProject() keys.NewProject {
	return keys.NewProject{Slug: c.Slug.Value, Name: c.Name.Value}
}

// UpdateProject is the body of an update.
type UpdateProject struct {
	Slug keys.Opt[string] `json:"slug"`
	Name keys.Opt[string] `json:"name"`
}

// Patch is the domain's request.
func (u UpdateProject) Patch(ifVersion int64) keys.ProjectPatch {
	return keys.ProjectPatch{Slug: u.Slug, Name: u.Name, IfVersion: ifVersion}
}

// Preset is a tenant's own preset as answered.
type Preset struct {
	Name        string    `json:"name"`
	Permissions []string  `json:"permissions"`
	MaxEffect   string    `json:"maxEffect"`
	CreatedAt   time.Time `json:"createdAt"`
	UpdatedAt   time.Time `json:"updatedAt"`
	Version     int64     `json:"version"`
}

// PresetList is a list of presets.
type PresetList struct {
	Presets []Preset `json:"presets"`
	Total   int      `json:"total"`
}

// PresetOf is the wire form of a preset.
func PresetOf(p keys.Preset) Preset {
	return Preset{Name: p.Name, Permissions: list(p.Permissions), MaxEffect: p.MaxEffect.String(),
		CreatedAt: p.CreatedAt, UpdatedAt: p.UpdatedAt, Version: p.Version}
}

// PresetListOf is the wire form of a list of presets.
func PresetListOf(ps []keys.Preset, total int) PresetList {
	return PresetList{Presets: each(ps, PresetOf), Total: total}
}

// WritePreset is the body of a create or an update; both say the whole preset.
type WritePreset struct {
	Name        keys.Opt[string]   `json:"name"`
	Permissions keys.Opt[[]string] `json:"permissions"`
	MaxEffect   keys.Opt[string]   `json:"maxEffect"` // read, write, destructive
}

// NewPreset is the domain's request. Both fields are required: an absent
// ceiling must not be read as none.
func (w WritePreset) NewPreset() (keys.NewPreset, error) {
	var faults []policy.Problem
	if !w.Permissions.Set || w.Permissions.Null {
		faults = append(faults, policy.Problem{Field: "permissions", Problem: "is required"})
	}
	effect, err := policy.ParseEffect(w.MaxEffect.Value)
	if err != nil {
		faults = append(faults, policy.Problem{Field: "maxEffect", Problem: "must be read, write or destructive"})
	}
	if faults != nil {
		return keys.NewPreset{}, &keys.InvalidError{Fields: faults}
	}
	return keys.NewPreset{Name: w.Name.Value, Permissions: w.Permissions.Value, MaxEffect: effect}, nil
}
