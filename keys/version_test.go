package keys_test

import (
	"errors"
	"testing"

	"github.com/bailiwick-mcp/bailiwick/keys"
)

// Each edit of a key can be held to the version that was seen.
func TestIfVersion(t *testing.T) {
	h := newHouse(t)
	k := h.mint(h.op, keys.NewKey{Name: "k"}).Key
	edits := map[string]func(version int64) (keys.Key, error){
		"update": func(v int64) (keys.Key, error) {
			return h.svc.UpdateKey(h.ctx, h.op, k.ID, keys.KeyPatch{Name: keys.Some("n"), IfVersion: v})
		},
		"toggle": func(v int64) (keys.Key, error) { return h.svc.ToggleKey(h.ctx, h.op, k.ID, v) },
		"rotate": func(v int64) (keys.Key, error) {
			issued, err := h.svc.RotateKey(h.ctx, h.op, k.ID, keys.Rotation{IfVersion: v})
			return issued.Key, err
		},
		"revoke": func(v int64) (keys.Key, error) {
			return h.svc.RevokeKey(h.ctx, h.op, k.ID, keys.Revocation{IfVersion: v})
		},
		"revoke any": func(v int64) (keys.Key, error) {
			return h.svc.RevokeAnyKey(h.ctx, h.first, k.ID, keys.Revocation{IfVersion: v})
		},
	}
	seen := k.Version
	for _, name := range []string{"update", "toggle", "rotate"} {
		for _, stale := range []int64{seen - 1, seen + 1, -1} {
			if _, err := edits[name](stale); !errors.Is(err, keys.ErrVersion) {
				t.Errorf("%s of version %d at %d: %v", name, stale, seen, err)
			}
		}
		got, err := edits[name](seen)
		if err != nil || got.Version != seen+1 {
			t.Fatalf("%s: version %d after %d, %v", name, got.Version, seen, err)
		}
		seen = got.Version
	}
	for _, name := range []string{"revoke", "revoke any"} {
		if _, err := edits[name](k.Version); !errors.Is(err, keys.ErrVersion) {
			t.Errorf("%s of an old version: %v", name, err)
		}
	}
	if h.epoch() != seen {
		t.Errorf("epoch %d, want %d", h.epoch(), seen)
	}
	revoked, err := edits["revoke"](seen)
	if err != nil || revoked.RevokedAt == nil {
		t.Fatalf("%+v, %v", revoked, err)
	}
	for name, edit := range edits {
		got, err := edit(seen) // the version before the revocation
		if again := name == "revoke" || name == "revoke any"; again && (err != nil || got.Version != revoked.Version) {
			t.Errorf("%s again: %+v, %v", name, got, err)
		} else if !again && !errors.Is(err, keys.ErrVersion) {
			t.Errorf("%s once revoked: %v", name, err)
		}
	}
}
