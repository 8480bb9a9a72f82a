package rest

import (
	"context"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/keys/wire"
)

// operations is what the API can do, whatever the URL shape. Most are the
// Service's own methods, whose permission checks are theirs.
type operations struct {
	svc    *keys.Service
	status func(id string) (state, problem string)
	tools  func(ctx context.Context, i keys.Instance) ([]wire.Tool, error)

	starts *keys.HostLimit // of sign-ins
	offer  func(ctx context.Context, p keys.Principal) (keys.Offer, error)
}

// nothing is the request or answer of an operation that has none.
type nothing struct{}

// many is one page of a list and its total.
type many[T any] struct {
	items []T
	total int
}

// cut is one page of a list that is here as a whole.
func cut[T any](all []T, p page) many[T] {
	from, to := p.bounds(len(all))
	return many[T]{all[from:to], len(all)}
}

type editKey struct {
	id    string
	patch keys.KeyPatch
}

type rotateKey struct {
	id       string
	rotation keys.Rotation
}

type toggleKey struct {
	id        string
	ifVersion int64
}

type revokeKey struct {
	id         string
	revocation keys.Revocation
}

func (o operations) listKeys(ctx context.Context, p keys.Principal, q keys.KeyQuery) (many[keys.Key], error) {
	items, total, err := o.svc.Keys(ctx, p, q)
	return many[keys.Key]{items, total}, err
}

// allKeys are those of every tenant.
func (o operations) allKeys(ctx context.Context, p keys.Principal, q keys.KeyQuery) (many[keys.Key], error) {
	items, total, err := o.svc.AllKeys(ctx, p, q)
	return many[keys.Key]{items, total}, err
}

func (o operations) tenants(ctx context.Context, p keys.Principal, at page) (many[keys.Tenant], error) {
	all, err := o.svc.Tenants(ctx, p)
	return cut(all, at), err
}

func (o operations) updateKey(ctx context.Context, p keys.Principal, r editKey) (keys.Key, error) {
	return o.svc.UpdateKey(ctx, p, r.id, r.patch)
}

func (o operations) toggleKey(ctx context.Context, p keys.Principal, r toggleKey) (keys.Key, error) {
	return o.svc.ToggleKey(ctx, p, r.id, r.ifVersion)
}

func (o operations) rotateKey(ctx context.Context, p keys.Principal, r rotateKey) (keys.Issued, error) {
	return o.svc.RotateKey(ctx, p, r.id, r.rotation)
}

func (o operations) revokeKey(ctx context.Context, p keys.Principal, r revokeKey) (keys.Key, error) {
	return o.svc.RevokeKey(ctx, p, r.id, r.revocation)
}

func (o operations) revokeAnyKey(ctx context.Context, p keys.Principal, r revokeKey) (keys.Key, error) {
	return o.svc.RevokeAnyKey(ctx, p, r.id, r.revocation)
}

type newTenantKey struct {
	tenant string
	key    keys.NewKey
}

func (o operations) createTenantKey(ctx context.Context, p keys.Principal, r newTenantKey) (keys.Issued, error) {
	return o.svc.CreateKeyIn(ctx, p, r.tenant, r.key)
}

type editTenant struct {
	id    string
	patch keys.TenantPatch
}

func (o operations) updateTenant(ctx context.Context, p keys.Principal, r editTenant) (keys.Tenant, error) {
	return o.svc.UpdateAnyTenant(ctx, p, r.id, r.patch)
}

func (o operations) whoami(_ context.Context, p keys.Principal, _ nothing) (keys.Principal, error) {
	if !p.Valid() {
		return p, keys.ErrUnauthenticated
	}
	return p, nil
}

type editProject struct {
	id    string
	patch keys.ProjectPatch
}

func (o operations) listProjects(ctx context.Context, p keys.Principal, at page) (many[keys.Project], error) {
	all, err := o.svc.Projects(ctx, p)
	return cut(all, at), err
}

func (o operations) updateProject(ctx context.Context, p keys.Principal, r editProject) (keys.Project, error) {
	return o.svc.UpdateProject(ctx, p, r.id, r.patch)
}

func (o operations) deleteProject(ctx context.Context, p keys.Principal, id string) (nothing, error) {
	return nothing{}, o.svc.DeleteProject(ctx, p, id)
}

type editInstance struct {
	id   string
	spec keys.InstanceSpec
}

type instanceTools struct {
	id string
	at page
}

func (o operations) listInstances(ctx context.Context, p keys.Principal, at page) (many[keys.Instance], error) {
	all, err := o.svc.Instances(ctx, p)
	return cut(all, at), err
}

func (o operations) updateInstance(ctx context.Context, p keys.Principal, r editInstance) (keys.Instance, error) {
	return o.svc.UpdateInstance(ctx, p, r.id, r.spec)
}

func (o operations) deleteInstance(ctx context.Context, p keys.Principal, id string) (nothing, error) {
	return nothing{}, o.svc.DeleteInstance(ctx, p, id)
}

func (o operations) instanceTools(ctx context.Context, p keys.Principal, r instanceTools) (many[wire.Tool], error) {
	i, err := o.svc.Instance(ctx, p, r.id)
	if err != nil || o.tools == nil {
		return many[wire.Tool]{}, err
	}
	all, err := o.tools(ctx, i)
	return cut(all, r.at), err
}

type approveTools struct {
	id    string
	tools []keys.ToolApproval
}

// approveTools answers all tools of the instance, as they are now.
func (o operations) approveTools(ctx context.Context, p keys.Principal, r approveTools) (many[wire.Tool], error) {
	i, err := o.svc.ApproveTools(ctx, p, r.id, r.tools)
	if err != nil || o.tools == nil {
		return many[wire.Tool]{}, err
	}
	all, err := o.tools(ctx, i)
	return many[wire.Tool]{all, len(all)}, err
}

type editPreset struct {
	preset    keys.NewPreset
	ifVersion int64
}

func (o operations) listPresets(ctx context.Context, p keys.Principal, at page) (many[keys.Preset], error) {
	all, err := o.svc.Presets(ctx, p)
	return cut(all, at), err
}

func (o operations) updatePreset(ctx context.Context, p keys.Principal, r editPreset) (keys.Preset, error) {
	return o.svc.UpdatePreset(ctx, p, r.preset, r.ifVersion)
}

func (o operations) deletePreset(ctx context.Context, p keys.Principal, name string) (nothing, error) {
	return nothing{}, o.svc.DeletePreset(ctx, p, name)
}

func (o operations) tenant(ctx context.Context, p keys.Principal, _ nothing) (keys.Tenant, error) {
	return o.svc.Tenant(ctx, p)
}

// auditPage is one page of audit entries and, where there are more, one beyond.
type auditPage struct {
	entries []keys.AuditEntry
	limit   int
}

func (o operations) audit(ctx context.Context, p keys.Principal, q keys.AuditQuery) (auditPage, error) {
	limit := q.Limit
	q.Limit++
	entries, err := o.svc.AuditEvents(ctx, p, q)
	return auditPage{entries, limit}, err
}
