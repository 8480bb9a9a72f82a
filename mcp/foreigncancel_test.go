package mcp_test

import (
	"strings"
	"testing"
	"time"

	"github.com/bailiwick-mcp/bailiwick/keys"
)

// TestForeignCancelStateless: a call of 2026-07-28 has no session that would
// tell whose it is, and ids repeat between clients; so no cancelled of anybody
// ends it, and only its own connection does.
func TestForeignCancelStateless(t *testing.T) {
	w := newWorld(t)
	up := newUpstream(t, tool("wait", "r"))
	w.mount("a1", up)
	other := w.tenant("other")
	w.mountAs(other, "a1", newUpstream(t, tool("wait", "r")))
	victim, sameTenant, otherTenant := w.key(), w.key(), w.keyAs(other)
	const cancel = `{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1`
	stateless := func(k keys.Issued) answer {
		return w.post("/mcp", cancel+`,`+modernMeta+`}}`,
			append(auth(k), "Mcp-Protocol-Version", "2026-07-28", "Mcp-Method", "notifications/cancelled")...)
	}
	for name, foreign := range map[string]func() answer{
		"another key of the tenant":             func() answer { return stateless(sameTenant) },
		"another tenant":                        func() answer { return stateless(otherTenant) },
		"a session of another key":              func() answer { return w.connect(sameTenant, "/mcp").send(cancel + `}}`) },
		"a session of another tenant":           func() answer { return w.connect(otherTenant, "/mcp").send(cancel + `}}`) },
		"the same key, from another connection": func() answer { return stateless(victim) },
	} {
		t.Run(name, func(t *testing.T) {
			started, release := make(chan struct{}), make(chan struct{})
			ended := make(chan string, 1)
			up.on("wait", func(c fakeCall) string {
				close(started)
				select {
				case <-release:
					ended <- "released"
				case <-c.done:
					ended <- "canceled"
				}
				return `{"content":[]}`
			})
			got := make(chan answer, 1)
			go func() { got <- w.modern(victim, "/mcp", "tools/call", `"name":"a1__wait"`) }()
			<-started
			if a := foreign(); a.status != 202 || a.body != "" {
				t.Errorf("the notification: %d %s", a.status, a.body)
			}
			select {
			case a := <-got:
				t.Fatalf("ended by a foreign cancel: %+v", a)
			case <-time.After(50 * time.Millisecond):
			}
			close(release)
			if a := <-got; !strings.Contains(a.body, `"content":[]`) {
				t.Errorf("answered %d %s", a.status, a.body)
			}
			if how := <-ended; how != "released" {
				t.Errorf("at the upstream: %s", how)
			}
		})
	}
}
