package mcp_test

import (
	"strings"
	"testing"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/policy"
)

// TestUnapproved: no call that a person must approve reaches its upstream; its tool
// is listed, and others are not touched.
func TestUnapproved(t *testing.T) {
	w := newWorld(t)
	up := newUpstream(t, tool("read", "r"), tool("drop", "d"))
	w.mount("a1", up)
	k := w.key(func(n *keys.NewKey) {
		n.MCPApprovals = keys.Some([]policy.ApprovalRule{{Tool: "*", Effect: policy.EffectDestructive}})
	})
	s := w.connect(k, "/mcp")
	if a := s.call("a1__drop", `{}`); !strings.Contains(a.body, `"code":-32030`) || len(up.seen()) != 0 {
		t.Errorf("%s, %d calls", a.body, len(up.seen()))
	}
	if a := w.modern(k, "/mcp", "tools/call", `"name":"a1__drop"`); !strings.Contains(a.body, `"code":-32030`) || len(up.seen()) != 0 {
		t.Errorf("%s, %d calls", a.body, len(up.seen()))
	}
	if a := s.call("a1__read", `{}`); !strings.Contains(a.body, `"result"`) {
		t.Errorf("%s", a.body)
	}
	if got := strings.Join(s.list(), " "); !strings.HasPrefix(got, "a1__drop a1__read ") {
		t.Errorf("listed: %s", got)
	}
}
