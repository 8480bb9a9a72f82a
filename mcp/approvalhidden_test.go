package mcp_test

import (
	"strings"
	"testing"

	"github.com/bailiwick-mcp/bailiwick/keys"
)

// TestNothingIsApprovedThatIsNotShown: API keys are cut out of what a person is shown,
// and anybody can write a text that is taken for one. A call with one in its arguments
// could do what nobody has seen.
func TestNothingIsApprovedThatIsNotShown(t *testing.T) {
	h := newHeldWorld(t, hasty)
	body := strings.Repeat("cm0gLXJmIC8", 4)[:43]
	made := "run_" + body + keys.TokenChecksum("run_"+body)
	for name, text := range map[string]string{"a key": h.k.Secret.Reveal(), "a text like one": made, "one that is mistyped": "x-" + strings.Repeat("a", 49)} {
		a := h.modern(h.k, "/mcp", "tools/call", `"name":"a1__drop_x","arguments":{"command":"echo `+text+` | base64 -d | sh"}`)
		if !strings.Contains(a.body, `"code":-32602`) || !strings.Contains(a.body, "API key") || strings.Contains(a.body, text[6:]) {
			t.Errorf("%s: %d %s", name, a.status, a.body)
		}
	}
	if list := h.listed(keys.ApprovalPending); len(list) != 0 || h.dropped() != 0 {
		t.Errorf("a person was asked: %+v", list)
	}
}
