package mcp_test

import (
	"runtime/debug"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/mcp"
	"github.com/bailiwick-mcp/bailiwick/policy"
)

// TestCallTakesTheLatestDecision: an edit between the two decisions about a
// call moves it to where the second one found the tool.
func TestCallTakesTheLatestDecision(t *testing.T) {
	var between atomic.Pointer[func()]
	w := newWorld(t, func(c *mcp.Config) {
		now := c.Now
		c.Now = func() time.Time {
			// The first decision about a call has its catalog by now.
			if strings.Contains(string(debug.Stack()), "mcp.(*Gateway).dispatch") {
				if edit := between.Swap(nil); edit != nil {
					(*edit)()
				}
			}
			return now()
		}
	})
	from, to := newUpstream(t, tool("x", "r")), newUpstream(t, tool("x", "r"))
	to.on("x", func(fakeCall) string { return `{"content":[{"type":"text","text":"moved"}]}` })
	i := w.mount("a1", from)
	k := w.key()
	edit := func() {
		_, err := w.svc.UpdateInstance(t.Context(), w.op, i.ID, keys.InstanceSpec{URL: keys.Some(to.server.URL)})
		if err != nil {
			t.Error(err)
		}
		for state := ""; state != "ready"; time.Sleep(time.Millisecond) {
			state, _ = w.gw.InstanceStatus(i.ID)
		}
	}
	between.Store(&edit)
	a := w.modern(k, "/mcp", "tools/call", `"name":"a1__x","arguments":{}`)
	if between.Load() != nil || !strings.Contains(a.body, "moved") {
		t.Errorf("answered %s", a.body)
	}
	if n := len(from.seen()); n != 0 {
		t.Errorf("the old address got %d calls", n)
	}
}

// TestFirstCallWaits: a call waits for the first attempt to reach its instance,
// and for no later one; one of an instance that is not the key's does not wait.
func TestFirstCallWaits(t *testing.T) {
	w := newWorld(t, func(c *mcp.Config) { c.ListWait = time.Hour })
	up := newUpstream(t, tool("x", "r"))
	release := make(chan struct{})
	up.hold(release)
	i, err := w.svc.CreateInstance(t.Context(), w.op, keys.InstanceSpec{Slug: keys.Some("a1"), Transport: keys.Some(keys.TransportHTTP),
		URL: keys.Some(up.server.URL), TrustAnnotations: keys.Some(true)})
	must(t, err)
	call := func(k keys.Issued, name string) <-chan string {
		got := make(chan string, 1)
		go func() { got <- w.modern(k, "/mcp", "tools/call", `"name":"`+name+`","arguments":{}`).body }()
		return got
	}
	known, other := w.key(), w.key(func(n *keys.NewKey) {
		n.MCPToolAllowlist, n.MCPAllowlistMode = keys.Some([]string{"b2/*"}), keys.Some(policy.ModeAllow)
	})
	for _, got := range []<-chan string{call(other, "a1__x"), call(known, "nope__x"), call(known, "x")} {
		select {
		case body := <-got:
			if !strings.Contains(body, "Unknown tool") {
				t.Error(body)
			}
		case <-time.After(5 * time.Second):
			t.Fatal("waits for what is not the key's")
		}
	}
	waiting, hidden := call(known, "a1__x"), call(known, "a1__nope")
	select {
	case body := <-waiting:
		t.Errorf("did not wait: %s", body)
	case body := <-hidden:
		t.Errorf("an unknown tool did not wait: %s", body)
	case <-time.After(50 * time.Millisecond):
	}
	close(release)
	if body := <-waiting; !strings.Contains(body, `"ok"`) {
		t.Error(body)
	}
	if body := <-hidden; !strings.Contains(body, "Unknown tool") {
		t.Error(body)
	}
	// Stored tools, after a restart: the first attempt is waited for as well.
	again := make(chan struct{})
	up.hold(again)
	s := w.second(func(c *mcp.Config) { c.ListWait = time.Hour })
	s.run()
	w.until("the instance is mounted", func() bool { st, _ := s.gw.InstanceStatus(i.ID); return st == "connecting" })
	got := make(chan string, 1)
	go func() { got <- s.modern(known, "/mcp", "tools/call", `"name":"a1__x","arguments":{}`).body }()
	select {
	case body := <-got:
		t.Errorf("did not wait: %s", body)
	case <-time.After(50 * time.Millisecond):
	}
	close(again)
	if body := <-got; !strings.Contains(body, `"ok"`) {
		t.Error(body)
	}
	up.server.CloseClientConnections()
	up.server.Close()
	if a := s.modern(known, "/mcp", "tools/call", `"name":"a1__x","arguments":{}`); !strings.Contains(a.body, "not reachable") {
		t.Error(a.body)
	}
}
