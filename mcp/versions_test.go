package mcp_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	mcpgo "github.com/mark3labs/mcp-go/mcp"

	"github.com/bailiwick-mcp/bailiwick/keys"
)

// versions are all that clients speak, and how their requests differ.
var versions = []struct {
	version   string
	stateless bool
	declared  bool // requests name the version in Mcp-Protocol-Version
}{
	{version: "2024-11-05"},
	{version: "2025-03-26"},
	{version: "2025-06-18", declared: true},
	{version: "2025-11-25", declared: true},
	{version: "2026-07-28", declared: true, stateless: true},
}

// TestVersions: a client of every protocol version has its handshake, lists,
// calls, and is told that a batch is not taken.
func TestVersions(t *testing.T) {
	w := newWorld(t)
	w.mount("a1", newUpstream(t, tool("read_x", "r"), tool("drop_x", "d")))
	k := w.key(func(n *keys.NewKey) { n.MCPReadOnly = keys.Some(true) })
	known := []string{}
	for _, v := range versions {
		known = append(known, v.version)
		t.Run(v.version, func(t *testing.T) {
			send := func(method, params string) answer { return w.modern(k, "/mcp", method, params) }
			headers := append(auth(k), "Mcp-Protocol-Version", v.version)
			if v.stateless {
				if a := send("server/discover", ""); a.status != http.StatusOK || !strings.Contains(a.body, `"`+v.version+`"`) || a.header.Get("Mcp-Session-Id") != "" {
					t.Fatalf("discover: %d %s", a.status, a.body)
				}
			} else {
				headers = w.initialized(t, k, v.version, v.declared)
				send = func(method, params string) answer {
					return w.post("/mcp", `{"jsonrpc":"2.0","id":1,"method":"`+method+`","params":{`+params+`}}`, headers...)
				}
			}
			if got := names(t, send("tools/list", "")); !slices.Contains(got, "a1__read_x") || slices.Contains(got, "a1__drop_x") {
				t.Errorf("listed %v", got)
			}
			if a := send("tools/call", `"name":"a1__read_x"`); a.status != http.StatusOK || !strings.Contains(a.body, `"content":[{"type":"text","text":"ok"}]`) {
				t.Errorf("call: %d %s", a.status, a.body)
			}
			if a := send("tools/call", `"name":"a1__drop_x"`); !strings.Contains(a.body, "Unknown tool: a1__drop_x") {
				t.Errorf("a denied call: %d %s", a.status, a.body)
			}
			batch := w.post("/mcp", `[{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a1__read_x"}},{"jsonrpc":"2.0","id":2,"method":"ping"}]`, headers...)
			if batch.status != http.StatusBadRequest || !strings.Contains(batch.body, `"code":-32600`) || !strings.Contains(batch.body, "batches are not supported, send each message by itself") {
				t.Errorf("a batch: %d %s", batch.status, batch.body)
			}
		})
	}
	library := slices.Clone(mcpgo.ValidProtocolVersions)
	slices.Sort(library)
	if !slices.Equal(library, known) {
		t.Errorf("the library speaks %v, tried were %v", library, known)
	}
}

// initialized makes the older eras' handshake and answers the headers of what
// follows it.
func (w *world) initialized(t *testing.T, k keys.Issued, version string, declared bool) []string {
	t.Helper()
	a := w.post("/mcp", strings.Replace(initialize, "2025-11-25", version, 1), auth(k)...)
	id := a.header.Get("Mcp-Session-Id")
	if a.status != http.StatusOK || id == "" || !strings.Contains(a.body, `"protocolVersion":"`+version+`"`) || !strings.Contains(a.body, `"serverInfo":{"name":"bailiwick"`) {
		t.Fatalf("initialize: %d %s", a.status, a.body)
	}
	headers := append(auth(k), "Mcp-Session-Id", id)
	if declared {
		headers = append(headers, "Mcp-Protocol-Version", version)
	}
	if a := w.post("/mcp", `{"jsonrpc":"2.0","method":"notifications/initialized"}`, headers...); a.status != http.StatusAccepted {
		t.Fatalf("initialized: %d %s", a.status, a.body)
	}
	return headers
}
