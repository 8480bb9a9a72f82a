package mcp_test

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/mcp"
	"github.com/bailiwick-mcp/bailiwick/policy"
)

// TestForeignSession holds that a session id is worth nothing to another key,
// of the same tenant or another, and looks like an unknown one.
func TestForeignSession(t *testing.T) {
	w := newWorld(t)
	mine := w.connect(w.key(), "/mcp")
	id := mine.headers[len(mine.headers)-1]
	for name, other := range map[string]keys.Issued{"same tenant": w.key(), "other tenant": w.keyAs(w.tenant("other"))} {
		for _, method := range []string{http.MethodPost, http.MethodGet, http.MethodDelete} {
			try := func(session string) string {
				a := w.do(method, "/mcp", strings.NewReader(`{"jsonrpc":"2.0","id":1,"method":"ping"}`),
					append(auth(other), "Content-Type", "application/json", "Mcp-Session-Id", session)...)
				if a.status != http.StatusNotFound {
					t.Errorf("%s, %s: %d %s", name, method, a.status, a.body)
				}
				return unnamed(a, session)
			}
			foreign := try(id)
			for _, unknown := range []string{"x", strings.Replace(id, ".", "", 1), id[:len(id)-1], "00000000-0000-4000-8000-000000000000" + id[strings.IndexByte(id, '.'):]} {
				if got := try(unknown); got != foreign {
					t.Errorf("%s, %s: foreign %s, unknown %s", name, method, foreign, got)
				}
			}
		}
	}
	if a := mine.send(`{"jsonrpc":"2.0","id":1,"method":"ping"}`); a.status != http.StatusOK {
		t.Errorf("the session was ended by another key: %d %s", a.status, a.body)
	}
	if a := w.do(http.MethodDelete, "/mcp", nil, mine.headers...); a.status != http.StatusOK {
		t.Errorf("own DELETE: %d", a.status)
	}
	if a := mine.send(`{"jsonrpc":"2.0","id":1,"method":"ping"}`); a.status != http.StatusNotFound {
		t.Errorf("after DELETE: %d", a.status)
	}
}

// TestForeignCancel holds that nobody cancels another's request: not in another
// session of the same key, not with another key, not from another tenant, not
// by the stateless era.
func TestForeignCancel(t *testing.T) {
	w := newWorld(t)
	up := newUpstream(t, tool("wait", "r"))
	w.mount("a1", up)
	other := w.tenant("other")
	w.mountAs(other, "a1", newUpstream(t, tool("wait", "r")))
	started, release := make(chan struct{}), make(chan struct{})
	ended := ""
	up.on("wait", func(c fakeCall) string {
		close(started)
		select {
		case <-release:
			ended = "released"
		case <-c.done:
			ended = "canceled"
		}
		return `{"content":[]}`
	})
	k := w.key()
	mine, sibling, foreign := w.connect(k, "/mcp"), w.connect(k, "/mcp"), w.connect(w.keyAs(other), "/mcp")
	got := make(chan answer, 1)
	go func() { got <- mine.call("a1__wait", `{}`) }()
	<-started
	const cancel = `{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}`
	sibling.send(cancel)
	foreign.send(cancel)
	w.modern(k, "/mcp", "notifications/cancelled", `"requestId":1`)
	w.post("/mcp", `{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1,`+modernMeta+`}}`,
		append(auth(k), "Mcp-Protocol-Version", "2026-07-28", "Mcp-Method", "notifications/cancelled")...)
	mine.send(`{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":2}}`)
	select {
	case a := <-got:
		t.Fatalf("ended by a foreign cancel: %+v", a)
	case <-time.After(50 * time.Millisecond):
	}
	close(release)
	if a := <-got; !strings.Contains(a.body, `"content":[]`) || ended != "released" {
		t.Errorf("%s: %+v", ended, a)
	}
}

func TestOwnCancel(t *testing.T) {
	w := newWorld(t)
	up := newUpstream(t, tool("wait", "r"))
	w.mount("a1", up)
	started, canceled := make(chan struct{}, 2), make(chan struct{}, 2)
	release := make(chan struct{})
	defer close(release)
	up.on("wait", func(c fakeCall) string {
		started <- struct{}{}
		select {
		case <-c.done:
			canceled <- struct{}{}
		case <-release:
		}
		return `{}`
	})
	k := w.key()
	c := w.connect(k, "/mcp")
	got := make(chan answer, 1)
	go func() { got <- c.call("a1__wait", `{}`) }()
	<-started
	c.send(`{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}`)
	if a := <-got; !strings.Contains(a.body, "canceled") {
		t.Errorf("%+v", a)
	}
	<-canceled

	// In 2026-07-28 closing the connection cancels.
	ctx, hangUp := context.WithCancel(t.Context())
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, w.http.URL+"/mcp",
		strings.NewReader(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a1__wait",`+modernMeta+`}}`))
	must(t, err)
	for h := range slices.Chunk(append(auth(k), "Content-Type", "application/json", "Mcp-Protocol-Version", "2026-07-28",
		"Mcp-Method", "tools/call", "Mcp-Name", "a1__wait"), 2) {
		req.Header.Set(h[0], h[1])
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		if res, err := w.client.Do(req); err == nil {
			_ = res.Body.Close()
		}
	})
	<-started
	hangUp()
	wg.Wait()
	select {
	case <-canceled:
	case <-time.After(10 * time.Second):
		t.Error("the call goes on without a client")
	}
}

// TestLostConnection: nobody could fetch the answer of a call whose connection
// went away, for streams are not resumable; so the call ends.
func TestLostConnection(t *testing.T) {
	w := newWorld(t)
	up := newUpstream(t, tool("wait", "r"))
	w.mount("a1", up)
	started, release, ended := make(chan struct{}), make(chan struct{}), make(chan string, 1)
	defer close(release)
	up.on("wait", func(c fakeCall) string {
		close(started)
		select {
		case <-release:
			ended <- "finished"
		case <-c.done:
			ended <- "canceled"
		}
		return `{"content":[]}`
	})
	c := w.connect(w.key(), "/mcp")
	ctx, hangUp := context.WithCancel(t.Context())
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, w.http.URL+"/mcp",
		strings.NewReader(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a1__wait"}}`))
	must(t, err)
	req.Header.Set("Content-Type", "application/json")
	for h := range slices.Chunk(c.headers, 2) {
		req.Header.Set(h[0], h[1])
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		if res, err := w.client.Do(req); err == nil {
			_ = res.Body.Close()
		}
	})
	<-started
	hangUp()
	wg.Wait()
	select {
	case got := <-ended:
		if got != "canceled" {
			t.Error(got)
		}
	case <-time.After(10 * time.Second):
		t.Error("the call goes on without a client")
	}
}

// TestSessionIsForgotten: a session that nothing uses is not held, is taken up
// again when it is used, and is over for good some time after it began.
func TestSessionIsForgotten(t *testing.T) {
	w := newWorld(t, func(c *mcp.Config) { c.SessionTTL, c.SessionLife = time.Minute, time.Hour })
	c := w.connect(w.key(), "/mcp")
	const ping = `{"jsonrpc":"2.0","id":1,"method":"ping"}`
	forgotten := func() {
		t.Helper()
		w.clock.Advance(2 * time.Minute)
		w.until("it is not held", func() bool { return mcp.Sessions(w.gw) == 0 })
	}
	w.clock.Advance(30 * time.Second)
	if a := c.send(ping); a.status != http.StatusOK {
		t.Fatalf("in use: %d", a.status)
	}
	forgotten()
	if a := c.send(ping); a.status != http.StatusOK || mcp.Sessions(w.gw) != 1 {
		t.Errorf("again in use: %d %s, %d held", a.status, a.body, mcp.Sessions(w.gw))
	}
	w.clock.Advance(2 * time.Minute) // most likely before it was forgotten
	if a := c.send(ping); a.status != http.StatusOK {
		t.Errorf("idle: %d %s", a.status, a.body)
	}
	for range 90 { // in use, it may become older than its life
		w.clock.Advance(50 * time.Second)
		if a := c.send(ping); a.status != http.StatusOK {
			t.Fatalf("in use for long: %d %s", a.status, a.body)
		}
	}
	forgotten()
	if a := c.send(ping); a.status != http.StatusNotFound {
		t.Errorf("too old: %d %s", a.status, a.body)
	}
}

func TestNarrowing(t *testing.T) {
	w := newWorld(t)
	w.mount("a1", newUpstream(t, tool("read_x", "r"), tool("write_x", "w")), func(s *keys.InstanceSpec) {
		s.Tools = keys.Some([]keys.ToolRule{{Match: "write_x", Category: "edit"}})
	})
	w.mount("b2", newUpstream(t, tool("read_y", "r")))
	k := w.key(func(n *keys.NewKey) { n.MCPPermissions = keys.Some(policy.Only("mcp:tools", "mcp:edit")) })
	for _, c := range []struct {
		path    string
		headers []string
		want    string
	}{
		{"/mcp", nil, "a1__read_x a1__write_x b2__read_y whoami"},
		{"/mcp?instances=a1", nil, "a1__read_x a1__write_x"},
		{"/mcp?instances=a1,bailiwick", nil, "a1__read_x a1__write_x whoami"},
		{"/mcp?instances=", nil, ""},
		{"/mcp?instances=nope", nil, ""},
		{"/mcp?categories=edit", nil, "a1__write_x"},
		{"/mcp?categories=", nil, ""},
		{"/mcp?readonly=true", nil, "a1__read_x b2__read_y whoami"},
		{"/mcp?readonly=false", nil, "a1__read_x a1__write_x b2__read_y whoami"},
		{"/mcp?readonly=false&readonly=true", nil, "a1__read_x b2__read_y whoami"},
		{"/mcp", []string{"X-MCP-Tools", "read_*, whoami"}, "a1__read_x b2__read_y whoami"},
		{"/mcp", []string{"X-MCP-Tools", ""}, ""},
		{"/mcp", []string{"X-MCP-Tools", "read_*", "X-MCP-Tools", "whoami"}, "a1__read_x b2__read_y whoami"},
		{"/mcp", []string{"X-MCP-Exclude-Tools", "a1/*,whoami"}, "b2__read_y"},
		{"/mcp", []string{"X-MCP-Toolsets", "edit"}, "a1__write_x"},
		{"/mcp", []string{"X-MCP-Readonly", "true"}, "a1__read_x b2__read_y whoami"},
		{"/mcp?instances=a1", []string{"X-MCP-Readonly", "true"}, "a1__read_x"},
		{"/mcp/a1", nil, "a1__read_x a1__write_x"},
		{"/mcp/a1?instances=b2", nil, ""},
	} {
		old := strings.Join(w.connect(k, c.path, c.headers...).list(), " ")
		current := w.modern(k, c.path, "tools/list", "", c.headers...)
		if got := strings.Join(names(t, current), " "); old != c.want || got != c.want {
			t.Errorf("%s %v: %q / %q, want %q", c.path, c.headers, old, got, c.want)
		}
		if !strings.Contains(current.body, `"ttlMs":0`) || !strings.Contains(current.body, `"cacheScope":"private"`) {
			t.Errorf("%s: no caching hints: %s", c.path, current.body)
		}
	}

	// A session stays as narrow as it began, whatever a later request says.
	c := w.connect(k, "/mcp?instances=a1")
	c.path = "/mcp"
	if got := strings.Join(c.list(), " "); got != "a1__read_x a1__write_x" {
		t.Errorf("later request without the query: %s", got)
	}
	c.path = "/mcp?instances=a1,b2&readonly=true"
	if got := strings.Join(c.list(), " "); got != "a1__read_x" {
		t.Errorf("later request that narrows further: %s", got)
	}
	if a := c.call("a1__write_x", `{}`); !strings.Contains(a.body, "Unknown tool") {
		t.Errorf("call: %s", a.body)
	}
}

// TestInstancePath holds that a hidden instance's path is an unknown path, and
// that what is hidden there can't be called elsewhere.
func TestInstancePath(t *testing.T) {
	w := newWorld(t)
	a1 := w.mount("a1", newUpstream(t, tool("read_x", "r")))
	up := newUpstream(t, tool("read_y", "r"))
	w.mount("b2", up)
	off := w.mount("off", newUpstream(t, tool("read_z", "r")))
	_, err := w.svc.UpdateInstance(t.Context(), w.op, off.ID, keys.InstanceSpec{Enabled: keys.Some(false)})
	must(t, err)
	w.until("the disabled instance is unmounted", func() bool { s, _ := w.gw.InstanceStatus(off.ID); return s == "disabled" })
	byInstance := w.key(func(n *keys.NewKey) { n.MCPInstanceIDs = keys.Some(policy.Only(a1.ID)) })
	byPattern := w.key(func(n *keys.NewKey) {
		n.MCPAllowlistMode, n.MCPToolAllowlist = keys.Some(policy.ModeAllow), keys.Some([]string{"a1/*"})
	})
	for name, k := range map[string]keys.Issued{"by instance": byInstance, "by pattern": byPattern} {
		unknown := unnamed(w.post("/mcp/nope", initialize, auth(k)...), "nope")
		if !strings.HasPrefix(unknown, "404") {
			t.Fatalf("unknown instance: %s", unknown)
		}
		for _, hidden := range []string{"b2", "off", "bailiwick"} {
			if got := unnamed(w.post("/mcp/"+hidden, initialize, auth(k)...), hidden); got != unknown {
				t.Errorf("%s, %s: %s, want %s", name, hidden, got, unknown)
			}
		}
		if a := w.connect(k, "/mcp").call("b2__read_y", `{}`); !strings.Contains(a.body, "Unknown tool") {
			t.Errorf("%s: callable elsewhere: %s", name, a.body)
		}
		if got := w.connect(k, "/mcp/a1").list(); !slices.Equal(got, []string{"a1__read_x"}) {
			t.Errorf("%s: %v", name, got)
		}
	}
	if len(up.seen()) != 0 {
		t.Error("the hidden upstream was called")
	}
}
