package keys

import (
	"context"
	"time"
)

// Keys. Permissions: view:api-keys, manage:api-keys.

// CreateKey mints a key within the principal's own rights.
func (s *Service) CreateKey(ctx context.Context, p Principal, n NewKey) (Issued, error) {
	return Issued{}, errTodo
}

// Key answers one key; a handle is accepted in place of the id by FindKey only.
func (s *Service) Key(ctx context.Context, p Principal, id string) (Key, error) {
	return Key{}, errTodo
}

// FindKey finds by id, or else by handle.
func (s *Service) FindKey(ctx context.Context, p Principal, idOrHandle string) (Key, error) {
	return Key{}, errTodo
}

// Keys lists the tenant's keys and the total.
func (s *Service) Keys(ctx context.Context, p Principal, q KeyQuery) ([]Key, int, error) {
	return nil, 0, errTodo
}

// AllKeys lists keys of all tenants; it needs view:tenants.
func (s *Service) AllKeys(ctx context.Context, p Principal, q KeyQuery) ([]Key, int, error) {
	return nil, 0, errTodo
}

// UpdateKey changes a key; what it is and what it becomes must be within the
// principal's own rights, unless the change only narrows.
func (s *Service) UpdateKey(ctx context.Context, p Principal, id string, patch KeyPatch) (Key, error) {
	return Key{}, errTodo
}

// ToggleKey flips mcpActive in one step.
func (s *Service) ToggleKey(ctx context.Context, p Principal, id string) (Key, error) {
	return Key{}, errTodo
}

// RotateKey gives a key a new secret; the old one goes on working for grace
// (0 to 30 days), at most to the key's own expiry.
func (s *Service) RotateKey(ctx context.Context, p Principal, id string, grace time.Duration) (Issued, error) {
	return Issued{}, errTodo
}

// RevokeKey ends a key and thereby its subtree. Again: no change, no error.
func (s *Service) RevokeKey(ctx context.Context, p Principal, id, reason string) (Key, error) {
	return Key{}, errTodo
}

// Projects. Permissions: view:projects, manage:projects.

// CreateProject makes a project.
func (s *Service) CreateProject(ctx context.Context, p Principal, n NewProject) (Project, error) {
	return Project{}, errTodo
}

// Project finds one by id, or else by slug.
func (s *Service) Project(ctx context.Context, p Principal, idOrSlug string) (Project, error) {
	return Project{}, errTodo
}

// Projects lists all that the principal may see.
func (s *Service) Projects(ctx context.Context, p Principal) ([]Project, error) {
	return nil, errTodo
}

// UpdateProject changes a project.
func (s *Service) UpdateProject(ctx context.Context, p Principal, id string, patch ProjectPatch) (Project, error) {
	return Project{}, errTodo
}

// DeleteProject of one that still has instances is a *ConflictError.
func (s *Service) DeleteProject(ctx context.Context, p Principal, id string) error { return errTodo }

// Instances. Permissions: view:instances, manage:instances; stdio and private
// addresses need manage:tenants too.

// CreateInstance mounts an upstream.
func (s *Service) CreateInstance(ctx context.Context, p Principal, spec InstanceSpec) (Instance, error) {
	return Instance{}, errTodo
}

// Instance finds one by id, or else by slug.
func (s *Service) Instance(ctx context.Context, p Principal, idOrSlug string) (Instance, error) {
	return Instance{}, errTodo
}

// Instances lists all that the principal may see.
func (s *Service) Instances(ctx context.Context, p Principal) ([]Instance, error) {
	return nil, errTodo
}

// UpdateInstance changes an instance; one from a config file is a *ConflictError.
func (s *Service) UpdateInstance(ctx context.Context, p Principal, id string, spec InstanceSpec) (Instance, error) {
	return Instance{}, errTodo
}

// DeleteInstance unmounts an upstream.
func (s *Service) DeleteInstance(ctx context.Context, p Principal, id string) error { return errTodo }

// ApplyConfig brings the instances of source "config" to what the file says;
// those no longer named are deleted. Only the operator may.
func (s *Service) ApplyConfig(ctx context.Context, p Principal, specs []InstanceSpec) error {
	return errTodo
}

// Presets. Permissions: view:presets, manage:presets.

// Presets lists the tenant's own presets.
func (s *Service) Presets(ctx context.Context, p Principal) ([]Preset, error) { return nil, errTodo }

// CreatePreset makes a preset; built-in names are reserved.
func (s *Service) CreatePreset(ctx context.Context, p Principal, n NewPreset) (Preset, error) {
	return Preset{}, errTodo
}

// UpdatePreset changes one; widening needs an unrestricted policy.
func (s *Service) UpdatePreset(ctx context.Context, p Principal, n NewPreset, ifVersion int64) (Preset, error) {
	return Preset{}, errTodo
}

// DeletePreset of one in use is a *ConflictError.
func (s *Service) DeletePreset(ctx context.Context, p Principal, name string) error { return errTodo }

// Tenants. The own one: view:tenant, manage:tenant; all: view:tenants, manage:tenants.

// UpdateTenant changes the principal's own tenant.
func (s *Service) UpdateTenant(ctx context.Context, p Principal, patch TenantPatch) (Tenant, error) {
	return Tenant{}, errTodo
}

// Tenants lists all tenants of the platform.
func (s *Service) Tenants(ctx context.Context, p Principal) ([]Tenant, error) { return nil, errTodo }

// CreateTenant makes a tenant with a project "default".
func (s *Service) CreateTenant(ctx context.Context, p Principal, n NewTenant) (Tenant, error) {
	return Tenant{}, errTodo
}

// Audit. Permission: view:audit.

// AuditEvents lists audit entries, newest first.
func (s *Service) AuditEvents(ctx context.Context, p Principal, q AuditQuery) ([]AuditEntry, error) {
	return nil, errTodo
}

// Record takes a call or decision entry for the next batch (written within
// one second); it blocks while too many wait, until ctx ends.
func (s *Service) Record(ctx context.Context, e AuditEntry) error { return nil }

// For the gateway, which acts for no principal when it mounts upstreams.

// Mounts lists every enabled and disabled instance of every tenant.
func (s *Service) Mounts(ctx context.Context) ([]Instance, error) { return nil, errTodo }

// Credentials opens an instance's sealed credentials.
func (s *Service) Credentials(i Instance) (Credentials, error) { return Credentials{}, nil }

// PrivateUpstreamAllowed tells whether an instance may be on a loopback,
// link-local or private address, as decided when it was written.
func (s *Service) PrivateUpstreamAllowed(i Instance) bool { return false }

// Definitions are what is stored of an instance's tools.
func (s *Service) Definitions(ctx context.Context, i Instance) ([]Definition, error) {
	return nil, errTodo
}

// SaveDefinitions stores what an upstream announced.
func (s *Service) SaveDefinitions(ctx context.Context, i Instance, defs []Definition) error {
	return errTodo
}

// MAC keys for tokens of other packages, derived from the root secret by HKDF.

// MACKey is 32 bytes, a different one for each purpose.
func (s *Service) MACKey(purpose string) []byte { return nil }
