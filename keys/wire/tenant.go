package wire

import (
	"time"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/policy"
)

// Tenant is an organization as answered.
type Tenant struct {
	ID             string    `json:"id" doc:"The tenant's id." format:"uuid" example:"0197c1de-7a10-7c3e-9b1f-2f4f5a6b7c8d"`
	Slug           string    `json:"slug" doc:"Names it in X-Org-Slug and in paths." pattern:"^[a-z0-9-]{1,63}$" maxLength:"63" example:"default"`
	Name           string    `json:"name" doc:"What people call it." minLength:"1" maxLength:"200" example:"Example Ltd"`
	MCPEnabled     bool      `json:"mcpEnabled" doc:"The switch of all the tenant's MCP access." example:"true"`
	AuditArguments bool      `json:"auditArguments" doc:"Whether the arguments of tool calls are kept in the audit trail, not only their digest." example:"false"`
	JWTPolicy      Policy    `json:"jwtPolicy" doc:"What the subjects of JWTs may do over MCP, and hand on to keys. A new tenant's is closed (mcpActive false) and otherwise without limits."`
	CreatedAt      time.Time `json:"createdAt" doc:"When it was made." example:"2026-01-31T12:00:00Z"`
	UpdatedAt      time.Time `json:"updatedAt" doc:"When it was last changed." example:"2026-01-31T12:00:00Z"`
	Version        int64     `json:"version" doc:"Grows with every edit; the ETag is made of it." minimum:"1" example:"42"`
}

// TenantList is a list of tenants.
type TenantList struct {
	Tenants []Tenant `json:"tenants" doc:"The tenants."`
	Total   int      `json:"total" doc:"How many there are, beyond this page too." minimum:"0" example:"1"`
}

// TenantOf is the wire form of a tenant.
func TenantOf(t keys.Tenant) Tenant {
	return Tenant{ID: t.ID, Slug: t.Slug, Name: t.Name, MCPEnabled: t.MCPEnabled, AuditArguments: t.AuditArguments, JWTPolicy: policyOf(t.JWTPolicy),
		CreatedAt: t.CreatedAt, UpdatedAt: t.UpdatedAt, Version: t.Version}
}

// TenantListOf is the wire form of a list of tenants.
func TenantListOf(ts []keys.Tenant, total int) TenantList {
	return TenantList{Tenants: each(ts, TenantOf), Total: total}
}

// CreateTenant is the body of a create.
type CreateTenant struct {
	Slug keys.Opt[string] `json:"slug" doc:"Unique on the platform; absent, it is derived from name." pattern:"^[a-z0-9-]{1,63}$" maxLength:"63" example:"example-ltd"`
	Name keys.Opt[string] `json:"name" doc:"What people call it." minLength:"1" maxLength:"200" example:"Example Ltd" required:"true"`
}

// NewTenant is the domain's request.
func (c CreateTenant) NewTenant() keys.NewTenant {
	return keys.NewTenant{Slug: c.Slug.Value, Name: c.Name.Value}
}

// UpdateTenant is the body of an update.
type UpdateTenant struct {
	Name           keys.Opt[string]       `json:"name" doc:"What people call it." minLength:"1" maxLength:"200" example:"Example Ltd" nonnull:"true" sample:"true"`
	MCPEnabled     keys.Opt[bool]         `json:"mcpEnabled" doc:"The switch of all the tenant's MCP access; to switch it on takes a key without limits." default:"true" example:"true"`
	AuditArguments keys.Opt[bool]         `json:"auditArguments" doc:"Whether the arguments of tool calls are kept in the audit trail, up to 16 KiB of each, for whoever may view it; to switch it on takes a key without limits." default:"false" example:"false"`
	JWTPolicy      keys.Opt[PolicyFields] `json:"jwtPolicy" doc:"What the subjects of JWTs may do over MCP; a field absent within stays, null is the default of a new tenant."`
}

// Patch is the domain's request.
func (u UpdateTenant) Patch(ifVersion int64) keys.TenantPatch {
	p := keys.TenantPatch{Name: u.Name, MCPEnabled: u.MCPEnabled, AuditArguments: u.AuditArguments, IfVersion: ifVersion}
	if o := u.JWTPolicy; o.Set {
		p.JWTPolicy = keys.Opt[keys.PolicyPatch]{Set: true, Null: o.Null, Value: o.Value.patch()}
	}
	return p
}

// Project is a project as answered.
type Project struct {
	ID        string    `json:"id" doc:"The project's id." format:"uuid" example:"0197c1de-7a10-7c3e-9b1f-2f4f5a6b7c8d"`
	Slug      string    `json:"slug" doc:"Unique in the tenant; paths take it in place of the id." pattern:"^[a-z0-9-]{1,63}$" maxLength:"63" example:"web-shop"`
	Name      string    `json:"name" doc:"What people call it." minLength:"1" maxLength:"200" example:"Web shop"`
	CreatedAt time.Time `json:"createdAt" doc:"When it was made." example:"2026-01-31T12:00:00Z"`
	UpdatedAt time.Time `json:"updatedAt" doc:"When it was last changed." example:"2026-01-31T12:00:00Z"`
	Version   int64     `json:"version" doc:"Grows with every edit; the ETag is made of it." minimum:"1" example:"42"`
}

// ProjectList is a list of projects; Total counts beyond the page.
type ProjectList struct {
	Projects []Project `json:"projects" doc:"The projects on this page."`
	Total    int       `json:"total" doc:"How many there are, beyond this page too." minimum:"0" example:"1"`
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
	Slug keys.Opt[string] `json:"slug" doc:"Unique in the tenant; absent, it is derived from name." pattern:"^[a-z0-9-]{1,63}$" maxLength:"63" example:"web-shop"`
	Name keys.Opt[string] `json:"name" doc:"What people call it." minLength:"1" maxLength:"200" example:"Web shop" required:"true"`
}

// NewProject is the domain's request.
func (c CreateProject) NewProject() keys.NewProject {
	return keys.NewProject{Slug: c.Slug.Value, Name: c.Name.Value}
}

// UpdateProject is the body of an update.
type UpdateProject struct {
	Slug keys.Opt[string] `json:"slug" doc:"Unique in the tenant." nonnull:"true" pattern:"^[a-z0-9-]{1,63}$" maxLength:"63" example:"web-shop"`
	Name keys.Opt[string] `json:"name" doc:"What people call it." minLength:"1" maxLength:"200" example:"Web shop" nonnull:"true" sample:"true"`
}

// Patch is the domain's request.
func (u UpdateProject) Patch(ifVersion int64) keys.ProjectPatch {
	return keys.ProjectPatch{Slug: u.Slug, Name: u.Name, IfVersion: ifVersion}
}

// Preset is a tenant's own preset as answered.
type Preset struct {
	Name        string    `json:"name" doc:"What keys name in mcpPreset." maxLength:"64" pattern:"^[a-z0-9_-]{1,64}$" example:"search_only"`
	Permissions []string  `json:"permissions" doc:"The categories of tools that it lets through, as mcp:<category> or mcp:*." maxItems:"256" pattern:"^mcp:([*]|[a-z0-9-]{1,32})$" example:"[\"mcp:search\"]"`
	MaxEffect   string    `json:"maxEffect" doc:"The highest effect that it lets through." enum:"read,write,destructive" example:"write"`
	CreatedAt   time.Time `json:"createdAt" doc:"When it was made." example:"2026-01-31T12:00:00Z"`
	UpdatedAt   time.Time `json:"updatedAt" doc:"When it was last changed." example:"2026-01-31T12:00:00Z"`
	Version     int64     `json:"version" doc:"Grows with every edit; the ETag is made of it." minimum:"1" example:"42"`
}

// PresetList is a list of presets.
type PresetList struct {
	Presets []Preset `json:"presets" doc:"The presets on this page."`
	Total   int      `json:"total" doc:"How many there are, beyond this page too." minimum:"0" example:"1"`
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
	Name        keys.Opt[string]   `json:"name" doc:"What keys name in mcpPreset; it never changes, and the built-in names are taken." maxLength:"64" pattern:"^[a-z0-9_-]{1,64}$" required:"create" example:"search_only"`
	Permissions keys.Opt[[]string] `json:"permissions" doc:"The categories of tools that it lets through, as mcp:<category> or mcp:*." maxItems:"256" pattern:"^mcp:([*]|[a-z0-9-]{1,32})$" required:"true" example:"[\"mcp:search\"]"`
	MaxEffect   keys.Opt[string]   `json:"maxEffect" doc:"The highest effect that it lets through." enum:"read,write,destructive" required:"true" example:"write"`
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
