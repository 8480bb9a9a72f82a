package mcp_test

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/bailiwick-mcp/bailiwick/keys"
)

const limit = 64 // of running calls and of streams, each

// TestCallLimit: one key has a bounded number of calls running, by whatever
// transport; the next is told when to try again, other keys and the slots that
// become free are not touched.
func TestCallLimit(t *testing.T) {
	w := newWorld(t)
	up := newUpstream(t, tool("wait", "r"))
	w.mount("a1", up)
	started, release := make(chan struct{}, 2*limit), make(chan struct{})
	up.on("wait", func(c fakeCall) string {
		started <- struct{}{}
		select {
		case <-release:
		case <-c.done:
		}
		return `{"content":[]}`
	})
	k := w.key()
	var wg sync.WaitGroup
	for range limit {
		wg.Go(func() { w.modern(k, "/mcp", "tools/call", `"name":"a1__wait"`) })
	}
	for range limit {
		<-started
	}
	for name, a := range map[string]answer{
		"stateless": w.modern(k, "/mcp", "tools/call", `"name":"a1__wait"`),
		"session":   w.connect(k, "/mcp").call("a1__wait", `{}`),
		"built in":  w.connect(k, "/mcp").call("whoami", `{}`),
	} {
		if !strings.Contains(a.body, `"code":-32029`) || !strings.Contains(a.body, `"data":{"retryAfterSeconds":1}`) {
			t.Errorf("%s: %d %s", name, a.status, a.body)
		}
	}
	if a := w.modern(k, "/mcp", "tools/call", `"name":"a1__nope"`); !strings.Contains(a.body, "Unknown tool") {
		t.Errorf("a tool that is not there: %s", a.body)
	}
	if a := w.connect(w.key(), "/mcp").call("whoami", `{}`); !strings.Contains(a.body, "structuredContent") {
		t.Errorf("another key: %s", a.body)
	}
	w.until("the refusal is recorded", func() bool {
		list, err := w.svc.AuditEvents(t.Context(), w.op, keys.AuditQuery{KeyID: k.Key.ID, Decision: "deny", Tool: "whoami"})
		return err == nil && len(list) == 1 && list[0].Failed[0] == "rate.limited"
	})
	close(release)
	wg.Wait()
	w.until("the slots are free", func() bool {
		return strings.Contains(w.connect(k, "/mcp").call("whoami", `{}`).body, "structuredContent")
	})
}

// TestStreamLimit: one key has a bounded number of streams open, of whatever kind.
func TestStreamLimit(t *testing.T) {
	w := newWorld(t)
	k := w.key()
	ctx, hangUp := context.WithCancel(t.Context())
	defer hangUp()
	listen := func() *http.Response {
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, w.http.URL+"/mcp",
			strings.NewReader(`{"jsonrpc":"2.0","id":1,"method":"subscriptions/listen","params":{"notifications":{"toolsListChanged":true},`+modernMeta+`}}`))
		must(t, err)
		req.Header.Set("Authorization", "Bearer "+k.Secret.Reveal())
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Mcp-Protocol-Version", "2026-07-28")
		req.Header.Set("Mcp-Method", "subscriptions/listen")
		res, err := w.client.Do(req)
		must(t, err)
		return res
	}
	for range limit {
		res := listen()
		defer func() { _ = res.Body.Close() }()
		if got := res.Header.Get("Content-Type"); got != "text/event-stream" {
			t.Fatalf("refused too early: %d %s", res.StatusCode, got)
		}
	}
	a := w.modern(k, "/mcp", "subscriptions/listen", `"notifications":{"toolsListChanged":true}`)
	if !strings.Contains(a.body, `"code":-32029`) || !strings.Contains(a.body, `"retryAfterSeconds"`) {
		t.Errorf("listen: %d %s", a.status, a.body)
	}
	for _, path := range []string{"/mcp", "/sse"} {
		a := w.do(http.MethodGet, path, nil, w.connect(k, "/mcp").headers...)
		if a.status != http.StatusTooManyRequests || a.code() != "rate_limited" || a.header.Get("Retry-After") == "" {
			t.Errorf("GET %s: %d %s", path, a.status, a.body)
		}
	}
	hangUp()
	w.until("a stream ends and makes room", func() bool {
		ctx, done := context.WithCancel(t.Context())
		defer done()
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, w.http.URL+"/sse", nil)
		must(t, err)
		req.Header.Set("Authorization", "Bearer "+k.Secret.Reveal())
		res, err := w.client.Do(req)
		must(t, err)
		defer func() { _ = res.Body.Close() }()
		return res.StatusCode == http.StatusOK
	})
}
