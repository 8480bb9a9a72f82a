package keystest

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/bailiwick-mcp/bailiwick/keys"
)

const defaultAuditLimit = 50

// reader is one snapshot.
type reader struct {
	store *Memory
	state *state
	over  atomic.Bool
}

var _ keys.Reader = (*reader)(nil)

func (r *reader) check(ctx context.Context) error {
	if r.over.Load() {
		return errors.New("a reader or writer was used after its transaction")
	}
	return r.store.check(ctx)
}

// found answers a clone of v when it is there and belongs to the tenant.
func found[V any](ctx context.Context, r *reader, v V, there bool, clone func(V) V) (V, error) {
	var none V
	if err := r.check(ctx); err != nil {
		return none, err
	}
	if !there {
		return none, keys.ErrNotFound
	}
	return clone(v), nil
}

func same[V any](v V) V { return v }

func (r *reader) AsOf(ctx context.Context) (int64, error) { return r.state.epoch, r.check(ctx) }

func (r *reader) Meta(ctx context.Context, name string) (string, error) {
	value, ok := r.state.meta[name]
	return found(ctx, r, value, ok, same)
}

func (r *reader) Tenant(ctx context.Context, idOrSlug string) (keys.Tenant, error) {
	t, ok := r.state.tenants[idOrSlug]
	if !ok {
		for _, other := range r.state.tenants {
			if other.Slug == idOrSlug {
				t, ok = other, true
			}
		}
	}
	return found(ctx, r, t, ok, cloneTenant)
}

func (r *reader) Tenants(ctx context.Context) ([]keys.Tenant, error) {
	every := func(keys.Tenant) bool { return true }
	return sorted(r.state.tenants, every, cloneTenant, func(a, b keys.Tenant) int {
		return strings.Compare(a.Slug, b.Slug)
	}), r.check(ctx)
}

func (r *reader) Project(ctx context.Context, tenantID, id string) (keys.Project, error) {
	p, ok := r.state.projects[id]
	return found(ctx, r, p, ok && p.TenantID == tenantID, cloneProject)
}

func (r *reader) Projects(ctx context.Context, tenantID string) ([]keys.Project, error) {
	own := func(p keys.Project) bool { return p.TenantID == tenantID }
	return sorted(r.state.projects, own, cloneProject, func(a, b keys.Project) int {
		return strings.Compare(a.Slug, b.Slug)
	}), r.check(ctx)
}

func (r *reader) Instance(ctx context.Context, tenantID, id string) (keys.Instance, error) {
	i, ok := r.state.instances[id]
	return found(ctx, r, i, ok && i.TenantID == tenantID, cloneInstance)
}

func (r *reader) Instances(ctx context.Context, tenantID string) ([]keys.Instance, error) {
	own := func(i keys.Instance) bool { return tenantID == "" || i.TenantID == tenantID }
	return sorted(r.state.instances, own, cloneInstance, func(a, b keys.Instance) int {
		return cmp.Or(strings.Compare(a.Slug, b.Slug), strings.Compare(a.TenantID, b.TenantID))
	}), r.check(ctx)
}

func (r *reader) Preset(ctx context.Context, tenantID, name string) (keys.Preset, error) {
	p, ok := r.state.presets[presetID{tenantID, name}]
	return found(ctx, r, p, ok, clonePreset)
}

func (r *reader) Presets(ctx context.Context, tenantID string) ([]keys.Preset, error) {
	own := func(p keys.Preset) bool { return p.TenantID == tenantID }
	return sorted(r.state.presets, own, clonePreset, func(a, b keys.Preset) int {
		return strings.Compare(a.Name, b.Name)
	}), r.check(ctx)
}

func (r *reader) Key(ctx context.Context, tenantID, id string) (keys.Key, error) {
	k, ok := r.state.keys[id]
	return found(ctx, r, k, ok && (tenantID == "" || k.TenantID == tenantID), cloneKey)
}

func (r *reader) KeyByHandle(ctx context.Context, tenantID, handle string) (keys.Key, error) {
	for _, k := range r.state.keys {
		if k.TenantID == tenantID && k.Handle == handle && k.RevokedAt == nil {
			return found(ctx, r, k, true, cloneKey)
		}
	}
	return found(ctx, r, keys.Key{}, false, cloneKey)
}

func (r *reader) Keys(ctx context.Context, tenantID string, q keys.KeyQuery) ([]keys.Key, int, error) {
	if err := r.check(ctx); err != nil {
		return nil, 0, err
	}
	selected := func(k keys.Key) bool {
		return (tenantID == "" || k.TenantID == tenantID) && selects(q, k)
	}
	list := sorted(r.state.keys, selected, cloneKey, func(a, b keys.Key) int {
		return cmp.Or(a.CreatedAt.Compare(b.CreatedAt), strings.Compare(a.ID, b.ID))
	})
	total := len(list)
	list = list[min(max(q.Offset, 0), total):]
	if q.Limit > 0 && q.Limit < len(list) {
		list = list[:q.Limit]
	}
	return list, total, nil
}

func selects(q keys.KeyQuery, k keys.Key) bool {
	part := func(field string) bool {
		return strings.Contains(strings.ToLower(field), strings.ToLower(q.Search))
	}
	return (q.IncludeRevoked || k.RevokedAt == nil) &&
		(q.LiveAt.IsZero() || k.Live(q.LiveAt)) &&
		(q.ParentKeyID == "" || k.ParentKeyID == q.ParentKeyID) &&
		(q.ProjectID == "" || k.ProjectID == q.ProjectID) &&
		(part(k.Name) || part(k.Handle) || part(k.Prefix))
}

func (r *reader) KeyByHash(ctx context.Context, hash [32]byte) (keys.Key, keys.KeySecret, error) {
	s, ok := r.state.secrets[hash]
	secret, err := found(ctx, r, s, ok, cloneSecret)
	if err != nil {
		return keys.Key{}, keys.KeySecret{}, err
	}
	k, err := r.Key(ctx, s.TenantID, s.KeyID)
	return k, secret, err
}

func (r *reader) Secrets(ctx context.Context, tenantID, keyID string) ([]keys.KeySecret, error) {
	if k, ok := r.state.keys[keyID]; !ok || k.TenantID != tenantID {
		_, err := found(ctx, r, k, false, cloneKey)
		return nil, err
	}
	own := func(s keys.KeySecret) bool { return s.KeyID == keyID }
	return sorted(r.state.secrets, own, cloneSecret, func(a, b keys.KeySecret) int {
		return b.CreatedAt.Compare(a.CreatedAt)
	}), r.check(ctx)
}

func (r *reader) Audit(ctx context.Context, tenantID string, q keys.AuditQuery) ([]keys.AuditEntry, error) {
	if err := r.check(ctx); err != nil {
		return nil, err
	}
	if clean(q.Before+q.After) != q.Before+q.After { // no entry has such an id
		return []keys.AuditEntry{}, nil
	}
	is := func(want, got string) bool { return want == "" || clean(want) == got }
	selected := func(e keys.AuditEntry) bool {
		return e.TenantID == tenantID && is(q.KeyID, e.KeyID) && is(q.Tool, e.Tool) && is(q.Decision, e.Decision) &&
			is(q.Action, e.Action) && is(q.Subject, e.Subject) &&
			(q.Shadow == "" || clean(q.Shadow) == shadowOf(e).Decision) &&
			is(q.Kind, e.Kind) && is(q.Ref, e.Ref) && !e.Time.Before(stamp(q.Since)) && (q.Until.IsZero() || e.Time.Before(stamp(q.Until))) &&
			(q.Before == "" || e.ID < q.Before) && e.ID > q.After
	}
	list := sorted(r.state.audit, selected, cloneEntry, func(a, b keys.AuditEntry) int {
		if q.Oldest {
			a, b = b, a
		}
		return strings.Compare(b.ID, a.ID)
	})
	limit := q.Limit
	if limit <= 0 {
		limit = defaultAuditLimit
	}
	return list[:min(limit, len(list))], nil
}

func (r *reader) AuditUse(ctx context.Context, tenantID string, q keys.AuditUseQuery) ([]keys.AuditUse, error) {
	groups := map[keys.AuditUse]keys.AuditUse{}
	for _, e := range r.state.audit {
		if e.TenantID != tenantID || e.Kind == kindChange || q.KeyID != "" && e.KeyID != clean(q.KeyID) || e.Time.Before(stamp(q.Since)) {
			continue
		}
		alike := keys.AuditUse{KeyID: e.KeyID, Action: e.Action, Subject: e.Subject, Tool: e.Tool, Decision: e.Decision}
		if s := shadowOf(e); q.Shadowed {
			if s.Decision == "" {
				continue
			}
			alike.Shadow, alike.ShadowFailed = s.Decision, string(s.Failed)
		}
		one := alike
		one.Count, one.Last = groups[alike].Count+1, e.Time
		if last := groups[alike].Last; last.After(e.Time) {
			one.Last = last
		}
		groups[alike] = one
	}
	list := slices.SortedFunc(maps.Values(groups), func(a, b keys.AuditUse) int {
		return cmp.Or(b.Count-a.Count, strings.Compare(a.KeyID, b.KeyID), strings.Compare(a.Action, b.Action),
			strings.Compare(a.Subject, b.Subject), strings.Compare(a.Tool, b.Tool), strings.Compare(a.Decision, b.Decision),
			strings.Compare(a.Shadow, b.Shadow), strings.Compare(a.ShadowFailed, b.ShadowFailed))
	})
	return list[:min(cmp.Or(q.Limit, keys.MaxAuditUse), len(list))], r.check(ctx)
}

// shadow is what an entry's detail says of the key's draft.
type shadow struct {
	Decision string          `json:"decision"`
	Failed   json.RawMessage `json:"failed"`
}

func shadowOf(e keys.AuditEntry) shadow {
	var detail struct {
		Shadow shadow `json:"shadow"`
	}
	_ = json.Unmarshal(e.Detail, &detail) // most have none
	return detail.Shadow
}
