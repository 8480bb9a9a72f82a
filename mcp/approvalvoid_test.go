package mcp_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/policy"
)

// TestHeldCallIsVoid: an edit of the key, and another definition of the tool, take an
// approval away, before it was used and while its call waits.
func TestHeldCallIsVoid(t *testing.T) {
	edit := func(h *heldWorld, patch keys.KeyPatch) {
		t.Helper()
		_, err := h.svc.UpdateKey(context.Background(), h.op, h.k.Key.ID, patch)
		must(t, err)
	}
	for name, change := range map[string]func(h *heldWorld){
		"the key":      func(h *heldWorld) { edit(h, keys.KeyPatch{Description: keys.Some("x")}) },
		"its secret":   func(h *heldWorld) { h.rotate() },
		"the tool":     func(h *heldWorld) { h.redefine() },
		"back and fro": func(h *heldWorld) { h.toggle(); h.toggle() },
	} {
		t.Run(name, func(t *testing.T) {
			h := newHeldWorld(t, hasty)
			_, id := held(t, h.modern(h.k, "/mcp", "tools/call", dropX), "pending")
			h.decided(id, true, "")
			change(h)
			if _, next := held(t, h.modern(h.k, "/mcp", "tools/call", dropX), "pending"); next == id || h.dropped() != 0 {
				t.Error("an approval outlived the edit")
			}
		})
	}
	t.Run("while it waits", func(t *testing.T) {
		h := newHeldWorld(t, patient)
		c := later(func() answer { return h.modern(h.k, "/mcp", "tools/call", dropX) })
		first := h.waits()
		edit(h, keys.KeyPatch{Description: keys.Some("x")})
		h.until("it is asked again", func() bool { return len(h.listed(keys.ApprovalPending)) == 2 })
		h.decided(first.ID, true, "")
		next := h.waits()
		if h.dropped() != 0 {
			t.Fatal("the old approval let it through")
		}
		h.decided(next.ID, true, "")
		passed(t, h.comes(c))
	})
	t.Run("the rule is gone", func(t *testing.T) {
		h := newHeldWorld(t, patient)
		c := later(func() answer { return h.modern(h.k, "/mcp", "tools/call", dropX) })
		h.waits()
		edit(h, keys.KeyPatch{PolicyPatch: keys.PolicyPatch{MCPApprovals: keys.Some([]policy.ApprovalRule{})}})
		passed(t, h.comes(c))
	})
	t.Run("the tool is not the key's any more", func(t *testing.T) {
		h := newHeldWorld(t, patient)
		c := later(func() answer { return h.modern(h.k, "/mcp", "tools/call", dropX) })
		h.waits()
		edit(h, keys.KeyPatch{PolicyPatch: keys.PolicyPatch{MCPReadOnly: keys.Some(true)}})
		if a := h.comes(c); !strings.Contains(a.body, "Unknown tool") || h.dropped() != 0 {
			t.Errorf("%d %s", a.status, a.body)
		}
	})
	t.Run("the key is revoked", func(t *testing.T) {
		h := newHeldWorld(t, patient)
		c := later(func() answer { return h.modern(h.k, "/mcp", "tools/call", dropX) })
		h.waits()
		_, err := h.svc.RevokeKey(context.Background(), h.op, h.k.Key.ID, keys.Revocation{})
		must(t, err)
		if a := h.comes(c); a.status != 401 || h.dropped() != 0 {
			t.Errorf("%d %s", a.status, a.body)
		}
	})
}

func (h *heldWorld) toggle() {
	h.t.Helper()
	_, err := h.svc.ToggleKey(context.Background(), h.op, h.k.Key.ID, 0)
	must(h.t, err)
}

func (h *heldWorld) rotate() {
	h.t.Helper()
	issued, err := h.svc.RotateKey(context.Background(), h.op, h.k.Key.ID, keys.Rotation{})
	must(h.t, err)
	h.k = issued
}

// redefine changes the tool, and approves what it is now.
func (h *heldWorld) redefine() {
	h.t.Helper()
	i := h.instance("a1")
	h.up.setTools(tool("read_x", "r"), strings.Replace(tool("drop_x", "d"), `"d"`, `"more"`, 1))
	h.quarantined(i, "drop_x", true)
	h.approve(i, "drop_x")
	h.quarantined(i, "drop_x", false)
}

// TestHeldCallExpires: nobody answers in time.
func TestHeldCallExpires(t *testing.T) {
	h := newHeldWorld(t, patient)
	c := later(func() answer { return h.modern(h.k, "/mcp", "tools/call", dropX) })
	a := h.waits()
	h.clock.Advance(10 * time.Minute)
	if _, id := held(t, h.comes(c), "expired"); id != a.ID {
		t.Error("another approval expired")
	}
	if _, err := h.svc.DecideCall(t.Context(), h.op, a.ID, keys.ApprovalDecision{Approve: true}); err == nil {
		t.Error("an expired approval was given")
	}
	if list := h.listed(keys.ApprovalExpired); len(list) != 1 || h.dropped() != 0 {
		t.Errorf("expired: %+v", list)
	}
}

// TestHeldCallStaysDenied: the same call is refused until then, without another question.
func TestHeldCallStaysDenied(t *testing.T) {
	h := newHeldWorld(t, hasty)
	_, id := held(t, h.modern(h.k, "/mcp", "tools/call", dropX), "pending")
	h.decided(id, false, "")
	for range 2 {
		if _, again := held(t, h.modern(h.k, "/mcp", "tools/call", dropX), "denied"); again != id {
			t.Error("a denied call asks again")
		}
	}
	h.clock.Advance(10 * time.Minute)
	if _, next := held(t, h.modern(h.k, "/mcp", "tools/call", dropX), "pending"); next == id {
		t.Error("a denial lasts for ever")
	}
}
