package mcp_test

import (
	"strings"
	"testing"
)

// TestApprovedCallHasNoMeta: a person approves arguments. What a client puts beside
// them, and may put there only once the call is approved, nobody has seen; a server
// may go by it.
func TestApprovedCallHasNoMeta(t *testing.T) {
	h := newHeldWorld(t, hasty)
	c := h.connect(h.k, "/mcp")
	call := func(tool, meta string) answer {
		return c.send(request(1, "tools/call", `"name":"a1__`+tool+`","arguments":{"id":7}`+meta))
	}
	const force = `,"_meta":{"example.com/force":true,"traceparent":"00-x"}`
	passed(t, call("read_x", force))
	if seen := h.up.seen(); !strings.Contains(string(seen[0].Meta), "force") {
		t.Errorf("a call that needs no approval lost its _meta: %s", seen[0].Meta)
	}
	_, id := held(t, call("drop_x", ""), "pending")
	h.decided(id, true, "")
	passed(t, call("drop_x", force))
	if seen := h.up.seen(); len(seen) != 2 || strings.Contains(string(seen[1].Meta), "force") {
		t.Errorf("the tool got what nobody has approved: %s", seen[len(seen)-1].Meta)
	}
}
