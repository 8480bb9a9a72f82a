package mcp_test

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/mcp"
	"github.com/bailiwick-mcp/bailiwick/policy"
)

// TestListenToManyIsBounded: one request may name a thousand uris, and each of them may
// cost as much as an instance's templates make it. When the time is over in which the
// client is acknowledged, no more of them is decided, and none is granted.
func TestListenToManyIsBounded(t *testing.T) {
	w := newWorld(t)
	up := newUpstream(t).with(others{resources: []string{resource("x:r")}})
	up.subscribes = true
	w.mount("a1", up)
	uris := []string{"x:r"}
	for i := range 99 {
		uris = append(uris, fmt.Sprintf("x:nothing%d", i))
	}
	k := w.key(func(n *keys.NewKey) {
		n.MCPAllowlistMode, n.MCPToolAllowlist = keys.Some(policy.ModeDeny), keys.Some([]string{"*/x:nothing*"})
	})
	over, end := context.WithCancel(t.Context())
	end()
	if granted := mcp.ListenTo(over, w.gw, w.principalOf(k), uris); len(granted) != 0 {
		t.Errorf("too late, granted %v", granted)
	}
	if granted := mcp.ListenTo(t.Context(), w.gw, w.principalOf(k), uris); !slices.Equal(granted, uris[:1]) {
		t.Errorf("in time, granted %v", granted)
	}
	var denied []keys.AuditEntry // what was too late comes before what was not
	w.until("what was decided is recorded", func() bool {
		var err error
		denied, err = w.svc.AuditEvents(t.Context(), w.op, keys.AuditQuery{KeyID: k.Key.ID, Decision: "deny", Limit: 200})
		return err == nil && len(denied) >= 99
	})
	if len(denied) != 99 {
		t.Errorf("%d uris were denied, want 99", len(denied))
	}
}
