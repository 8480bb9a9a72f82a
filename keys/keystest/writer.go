package keystest

import (
	"context"
	"maps"
	"slices"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/policy"
)

// writer is one edit. Its state is a copy with the edit's epoch already in it.
type writer struct {
	reader
	changes  map[keys.Change]bool
	wrote    bool
	beside   bool // wrote what takes no epoch
	meta     bool
	recorded bool // a change in the audit trail
	spoiled  error
}

var _ keys.Writer = (*writer)(nil)

func (w *writer) Epoch() int64 { return w.state.epoch }

func (w *writer) AsOf(ctx context.Context) (int64, error) { return w.state.epoch - 1, w.check(ctx) }

func (w *writer) changed(tenantID string, kind keys.ChangeKind, id string) {
	w.wrote = true
	w.changes[keys.Change{Epoch: w.Epoch(), TenantID: tenantID, Kind: kind, ID: id}] = true
}

// insertable checks what every insert checks: the id is new, the owner there.
func (w *writer) insertable(ctx context.Context, owner, taken bool) error {
	switch err := w.check(ctx); {
	case err != nil:
		return err
	case !owner:
		return keys.ErrNotFound
	case taken:
		return &keys.ConflictError{Field: "id", Problem: "is already taken"}
	}
	return nil
}

func (w *writer) PutMeta(ctx context.Context, name, value string) error {
	if err := w.check(ctx); err != nil {
		return err
	}
	if err := checkTexts(&struct{ Name, Value string }{name, value}); err != nil {
		return err
	}
	w.state.meta[name] = value
	w.meta, w.wrote = true, true
	return nil
}

func (w *writer) InsertTenant(ctx context.Context, t *keys.Tenant) error {
	_, taken := w.state.tenants[t.ID]
	if err := w.insertable(ctx, true, taken); err != nil {
		return err
	}
	return w.putTenant(t)
}

func (w *writer) UpdateTenant(ctx context.Context, t *keys.Tenant) error {
	old, err := w.tenantByID(ctx, t.ID)
	if err != nil {
		return err
	}
	t.CreatedAt = old.CreatedAt
	return w.putTenant(t)
}

func (w *writer) tenantByID(ctx context.Context, id string) (keys.Tenant, error) {
	t, ok := w.state.tenants[id]
	return found(ctx, &w.reader, t, ok, cloneTenant)
}

func (w *writer) putTenant(t *keys.Tenant) error {
	if err := checkTexts(t); err != nil {
		return err
	}
	for _, other := range w.state.tenants {
		if other.ID != t.ID && other.Slug == t.Slug {
			return &keys.ConflictError{Field: "slug", Problem: "is already taken"}
		}
	}
	t.Version = w.Epoch()
	*t = cloneTenant(*t)
	w.state.tenants[t.ID] = *t
	w.changed(t.ID, keys.ChangeTenant, t.ID)
	return nil
}

func (w *writer) InsertProject(ctx context.Context, p *keys.Project) error {
	_, owner := w.state.tenants[p.TenantID]
	_, taken := w.state.projects[p.ID]
	if err := w.insertable(ctx, owner, taken); err != nil {
		return err
	}
	return w.putProject(p)
}

func (w *writer) UpdateProject(ctx context.Context, p *keys.Project) error {
	old, err := w.Project(ctx, p.TenantID, p.ID)
	if err != nil {
		return err
	}
	p.CreatedAt = old.CreatedAt
	return w.putProject(p)
}

func (w *writer) putProject(p *keys.Project) error {
	if err := checkTexts(p); err != nil {
		return err
	}
	for _, other := range w.state.projects {
		if other.TenantID == p.TenantID && other.ID != p.ID && other.Slug == p.Slug {
			return &keys.ConflictError{Field: "slug", Problem: "is already taken in this tenant"}
		}
	}
	p.Version = w.Epoch()
	*p = cloneProject(*p)
	w.state.projects[p.ID] = *p
	w.changed(p.TenantID, keys.ChangeProject, p.ID)
	return nil
}

func (w *writer) DeleteProject(ctx context.Context, tenantID, id string) error {
	if _, err := w.Project(ctx, tenantID, id); err != nil {
		return err
	}
	for _, i := range w.state.instances {
		if i.ProjectID == id {
			return &keys.ConflictError{Problem: "the project still has instances"}
		}
	}
	delete(w.state.projects, id)
	w.changed(tenantID, keys.ChangeProject, id)
	w.stripKeys(tenantID, id, func(p *policy.Policy) *policy.Limit { return &p.ProjectIDs })
	return nil
}

func (w *writer) InsertInstance(ctx context.Context, i *keys.Instance) error {
	project, owner := w.state.projects[i.ProjectID]
	_, taken := w.state.instances[i.ID]
	if err := w.insertable(ctx, owner && project.TenantID == i.TenantID, taken); err != nil {
		return err
	}
	return w.putInstance(i)
}

func (w *writer) UpdateInstance(ctx context.Context, i *keys.Instance) error {
	old, err := w.Instance(ctx, i.TenantID, i.ID)
	if err != nil {
		return err
	}
	if _, err := w.Project(ctx, i.TenantID, i.ProjectID); err != nil {
		return err
	}
	i.CreatedAt = old.CreatedAt
	return w.putInstance(i)
}

func (w *writer) putInstance(i *keys.Instance) error {
	if err := checkTexts(i); err != nil {
		return err
	}
	for _, other := range w.state.instances {
		if other.TenantID == i.TenantID && other.ID != i.ID && other.Slug == i.Slug {
			return &keys.ConflictError{Field: "slug", Problem: "is already taken in this tenant"}
		}
	}
	i.Version = w.Epoch()
	*i = cloneInstance(*i)
	w.state.instances[i.ID] = cloneInstance(*i)
	w.changed(i.TenantID, keys.ChangeInstance, i.ID)
	return nil
}

func (w *writer) DeleteInstance(ctx context.Context, tenantID, id string) error {
	if _, err := w.Instance(ctx, tenantID, id); err != nil {
		return err
	}
	delete(w.state.instances, id)
	delete(w.state.definitions, id)
	w.changed(tenantID, keys.ChangeInstance, id)
	w.stripKeys(tenantID, id, func(p *policy.Policy) *policy.Limit { return &p.InstanceIDs })
	return nil
}

// stripKeys takes an id that is no more off the keys' lists; a list stays one
// when its last id goes.
func (w *writer) stripKeys(tenantID, id string, limit func(*policy.Policy) *policy.Limit) {
	for _, k := range w.state.keys {
		l := limit(&k.Policy)
		if k.TenantID != tenantID || l.IsUnlimited() || !l.Contains(id) {
			continue
		}
		*l = policy.Only(slices.DeleteFunc(l.Values(), func(v string) bool { return v == id })...)
		k.Version, k.UpdatedAt = w.Epoch(), stamp(w.store.Now())
		w.state.keys[k.ID] = k
		w.changed(tenantID, keys.ChangeKey, k.ID)
	}
}

func (w *writer) InsertPreset(ctx context.Context, p *keys.Preset) error {
	_, owner := w.state.tenants[p.TenantID]
	if err := w.insertable(ctx, owner, false); err != nil {
		return err
	}
	if _, taken := w.state.presets[presetID{p.TenantID, p.Name}]; taken {
		return &keys.ConflictError{Field: "name", Problem: "is already taken in this tenant"}
	}
	return w.putPreset(p)
}

func (w *writer) UpdatePreset(ctx context.Context, p *keys.Preset) error {
	old, err := w.Preset(ctx, p.TenantID, p.Name)
	if err != nil {
		return err
	}
	p.CreatedAt = old.CreatedAt
	return w.putPreset(p)
}

func (w *writer) putPreset(p *keys.Preset) error {
	if err := checkTexts(p); err != nil {
		return err
	}
	p.Version = w.Epoch()
	*p = clonePreset(*p)
	w.state.presets[presetID{p.TenantID, p.Name}] = clonePreset(*p)
	w.changed(p.TenantID, keys.ChangePreset, p.Name)
	return nil
}

func (w *writer) DeletePreset(ctx context.Context, tenantID, name string) error {
	if _, err := w.Preset(ctx, tenantID, name); err != nil {
		return err
	}
	for _, k := range w.state.keys {
		if k.TenantID == tenantID && k.Policy.Preset == name && k.RevokedAt == nil {
			return &keys.ConflictError{Problem: "the preset is in use by a key"}
		}
	}
	delete(w.state.presets, presetID{tenantID, name})
	w.changed(tenantID, keys.ChangePreset, name)
	return nil
}

func (w *writer) InsertKey(ctx context.Context, k *keys.Key, secrets ...keys.KeySecret) error {
	_, owner := w.state.tenants[k.TenantID]
	_, taken := w.state.keys[k.ID]
	if err := w.insertable(ctx, owner, taken); err != nil {
		return err
	}
	if err := w.handleFree(k); err != nil {
		return err
	}
	if err := checkTexts(k); err != nil {
		return err
	}
	if err := w.putSecrets(k.TenantID, k.ID, secrets); err != nil {
		return err
	}
	return w.putKey(k)
}

func (w *writer) UpdateKey(ctx context.Context, k *keys.Key) error {
	old, err := w.ownKey(ctx, k.TenantID, k.ID)
	if err != nil {
		return err
	}
	k.Handle, k.Scope, k.ProjectID, k.ExpiresAt = old.Handle, old.Scope, old.ProjectID, old.ExpiresAt
	k.LastUsedAt, k.CreatedAt = old.LastUsedAt, old.CreatedAt
	if err := w.handleFree(k); err != nil {
		return err
	}
	return w.putKey(k)
}

func (w *writer) handleFree(k *keys.Key) error {
	for _, other := range w.state.keys {
		if other.TenantID == k.TenantID && other.ID != k.ID && other.Handle == k.Handle &&
			other.RevokedAt == nil && k.RevokedAt == nil {
			return &keys.ConflictError{Field: "handle", Problem: "is already taken by a live key"}
		}
	}
	return nil
}

func (w *writer) putKey(k *keys.Key) error {
	if err := checkTexts(k); err != nil {
		return err
	}
	k.Version = w.Epoch()
	*k = cloneKey(*k)
	w.state.keys[k.ID] = cloneKey(*k)
	w.changed(k.TenantID, keys.ChangeKey, k.ID)
	return nil
}

func (w *writer) PutSecrets(ctx context.Context, tenantID, keyID string, secrets ...keys.KeySecret) error {
	k, err := w.ownKey(ctx, tenantID, keyID)
	if err != nil {
		return err
	}
	if err := w.putSecrets(tenantID, keyID, secrets); err != nil {
		return err
	}
	return w.putKey(&k)
}

// ownKey is Key without its reading of "" as any tenant.
func (w *writer) ownKey(ctx context.Context, tenantID, id string) (keys.Key, error) {
	k, ok := w.state.keys[id]
	return found(ctx, &w.reader, k, ok && k.TenantID == tenantID, cloneKey)
}

// putSecrets looks at all before it changes any.
func (w *writer) putSecrets(tenantID, keyID string, secrets []keys.KeySecret) error {
	seen := map[[32]byte]bool{}
	for _, s := range secrets {
		if other, taken := w.state.secrets[s.Hash]; seen[s.Hash] || taken && other.KeyID != keyID {
			return &keys.ConflictError{Field: "key", Problem: "this secret is already in use"}
		}
		seen[s.Hash] = true
	}
	maps.DeleteFunc(w.state.secrets, func(_ [32]byte, s keys.KeySecret) bool { return s.KeyID == keyID })
	for _, s := range secrets {
		s.TenantID, s.KeyID = tenantID, keyID
		w.state.secrets[s.Hash] = cloneSecret(s)
	}
	return nil
}

func (w *writer) DeleteKey(ctx context.Context, tenantID, id string) error {
	if _, err := w.ownKey(ctx, tenantID, id); err != nil {
		return err
	}
	delete(w.state.keys, id)
	maps.DeleteFunc(w.state.secrets, func(_ [32]byte, s keys.KeySecret) bool { return s.KeyID == id })
	w.changed(tenantID, keys.ChangeKey, id)
	return nil
}
