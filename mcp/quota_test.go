package mcp_test

import (
	"context"
	"io"
	"net/http"
	"slices"
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
	session := w.connect(k, "/mcp").headers
	open := func(method, path, body string, headers ...string) *http.Response {
		t.Helper()
		req, err := http.NewRequestWithContext(ctx, method, w.http.URL+path, strings.NewReader(body))
		must(t, err)
		for h := range slices.Chunk(append(auth(k), headers...), 2) {
			req.Header.Set(h[0], h[1])
		}
		res, err := w.client.Do(req)
		must(t, err)
		t.Cleanup(func() { _ = res.Body.Close() })
		return res
	}
	kinds := map[string]func() *http.Response{
		"GET": func() *http.Response { return open(http.MethodGet, "/mcp", "", session...) },
		"SSE": func() *http.Response { return open(http.MethodGet, "/sse", "") },
		"POST": func() *http.Response {
			return open(http.MethodPost, "/mcp",
				`{"jsonrpc":"2.0","id":1,"method":"subscriptions/listen","params":{"notifications":{"toolsListChanged":true},`+modernMeta+`}}`,
				"Content-Type", "application/json", "Mcp-Protocol-Version", "2026-07-28", "Mcp-Method", "subscriptions/listen")
		},
	}
	isStream := func(res *http.Response) bool { return res.Header.Get("Content-Type") == "text/event-stream" }
	for range limit {
		if res := kinds["POST"](); !isStream(res) {
			t.Fatalf("refused too early: %d", res.StatusCode)
		}
	}
	for kind, ask := range kinds {
		res := ask()
		if isStream(res) {
			t.Errorf("%s: one more is opened", kind)
			continue
		}
		body, err := io.ReadAll(res.Body)
		must(t, err)
		told := res.StatusCode == http.StatusTooManyRequests && strings.Contains(string(body), `"code":"rate_limited"`) && res.Header.Get("Retry-After") != ""
		if kind == "POST" {
			told = strings.Contains(string(body), `"code":-32029`) && strings.Contains(string(body), `"retryAfterSeconds"`)
		}
		if !told {
			t.Errorf("%s: %d %s", kind, res.StatusCode, body)
		}
	}
	w.stream(http.MethodGet, "/sse", "", auth(w.key())...) // another key's
	hangUp()
	ctx = t.Context()
	w.until("a stream ends and makes room", func() bool { return isStream(kinds["SSE"]()) })
}
