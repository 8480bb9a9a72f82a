package keys_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/bailiwick-mcp/bailiwick/keys"
)

// platform is a key that may manage tenants, and nothing in its own.
func (h *house) platform(pp keys.PolicyPatch) keys.Principal {
	h.t.Helper()
	return h.as(keys.NewKey{Permissions: keys.Some([]string{"manage:tenants"}), PolicyPatch: pp})
}

// lastEvent is the newest entry of a tenant's trail.
func (h *house) lastEvent(p keys.Principal) keys.AuditEntry {
	h.t.Helper()
	events, err := h.svc.AuditEvents(h.ctx, p, keys.AuditQuery{Limit: 1})
	if err != nil || len(events) != 1 {
		h.t.Fatalf("%+v, %v", events, err)
	}
	return events[0]
}

func TestRevokeAnyKey(t *testing.T) {
	h := newHouse(t)
	other := h.otherTenant("elsewhere")
	admin := h.platform(keys.PolicyPatch{})
	for name, p := range map[string]keys.Principal{"a key": admin, "the platform's operator": h.svc.PlatformOperator()} {
		k := h.mint(other, keys.NewKey{Name: "k"})
		h.login(k.Secret)
		before := h.epoch()
		revoked, err := h.svc.RevokeAnyKey(h.ctx, p, k.Key.ID, keys.Revocation{Reason: "leaked"})
		if err != nil || revoked.RevokedAt == nil || revoked.RevokedBy != p.Actor() || revoked.RevokeReason != "leaked" {
			t.Fatalf("%s: %+v, %v", name, revoked, err)
		}
		if _, err := h.svc.Authenticate(h.ctx, k.Secret); !errors.Is(err, keys.ErrBadCredential) {
			t.Errorf("%s: %v", name, err)
		}
		e := h.lastEvent(other)
		if e.Action != "key.revoke" || e.Subject != k.Key.ID || e.Actor != p.Actor() || e.KeyID != p.KeyID() || e.TenantID != other.TenantID() {
			t.Errorf("%s: audit %+v", name, e)
		}
		changes, err := h.store.Changes(h.ctx, before, 10)
		if err != nil || len(changes) != 1 || changes[0].TenantID != other.TenantID() || changes[0].ID != k.Key.ID {
			t.Errorf("%s: changes %+v, %v", name, changes, err)
		}
		if again, err := h.svc.RevokeAnyKey(h.ctx, p, k.Key.ID, keys.Revocation{Reason: "again"}); err != nil || again.RevokeReason != "leaked" {
			t.Errorf("%s, again: %+v, %v", name, again, err)
		}
		for _, id := range []string{"", "nothing", other.TenantID()} {
			if err := errOf(h.svc.RevokeAnyKey(h.ctx, p, id, keys.Revocation{})); !errors.Is(err, keys.ErrNotFound) {
				t.Errorf("%s, %q: %v", name, id, err)
			}
		}
		if err := errOf(h.svc.RevokeAnyKey(h.ctx, p, k.Key.ID, keys.Revocation{Reason: "a\x00"})); !slices.Equal(fieldsOf(err), []string{"reason"}) {
			t.Errorf("%s, a bad reason: %v", name, err)
		}
	}
	if err := errOf(h.svc.RevokeAnyKey(h.ctx, h.op, admin.KeyID(), keys.Revocation{})); err != nil {
		t.Errorf("the operator of a tenant: %v", err)
	}
}

func TestAnyTenant(t *testing.T) {
	h := newHouse(t)
	other := h.otherTenant("elsewhere")
	limited, wide := h.platform(keys.PolicyPatch{}), h.platform(full())
	for name, p := range map[string]keys.Principal{"limited": limited, "wide": wide, "platform": h.svc.PlatformOperator()} {
		for _, idOrSlug := range []string{"elsewhere", other.TenantID()} {
			if got, err := h.svc.TenantByID(h.ctx, p, idOrSlug); err != nil || got.ID != other.TenantID() {
				t.Errorf("%s, %s: %+v, %v", name, idOrSlug, got, err)
			}
		}
		set := func(on bool) error {
			got, err := h.svc.UpdateAnyTenant(h.ctx, p, "elsewhere", keys.TenantPatch{MCPEnabled: keys.Some(on)})
			if err == nil && (got.MCPEnabled != on || got.ID != other.TenantID()) {
				t.Errorf("%s, set to %v: %+v", name, on, got)
			}
			return err
		}
		if err := set(false); err != nil {
			t.Errorf("%s, off: %v", name, err)
		}
		if err := set(true); name != "limited" && err != nil || name == "limited" && !slices.Equal(fieldsOf(err), []string{"mcpEnabled"}) {
			t.Errorf("%s, on: %v", name, err)
		}
		got, err := h.svc.UpdateAnyTenant(h.ctx, p, other.TenantID(), keys.TenantPatch{Name: keys.Some(name)})
		if err != nil || got.Name != name || got.Slug != "elsewhere" {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
		if e := h.lastEvent(other); e.Action != "tenant.update" || e.Subject != other.TenantID() || e.Actor != p.Actor() {
			t.Errorf("%s: audit %+v", name, e)
		}
		if err := errOf(h.svc.UpdateAnyTenant(h.ctx, p, "elsewhere", keys.TenantPatch{IfVersion: 1})); !errors.Is(err, keys.ErrVersion) {
			t.Errorf("%s, an old version: %v", name, err)
		}
		if err := errOf(h.svc.UpdateAnyTenant(h.ctx, p, "elsewhere", keys.TenantPatch{Name: keys.Null[string]()})); !slices.Equal(fieldsOf(err), []string{"name"}) {
			t.Errorf("%s, no name: %v", name, err)
		}
		for _, id := range []string{"", "nowhere"} {
			err1 := errOf(h.svc.TenantByID(h.ctx, p, id))
			err2 := errOf(h.svc.UpdateAnyTenant(h.ctx, p, id, keys.TenantPatch{}))
			if !errors.Is(err1, keys.ErrNotFound) || !errors.Is(err2, keys.ErrNotFound) {
				t.Errorf("%s, %q: %v, %v", name, id, err1, err2)
			}
		}
	}
	if own, err := h.svc.Tenant(h.ctx, h.op); err != nil || own.Name != "Default" {
		t.Errorf("another tenant was changed: %+v, %v", own, err)
	}
}

func TestAllKeys(t *testing.T) {
	h := newHouse(t)
	other := h.otherTenant("elsewhere")
	for _, name := range []string{"100% here", "under_score", "plain"} {
		h.mint(h.op, keys.NewKey{Name: name})
		h.mint(other, keys.NewKey{Name: name})
	}
	for _, p := range []keys.Principal{h.platform(keys.PolicyPatch{}), h.svc.PlatformOperator()} {
		for search, want := range map[string]int{"%": 2, "_SCO": 2, "r_s": 2, "rxs": 0, "plain": 2} {
			list, total, err := h.svc.AllKeys(h.ctx, p, keys.KeyQuery{Search: search})
			if err != nil || len(list) != want || total != want {
				t.Errorf("%q: %d of %d, %v", search, len(list), total, err)
			}
		}
		seen := map[string]bool{}
		for offset := range 8 {
			list, total, err := h.svc.AllKeys(h.ctx, p, keys.KeyQuery{Search: "LIVE", Limit: 1, Offset: offset})
			if err != nil || total != 8 || len(list) != 1 {
				t.Fatalf("page %d: %d of %d, %v", offset, len(list), total, err)
			}
			seen[list[0].ID] = true
		}
		if len(seen) != 8 {
			t.Errorf("%d different keys on eight pages", len(seen))
		}
	}
}
