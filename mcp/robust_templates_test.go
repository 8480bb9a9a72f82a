package mcp_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/policy"
)

// TestCostlyTemplatesAreTheirOwn: an upstream whose templates make each decision as
// costly as may be has only its own tenant wait while subscriptions are decided anew.
func TestCostlyTemplatesAreTheirOwn(t *testing.T) {
	w := newWorld(t)
	more := others{resources: []string{resource("x:r")}}
	for i := range 200 {
		more.templates = append(more.templates, template(fmt.Sprintf("x:%s%dz", strings.Repeat("{a}{b}", 40), i)))
	}
	up := newUpstream(t).with(more)
	up.subscribes = true
	w.mount("a1", up)
	other := w.tenant("other")
	bystander := newUpstream(t, tool("t", "r"))
	w.mountAs(other, "o1", bystander)
	heard := w.listen(w.keyAs(other))
	var uris []string
	for i := range 30 {
		uris = append(uris, fmt.Sprintf("x:%d%s", i, strings.Repeat("q", 1000)))
	}
	k, last := w.key(), uris[25]
	w.watch("legacy", k, "/mcp", uris...)
	w.until("all are asked for", func() bool { return len(up.wanted()) == len(uris) })
	_, err := w.svc.UpdateKey(t.Context(), w.op, k.Key.ID, keys.KeyPatch{PolicyPatch: keys.PolicyPatch{
		MCPAllowlistMode: keys.Some(policy.ModeDeny), MCPToolAllowlist: keys.Some([]string{"*/x:25*"})}})
	must(t, err)
	bystander.setTools(tool("u", "r"))
	heard.next()
	if !slices.Contains(up.wanted(), last) {
		t.Error("another tenant was told of its change after all subscriptions were decided")
	}
	w.until("what is denied is ended", func() bool { return !slices.Contains(up.wanted(), last) })
}
