package mcp_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/mcp"
	"github.com/bailiwick-mcp/bailiwick/policy"
)

// TestSSE drives the transport of 2024-11-05 by hand.
func TestSSE(t *testing.T) {
	w := newWorld(t)
	up := newUpstream(t, tool("read_x", "r"), tool("drop_x", "d"))
	w.mount("a1", up)
	k := w.key(func(n *keys.NewKey) {
		n.MCPPermissions = keys.Some(policy.Only("mcp:tools"))
	})
	e := w.stream(http.MethodGet, "/sse?readonly=true", "", auth(k)...)
	endpoint := e.next()
	if !strings.HasPrefix(endpoint, "/message?sessionId=") {
		t.Fatal(endpoint)
	}
	send := func(body string) {
		t.Helper()
		if a := w.post(endpoint, body, auth(k)...); a.status != http.StatusAccepted {
			t.Fatalf("%d %s", a.status, a.body)
		}
	}
	send(strings.Replace(initialize, "2025-11-25", "2024-11-05", 1))
	if got := e.next(); !strings.Contains(got, `"id":"init","result"`) || !strings.Contains(got, `"protocolVersion":"2024-11-05"`) {
		t.Fatal(got)
	}
	send(`{"jsonrpc":"2.0","method":"notifications/initialized"}`)
	send(`{"jsonrpc":"2.0","id":2,"method":"tools/list"}`)
	if got := e.next(); !strings.Contains(got, "a1__read_x") || strings.Contains(got, "a1__drop_x") {
		t.Error(got)
	}
	send(`{"jsonrpc":"2.0","id":3,"method":"tools/call","params":{"name":"a1__drop_x"}}`)
	if got := e.next(); !strings.Contains(got, "Unknown tool: a1__drop_x") {
		t.Error(got)
	}
	up.on("read_x", func(c fakeCall) string { c.progress(`"progress":1`); return `{"content":[]}` })
	send(`{"jsonrpc":"2.0","id":4,"method":"tools/call","params":{"name":"a1__read_x","_meta":{"progressToken":7}}}`)
	if got := e.next(); !strings.Contains(got, `"progressToken":7`) {
		t.Error(got)
	}
	if got := e.next(); !strings.Contains(got, `"id":4,"result":{"content":[]}`) {
		t.Error(got)
	}
	up.setTools(tool("read_z", "r"))
	if got := e.next(); got != changed {
		t.Error(got)
	}

	// Another key, and a session of the other transport.
	other := w.key()
	foreign := w.post(endpoint, initialize, auth(other)...)
	unknown := w.post("/message?sessionId=x", initialize, auth(other)...)
	if foreign.status != http.StatusNotFound || foreign.body != unknown.body {
		t.Errorf("foreign: %d %s, unknown: %d %s", foreign.status, foreign.body, unknown.status, unknown.body)
	}
	c := w.connect(k, "/mcp")
	if a := w.post("/message?sessionId="+c.headers[len(c.headers)-1], initialize, auth(k)...); a.status != http.StatusNotFound {
		t.Errorf("a session of streamable HTTP: %d", a.status)
	}
	id := strings.TrimPrefix(endpoint, "/message?sessionId=")
	if a := w.post("/mcp", `{"jsonrpc":"2.0","id":1,"method":"ping"}`, append(auth(k), "Mcp-Session-Id", id)...); a.status != http.StatusNotFound {
		t.Errorf("an SSE session in streamable HTTP: %d", a.status)
	}

	// The session ends with its stream.
	e.stop()
	w.until("the session has ended", func() bool { return w.post(endpoint, initialize, auth(k)...).status == http.StatusNotFound })
}

// TestSSEEnds: a call that runs when the stream ends is ended with it.
func TestSSEEnds(t *testing.T) {
	w := newWorld(t, func(c *mcp.Config) { c.PublicURL = "https://example.com/base/" })
	up := newUpstream(t, tool("wait", "r"))
	w.mount("a1", up)
	started, ended, release := make(chan struct{}), make(chan struct{}), make(chan struct{})
	defer close(release)
	up.on("wait", func(c fakeCall) string {
		close(started)
		select {
		case <-c.done:
			close(ended)
		case <-release:
		}
		return `{}`
	})
	k := w.key()
	e := w.stream(http.MethodGet, "/sse", "", auth(k)...)
	endpoint, ok := strings.CutPrefix(e.next(), "/base")
	if !ok {
		t.Fatal("the endpoint is not below the public URL")
	}
	w.post(endpoint, `{"jsonrpc":"2.0","id":4,"method":"tools/call","params":{"name":"a1__wait"}}`, auth(k)...)
	<-started
	e.stop()
	select {
	case <-ended:
	case <-time.After(10 * time.Second):
		t.Error("the call goes on without a client")
	}
}
