package keys_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/policy"
)

func TestRotate(t *testing.T) {
	h := newHouse(t)
	at := h.clock.Now().Add(time.Hour)
	first := h.mint(h.op, keys.NewKey{Name: "k", ExpiresAt: &at})
	rotate := func(grace time.Duration) keys.Issued {
		t.Helper()
		issued, err := h.svc.RotateKey(h.ctx, h.op, first.Key.ID, keys.Rotation{Grace: grace})
		if err != nil {
			t.Fatal(err)
		}
		return issued
	}
	works := func(name string, want bool, token keys.Secret) {
		t.Helper()
		for _, svc := range []*keys.Service{h.svc, h.service()} { // from the cache and from the store
			if _, err := svc.Authenticate(h.ctx, token); errors.Is(err, keys.ErrBadCredential) == want {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	h.login(first.Secret)
	second := rotate(10 * time.Minute)
	if second.Key.ID != first.Key.ID || second.Key.Handle != first.Key.Handle || second.Key.Version <= first.Key.Version ||
		second.Key.Prefix == first.Key.Prefix || !strings.HasPrefix(second.Secret.Reveal(), second.Key.Prefix) {
		t.Errorf("rotated: %+v", second.Key)
	}
	works("old, in its grace", true, first.Secret)
	works("new", true, second.Secret)
	h.clock.Advance(10*time.Minute - time.Microsecond)
	works("old, just before its end", true, first.Secret)
	h.clock.Advance(time.Microsecond)
	works("old, at its end", false, first.Secret)
	works("new, then", true, second.Secret)

	third := rotate(time.Minute)
	fourth := rotate(time.Minute)
	works("the one before the last", true, third.Secret)
	works("two before the last", false, second.Secret)
	fifth := rotate(0)
	works("without grace", false, fourth.Secret)
	rotate(24 * time.Hour) // longer than the key lives
	err := h.store.Memory.Read(h.ctx, func(r keys.Reader) error {
		secrets, err := r.Secrets(h.ctx, h.op.TenantID(), first.Key.ID)
		ending := slices.DeleteFunc(slices.Clone(secrets), func(k keys.KeySecret) bool { return k.ExpiresAt == nil })
		if err == nil && (len(secrets) != 2 || len(ending) != 1 || !ending[0].ExpiresAt.Equal(at)) {
			t.Errorf("secrets %+v", secrets)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	h.clock.Advance(50 * time.Minute)
	works("after the key's expiry", false, fifth.Secret)
	if _, err := h.svc.RotateKey(h.ctx, h.op, first.Key.ID, keys.Rotation{}); !isConflict(err) {
		t.Errorf("rotating an expired key: %v", err)
	}
	for _, grace := range []time.Duration{-1, 31 * 24 * time.Hour} {
		if err := errOf(h.svc.RotateKey(h.ctx, h.op, first.Key.ID, keys.Rotation{Grace: grace})); !slices.Equal(fieldsOf(err), []string{"graceSeconds"}) {
			t.Errorf("grace %v: %v", grace, err)
		}
	}
}

func TestRevoke(t *testing.T) {
	h := newHouse(t)
	k := h.mint(h.op, keys.NewKey{Name: "k"})
	h.login(k.Secret)
	revoked, err := h.svc.RevokeKey(h.ctx, h.op, k.Key.ID, keys.Revocation{Reason: "left the team"})
	if err != nil || revoked.RevokedAt == nil || revoked.RevokedBy != "operator" || revoked.RevokeReason != "left the team" {
		t.Fatalf("%+v, %v", revoked, err)
	}
	if _, err := h.svc.Authenticate(h.ctx, k.Secret); !errors.Is(err, keys.ErrBadCredential) {
		t.Error(err)
	}
	epoch := h.epoch()
	h.clock.Advance(time.Minute)
	again, err := h.svc.RevokeKey(h.ctx, h.op, k.Key.ID, keys.Revocation{Reason: "again"})
	if err != nil || again.RevokeReason != "left the team" || h.epoch() != epoch {
		t.Errorf("again: %+v, %v", again, err)
	}
	for name, err := range map[string]error{
		"update": errOf(h.svc.UpdateKey(h.ctx, h.op, k.Key.ID, keys.KeyPatch{Name: keys.Some("x")})),
		"toggle": errOf(h.svc.ToggleKey(h.ctx, h.op, k.Key.ID, 0)),
		"rotate": errOf(h.svc.RotateKey(h.ctx, h.op, k.Key.ID, keys.Rotation{})),
	} {
		if !isConflict(err) {
			t.Errorf("%s a revoked key: %v", name, err)
		}
	}
	if _, err := h.svc.RevokeKey(h.ctx, h.op, k.Key.ID, keys.Revocation{Once: true}); !errors.Is(err, keys.ErrRevoked) {
		t.Errorf("once, when it is already: %v", err)
	}
	next := h.mint(h.op, keys.NewKey{Name: "k", Handle: k.Key.Handle}).Key
	if next.Handle != k.Key.Handle {
		t.Error("the handle is not free again")
	}
	events, err := h.svc.AuditEvents(h.ctx, h.op, keys.AuditQuery{Kind: "change", Limit: 10})
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(events, func(e keys.AuditEntry) bool { return e.Action == "key.revoke" })
	if i < 0 || events[i].Subject != k.Key.ID || !strings.Contains(string(events[i].Detail), "left the team") {
		t.Errorf("audit: %+v", events)
	}
}

func TestExpiry(t *testing.T) {
	h := newHouse(t)
	at := h.clock.Now().Add(time.Hour)
	k := h.mint(h.op, keys.NewKey{Name: "k", ExpiresAt: &at, Permissions: keys.Some([]string{"view:presets"})})
	p := h.login(k.Secret)
	h.clock.Advance(time.Hour - time.Nanosecond)
	h.login(k.Secret)
	h.clock.Advance(time.Nanosecond)
	if _, err := h.svc.Authenticate(h.ctx, k.Secret); !errors.Is(err, keys.ErrBadCredential) {
		t.Errorf("from the cache: %v", err)
	}
	if err := errOf(h.svc.Presets(h.ctx, p)); !errors.Is(err, keys.ErrBadCredential) {
		t.Errorf("an expired principal reads: %v", err)
	}
	for _, past := range []time.Time{h.clock.Now(), h.clock.Now().Add(-time.Second), {}} {
		if err := errOf(h.svc.CreateKey(h.ctx, h.op, keys.NewKey{Name: "x", ExpiresAt: &past})); !slices.Equal(fieldsOf(err), []string{"expiresAt"}) {
			t.Errorf("expiring %v: %v", past, err)
		}
	}
}

func TestToggleIsOneFlip(t *testing.T) {
	h := newHouse(t)
	k := h.mint(h.op, keys.NewKey{Name: "k"}).Key
	var wg sync.WaitGroup
	for range 33 {
		wg.Go(func() {
			if _, err := h.svc.ToggleKey(h.ctx, h.op, k.ID, 0); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if got, err := h.svc.Key(h.ctx, h.op, k.ID); err != nil || got.Policy.Active {
		t.Errorf("after 33 flips active = %v, %v", got.Policy.Active, err)
	}
}

func TestHandles(t *testing.T) {
	h := newHouse(t)
	for _, c := range []struct{ name, want string }{
		{"Across Shapes!", "across-shapes"}, {"Across Shapes!", "across-shapes-2"}, {"across  shapes", "across-shapes-3"},
		{"v1.2_beta", "v1.2_beta"}, {"ключ", "key"}, {"..", "key-2"}, {"-- a --", "a"}, {strings.Repeat("x", 200), strings.Repeat("x", 59)},
	} {
		if got := h.mint(h.op, keys.NewKey{Name: c.name}).Key.Handle; got != c.want {
			t.Errorf("%q got the handle %q, want %q", c.name, got, c.want)
		}
	}
	for _, bad := range []string{".", "..", "a b", "ü", "a/b", strings.Repeat("a", 65)} {
		if err := errOf(h.svc.CreateKey(h.ctx, h.op, keys.NewKey{Name: "x", Handle: bad})); !slices.Equal(fieldsOf(err), []string{"handle"}) {
			t.Errorf("handle %q: %v", bad, err)
		}
	}
	if k, err := h.svc.FindKey(h.ctx, h.op, "across-shapes-2"); err != nil || k.Name != "Across Shapes!" {
		t.Errorf("by handle: %+v, %v", k, err)
	}
	if _, err := h.svc.Key(h.ctx, h.op, "across-shapes-2"); !errors.Is(err, keys.ErrNotFound) {
		t.Errorf("a handle in place of an id: %v", err)
	}
	h.keyNamed()
	// Several at once: one gets the handle, the others a conflict.
	var won, lost int
	var mu sync.Mutex
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			_, err := h.svc.CreateKey(h.ctx, h.op, keys.NewKey{Name: "x", Handle: "wanted"})
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				won++
			} else if isConflict(err) {
				lost++
			}
		})
	}
	wg.Wait()
	if won != 1 || lost != 7 {
		t.Errorf("%d won, %d lost", won, lost)
	}
}

// keyNamed finds keys by handle alone, and only those whose handle is taken.
func (h *house) keyNamed() {
	h.t.Helper()
	soon := h.clock.Now().Add(time.Minute)
	expired := h.mint(h.op, keys.NewKey{Name: "named", ExpiresAt: &soon}).Key
	h.clock.Advance(time.Hour)
	for _, write := range []bool{false, true} {
		if k, err := h.svc.KeyNamed(h.ctx, h.op, "named", write); err != nil || k.ID != expired.ID {
			h.t.Errorf("an expired key: %+v, %v", k, err)
		}
		for _, nothing := range []string{expired.ID, "Named", "", "nobody"} {
			if _, err := h.svc.KeyNamed(h.ctx, h.op, nothing, write); !errors.Is(err, keys.ErrNotFound) {
				h.t.Errorf("%q: %v", nothing, err)
			}
		}
	}
	if _, err := h.svc.RevokeKey(h.ctx, h.op, expired.ID, keys.Revocation{}); err != nil {
		h.t.Fatal(err)
	}
	if _, err := h.svc.KeyNamed(h.ctx, h.op, "named", false); !errors.Is(err, keys.ErrNotFound) {
		h.t.Errorf("a revoked key: %v", err)
	}
	if err := errOf(h.svc.UpdateKey(h.ctx, h.op, expired.ID, keys.KeyPatch{})); !errors.Is(err, keys.ErrRevoked) || !isConflict(err) {
		h.t.Errorf("an update of a revoked key: %v", err)
	}
}

func TestInvalidKeys(t *testing.T) {
	h := newHouse(t)
	bad := keys.NewKey{
		Name: "a\x00b", Description: strings.Repeat("d", 3000), Tags: []string{""}, Handle: "..", Source: "moon",
		Scope: keys.Some(policy.Scope("root")), Permissions: keys.Some([]string{"manage:everything"}), ProjectID: "none",
		ParentKeyID: "none", PolicyPatch: keys.PolicyPatch{
			MCPPreset: keys.Some("unheard"), MCPAllowlistMode: keys.Some(policy.Mode("some")),
			MCPToolAllowlist: keys.Some([]string{"a?"}), MCPPermissions: keys.Some(policy.Only("search")),
			MCPProjectIDs: keys.Some(policy.Only("none")), MCPInstanceIDs: keys.Some(policy.Only("none")),
		},
	}
	want := []string{
		"description", "handle", "mcpAllowlistMode", "mcpInstanceIds", "mcpPermissions", "mcpPreset", "mcpProjectIds",
		"mcpToolAllowlist", "name", "parentKeyId", "permissions", "projectId", "scope", "source", "tags",
	}
	before := h.epoch()
	err := errOf(h.svc.CreateKey(h.ctx, h.op, bad))
	got := fieldsOf(err)
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("fields %v, want %v (%v)", got, want, err)
	}
	if err := errOf(h.svc.UpdateKey(h.ctx, h.op, h.first.KeyID(), keys.KeyPatch{Name: keys.Null[string](), PolicyPatch: bad.PolicyPatch})); !isInvalid(err) {
		t.Error(err)
	}
	if h.epoch() != before {
		t.Error("something was written")
	}
}

func TestUpdateKey(t *testing.T) {
	h := newHouse(t)
	one := h.project("one")
	k := h.mint(h.op, keys.NewKey{Name: "k", PolicyPatch: keys.PolicyPatch{MCPProjectIDs: keys.Some(policy.Only(one.ID))}}).Key
	if err := h.svc.DeleteProject(h.ctx, h.op, one.ID); err != nil {
		t.Fatal(err)
	}
	was, err := h.svc.Key(h.ctx, h.op, k.ID)
	if err != nil || was.Policy.ProjectIDs.IsUnlimited() {
		t.Fatalf("the list is gone with its last project: %+v, %v", was, err)
	}
	same := keys.KeyPatch{PolicyPatch: keys.PolicyPatch{MCPProjectIDs: keys.Some(was.Policy.ProjectIDs)}, IfVersion: was.Version}
	got, err := h.svc.UpdateKey(h.ctx, h.op, k.ID, same)
	if err != nil || got.Version != was.Version {
		t.Errorf("an id that is on the key is refused or written again: %v", err)
	}
	got, err = h.svc.UpdateKey(h.ctx, h.op, k.ID, keys.KeyPatch{
		Name: keys.Some("new"), PolicyPatch: keys.PolicyPatch{MCPProjectIDs: keys.Null[policy.Limit](), MCPPreset: keys.Null[string]()},
		IfVersion: was.Version,
	})
	if err != nil || got.Name != "new" || !got.Policy.ProjectIDs.IsUnlimited() || got.Policy.Preset != policy.PresetReadOnly ||
		got.Version != h.epoch() || got.Handle != k.Handle {
		t.Errorf("%+v, %v", got, err)
	}
	if _, err := h.svc.UpdateKey(h.ctx, h.op, k.ID, keys.KeyPatch{IfVersion: was.Version}); !errors.Is(err, keys.ErrVersion) {
		t.Errorf("an old version: %v", err)
	}
	other := h.otherTenant("elsewhere")
	if _, err := h.svc.UpdateKey(h.ctx, other, k.ID, keys.KeyPatch{}); !errors.Is(err, keys.ErrNotFound) {
		t.Errorf("another tenant's key: %v", err)
	}
}

// A fault of each entry of a long list would be an answer many times as long.
func TestTooManyEntriesAreOneFault(t *testing.T) {
	h := newHouse(t)
	var many []string
	for i := range 1001 {
		many = append(many, fmt.Sprintf("\x01%d", i))
	}
	stdio := keys.InstanceSpec{Slug: keys.Some("s"), Transport: keys.Some(keys.TransportStdio), Command: keys.Some("server"), Args: keys.Some(append(many, "\x00", "\x00"))}
	for field, err := range map[string]error{
		"permissions": errOf(h.svc.CreateKey(h.ctx, h.op, keys.NewKey{Name: "k", Permissions: keys.Some(many)})),
		"tags":        errOf(h.svc.CreateKey(h.ctx, h.op, keys.NewKey{Name: "k", Tags: many})),
		"args":        errOf(h.svc.CreateInstance(h.ctx, h.op, stdio)),
	} {
		var invalid *keys.InvalidError
		if !errors.As(err, &invalid) || len(invalid.Fields) != 1 || invalid.Fields[0].Field != field {
			t.Errorf("%s: %v", field, err)
		}
	}
}
