package mcp_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/policy"
)

// TestListenToManyIsBounded: one request may name a thousand uris, and each of them may
// cost as much as an instance's templates make it. What can't be decided in the time
// that the client is acknowledged in is not granted.
func TestListenToManyIsBounded(t *testing.T) {
	w := newWorld(t)
	more := others{resources: []string{resource("x:r")}}
	for i := range 200 {
		more.templates = append(more.templates, template(fmt.Sprintf("x:%s%dz", strings.Repeat("{a}{b}", 40), i)))
	}
	up := newUpstream(t).with(more)
	up.subscribes = true
	w.mount("a1", up)
	var uris []string
	for i := range 1000 {
		uris = append(uris, fmt.Sprintf("x:%d%s", i, strings.Repeat("q", 1500)))
	}
	k := w.key(func(n *keys.NewKey) {
		n.MCPAllowlistMode, n.MCPToolAllowlist = keys.Some(policy.ModeDeny), keys.Some([]string{"*/x:*q"})
	})
	begun := time.Now()
	_, granted := w.watch("modern", k, "/mcp", uris...)
	if took := time.Since(begun); took > 8*time.Second || len(granted) > 0 {
		t.Errorf("it was acknowledged after %v, of %d", took, len(granted))
	}
}
