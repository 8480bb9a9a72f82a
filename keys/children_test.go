package keys_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/policy"
)

func TestChildEndsWithItsAncestors(t *testing.T) {
	for name, end := range map[string]func(h *house, id string) error{
		"revoked": func(h *house, id string) error {
			return errOf(h.svc.RevokeKey(h.ctx, h.op, id, keys.Revocation{Reason: "gone"}))
		},
		"disabled": func(h *house, id string) error {
			return errOf(h.svc.UpdateKey(h.ctx, h.op, id, keys.KeyPatch{Enabled: keys.Some(false)}))
		},
		"expired": func(h *house, _ string) error { h.clock.Advance(2 * time.Hour); return nil },
	} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t)
			at := h.clock.Now().Add(time.Hour)
			may := keys.Some([]string{"view:projects"})
			top := h.mint(h.op, keys.NewKey{Name: "top", ExpiresAt: &at, Permissions: may}).Key
			mid := h.mint(h.op, keys.NewKey{Name: "mid", ParentKeyID: top.ID, Permissions: may}).Key
			leaf := h.mint(h.op, keys.NewKey{Name: "leaf", ParentKeyID: mid.ID, Permissions: may})
			p := h.login(leaf.Secret)
			if want := []string{leaf.Key.ID, mid.ID, top.ID}; !slices.Equal(p.Chain(), want) {
				t.Errorf("chain %v, want %v", p.Chain(), want)
			}
			if !p.Can("view:projects", h.clock.Now()) {
				t.Error("can't before")
			}
			if err := end(h, top.ID); err != nil {
				t.Fatal(err)
			}
			if _, err := h.svc.Authenticate(h.ctx, leaf.Secret); !errors.Is(err, keys.ErrBadCredential) {
				t.Errorf("authenticate: %v", err)
			}
			if _, err := h.svc.Refresh(h.ctx, p); !errors.Is(err, keys.ErrBadCredential) {
				t.Errorf("refresh: %v", err)
			}
			if name == "expired" && p.Can("view:projects", h.clock.Now()) {
				t.Error("the old principal still can")
			}
			fresh := h.service()
			if _, err := fresh.Authenticate(h.ctx, leaf.Secret); !errors.Is(err, keys.ErrBadCredential) {
				t.Errorf("from the store: %v", err)
			}
			if err := errOf(h.svc.CreateKey(h.ctx, h.op, keys.NewKey{Name: "late", ParentKeyID: mid.ID})); !slices.Equal(fieldsOf(err), []string{"parentKeyId"}) {
				t.Errorf("a child of an ended chain: %v", err)
			}
		})
	}
}

// A parent goes by its id alone, which who gives a handle is told.
func TestParentByHandle(t *testing.T) {
	h := newHouse(t)
	if err := errOf(h.svc.CreateKey(h.ctx, h.op, keys.NewKey{Name: "parent"})); err != nil {
		t.Fatal(err)
	}
	err := errOf(h.svc.CreateKey(h.ctx, h.op, keys.NewKey{Name: "child", ParentKeyID: "parent"}))
	if err == nil || !strings.Contains(err.Error(), `no key has the id "parent"`) {
		t.Errorf("by handle: %v", err)
	}
}

// A child's rights are the meet with every ancestor's, now.
func TestChildIsMetWithItsAncestors(t *testing.T) {
	h := newHouse(t)
	top := h.mint(h.op, keys.NewKey{Name: "top", Permissions: keys.Some([]string{"view:audit"}), PolicyPatch: full()}).Key
	leaf := h.mint(h.op, keys.NewKey{
		Name: "leaf", ParentKeyID: top.ID, Permissions: keys.Some([]string{"view:audit", "view:projects"}), PolicyPatch: full(),
	})
	p := h.login(leaf.Secret)
	if !p.Can("view:audit", h.clock.Now()) || p.Can("view:projects", h.clock.Now()) {
		t.Error("permissions are not the meet")
	}
	if !p.Grant().Unrestricted() {
		t.Error("restricted before")
	}
	if _, err := h.svc.UpdateKey(h.ctx, h.op, top.ID, keys.KeyPatch{PolicyPatch: keys.PolicyPatch{MCPReadOnly: keys.Some(true)}}); err != nil {
		t.Fatal(err)
	}
	if p = h.login(leaf.Secret); p.Grant().Unrestricted() {
		t.Error("the parent was narrowed, the child was not")
	}
}

// What is left open is taken from the maker, or from a nearer limit above it.
func TestOpenFieldsFitTheWholeChain(t *testing.T) {
	h := newHouse(t)
	allow := func(list ...string) keys.PolicyPatch {
		pp := full()
		pp.MCPAllowlistMode, pp.MCPToolAllowlist = keys.Some(policy.ModeAllow), keys.Some(list)
		return pp
	}
	may := keys.Some([]string{"manage:api-keys"})
	top := h.mint(h.op, keys.NewKey{Name: "top", Permissions: may, PolicyPatch: allow("a*", "b*")}).Key
	maker := h.as(keys.NewKey{Name: "maker", ParentKeyID: top.ID, Permissions: may, PolicyPatch: allow("a*")})
	k := h.mint(maker, keys.NewKey{Name: "child"}).Key
	if k.Policy.AllowlistMode != policy.ModeAllow || !slices.Equal(k.Policy.ToolAllowlist, []string{"a*"}) {
		t.Errorf("left open, under two lists: %+v", k.Policy)
	}
	narrow := keys.KeyPatch{PolicyPatch: keys.PolicyPatch{MCPPermissions: keys.Some(policy.Only("mcp:search"))}}
	if _, err := h.svc.UpdateKey(h.ctx, h.op, top.ID, narrow); err != nil {
		t.Fatal(err)
	}
	k = h.mint(maker, keys.NewKey{Name: "child"}).Key
	if !slices.Equal(k.Policy.Permissions.Values(), []string{"mcp:search"}) {
		t.Errorf("left open, under a parent that was narrowed: %+v", k.Policy)
	}
}

func TestParent(t *testing.T) {
	h := newHouse(t)
	maker := h.manager(keys.PolicyPatch{})
	own := h.mint(maker, keys.NewKey{Name: "own", ParentKeyID: maker.KeyID()}).Key
	below := h.mint(maker, keys.NewKey{Name: "below", ParentKeyID: own.ID}).Key
	covered := h.mint(h.op, keys.NewKey{Name: "covered"}).Key
	wide := h.mint(h.op, keys.NewKey{Name: "wide", PolicyPatch: full()}).Key
	other := h.otherTenant("elsewhere")
	foreign := h.mint(other, keys.NewKey{Name: "foreign"}).Key
	for name, c := range map[string]struct {
		parent          string
		denied, invalid bool
	}{
		"itself":         {parent: maker.KeyID()},
		"its child":      {parent: own.ID},
		"its grandchild": {parent: below.ID},
		"a covered key":  {parent: covered.ID},
		"a wider key":    {parent: wide.ID, denied: true},
		"another tenant": {parent: foreign.ID, invalid: true},
		"none there":     {parent: "nothing", invalid: true},
	} {
		err := errOf(h.svc.CreateKey(h.ctx, maker, keys.NewKey{Name: "child", ParentKeyID: c.parent}))
		if isDenied(err) != c.denied || isInvalid(err) != c.invalid || (err != nil) != (c.denied || c.invalid) {
			t.Errorf("%s: %v", name, err)
		}
		if err != nil && !slices.Equal(fieldsOf(err), []string{"parentKeyId"}) {
			t.Errorf("%s: fields %v", name, fieldsOf(err))
		}
	}
}

func (h *house) otherTenant(slug string) keys.Principal {
	h.t.Helper()
	if _, err := h.svc.CreateTenant(h.ctx, h.op, keys.NewTenant{Slug: slug, Name: slug}); err != nil {
		h.t.Fatal(err)
	}
	p, err := h.svc.Operator(h.ctx, slug)
	if err != nil {
		h.t.Fatal(err)
	}
	return p
}

// A manager may rotate and resume what is below it, even when that says more on
// paper than the manager has by now: the meet keeps it within.
func TestSubtreeStaysManageable(t *testing.T) {
	h := newHouse(t)
	maker := h.manager(keys.PolicyPatch{MCPPreset: keys.Some(policy.PresetStandard), MCPReadOnly: keys.Some(false)})
	child := h.mint(maker, keys.NewKey{
		Name: "child", ParentKeyID: maker.KeyID(),
		PolicyPatch: keys.PolicyPatch{MCPPreset: keys.Some(policy.PresetStandard), MCPReadOnly: keys.Some(false)},
	}).Key
	_, err := h.svc.UpdateKey(h.ctx, h.op, maker.KeyID(), keys.KeyPatch{PolicyPatch: keys.PolicyPatch{MCPReadOnly: keys.Some(true)}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.svc.RotateKey(h.ctx, maker, child.ID, keys.Rotation{}); err != nil {
		t.Errorf("rotate: %v", err)
	}
	for range 2 {
		if _, err := h.svc.ToggleKey(h.ctx, maker, child.ID, 0); err != nil {
			t.Errorf("toggle: %v", err)
		}
	}
	other := keys.KeyPatch{PolicyPatch: keys.PolicyPatch{MCPAllowlistMode: keys.Some(policy.ModeAll), MCPPreset: keys.Some(policy.PresetFullAccess)}}
	if _, err := h.svc.UpdateKey(h.ctx, maker, child.ID, other); !isDenied(err) {
		t.Errorf("widening on paper: %v", err)
	}
}

// TestNoKeyTakesOneAboveIt: with the secret of its parent, a key would go on after it
// was revoked itself.
func TestNoKeyTakesOneAboveIt(t *testing.T) {
	h := newHouse(t)
	may := keys.Some([]string{"manage:api-keys"})
	top := h.mint(h.op, keys.NewKey{Name: "top", Permissions: may})
	mid := h.mint(h.op, keys.NewKey{Name: "mid", ParentKeyID: top.Key.ID, Permissions: may})
	leaf := h.mint(h.op, keys.NewKey{Name: "leaf", ParentKeyID: mid.Key.ID, Permissions: may})
	for name, tt := range map[string]struct {
		by, of keys.Issued
		may    bool
	}{
		"its parent":      {leaf, mid, false},
		"its grandparent": {leaf, top, false},
		"itself":          {leaf, leaf, true},
		"its child":       {top, mid, true},
	} {
		if err := errOf(h.svc.RotateKey(h.ctx, h.login(tt.by.Secret), tt.of.Key.ID, keys.Rotation{Grace: time.Hour})); isDenied(err) == tt.may {
			t.Errorf("%s: %v", name, err)
		}
	}
}
