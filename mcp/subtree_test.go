package mcp_test

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/bailiwick-mcp/bailiwick/keys"
)

// mintChild has a key mint a key for a sub-agent, as agents do.
func (w *world) mintChild(k keys.Issued, arguments string) keys.Issued {
	w.t.Helper()
	made := into[keyView](w.connect(k, "/mcp"), "create_api_key", `{"reveal":true,"mcpReadOnly":false,"mcpPreset":"full_access","permissions":["*"],`+arguments+`}`)
	return keys.Issued{Key: keys.Key{ID: made.ID}, Secret: keys.Secret(made.Key)}
}

// TestSubtreeEnds: when a key ends, what runs for the keys below it ends too, and
// nothing of others.
func TestSubtreeEnds(t *testing.T) {
	ctx := context.Background()
	for name, c := range map[string]struct {
		status int // of the calls that run
		end    func(w *world, top keys.Issued) error
	}{
		"revoked": {http.StatusUnauthorized, func(w *world, top keys.Issued) error {
			_, err := w.svc.RevokeKey(ctx, w.op, top.Key.ID, keys.Revocation{})
			return err
		}},
		"expired": {http.StatusUnauthorized, func(w *world, _ keys.Issued) error { w.clock.Advance(30 * time.Minute); return nil }},
		"disabled": {http.StatusUnauthorized, func(w *world, top keys.Issued) error {
			_, err := w.svc.UpdateKey(ctx, w.op, top.Key.ID, keys.KeyPatch{Enabled: keys.Some(false)})
			return err
		}},
		"paused": {http.StatusForbidden, func(w *world, top keys.Issued) error {
			_, err := w.svc.UpdateKey(ctx, w.op, top.Key.ID, keys.KeyPatch{PolicyPatch: keys.PolicyPatch{MCPActive: keys.Some(false)}})
			return err
		}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			up := newUpstream(t, tool("wait", "r"))
			w.mount("a1", up)
			started, ended := make(chan struct{}, 2), make(chan struct{}, 2)
			up.on("wait", func(c fakeCall) string {
				started <- struct{}{}
				<-c.done
				ended <- struct{}{}
				return `{"content":[]}`
			})
			top, other := w.key(func(n *keys.NewKey) {
				if name == "expired" {
					soon := w.clock.Now().Add(30 * time.Minute)
					n.ExpiresAt = &soon
				}
			}), w.key()
			child := w.mintChild(top, `"name":"child"`)
			grandchild := w.mintChild(child, `"name":"grandchild"`)
			if name == "expired" { // ones that end by nothing but the first key's expiry
				later := w.clock.Now().Add(9 * time.Hour)
				below := func(n *keys.NewKey) { n.ParentKeyID, n.ExpiresAt = top.Key.ID, &later }
				child = w.key(below)
				grandchild = w.key(below, func(n *keys.NewKey) { n.ParentKeyID = child.Key.ID })
			}
			stays := w.stream(http.MethodGet, "/mcp", "", w.connect(other, "/mcp").headers...)
			var streams []*events
			got := make(chan answer, 2)
			for _, k := range []keys.Issued{child, grandchild} {
				session := w.connect(k, "/mcp")
				streams = append(streams, w.stream(http.MethodGet, "/mcp", "", session.headers...), w.listen(k), w.stream(http.MethodGet, "/sse", "", auth(k)...))
				go func() { got <- session.call("a1__wait", `{}`) }()
				<-started
			}
			must(t, c.end(w, top))
			for _, e := range streams {
				e.cut()
			}
			for range 2 {
				<-ended
				if a := <-got; a.status != c.status {
					t.Errorf("a running call: %d %s", a.status, a.body)
				}
			}
			for _, k := range []keys.Issued{top, child, grandchild} {
				if a := w.modern(k, "/mcp", "tools/list", ""); a.status != c.status {
					t.Errorf("afterwards: %d %s", a.status, a.body)
				}
			}
			stays.quiet("another key's stream")
		})
	}
}
