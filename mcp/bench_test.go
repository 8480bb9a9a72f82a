package mcp_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/keys/keystest"
	"github.com/bailiwick-mcp/bailiwick/mcp"
	"github.com/bailiwick-mcp/bailiwick/policy"
)

// forgetful keeps no audit entries, which would be the benchmark's own cost.
type forgetful struct{ *keystest.Memory }

func (forgetful) AppendAudit(context.Context, []keys.AuditEntry) error { return nil }

// BenchmarkAdmit is what a call costs beside passing it on: the credential, a
// decision over 20 patterns, the entry for the audit trail. Wanted: 3 us, 4
// allocations.
func BenchmarkAdmit(b *testing.B) {
	w := newWorld(b)
	w.mount("a1", newUpstream(b, tool("t", "r")))
	issued := w.key(func(n *keys.NewKey) {
		patterns := []string{"a1/t"}
		for i := range 19 {
			patterns = append(patterns, fmt.Sprintf("server-%d/read_*_%d", i, i))
		}
		n.MCPAllowlistMode, n.MCPToolAllowlist = keys.Some(policy.ModeAllow), keys.Some(patterns)
	})
	body := []byte(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a1__t","arguments":{"text":"hello"}}}`)
	r := httptest.NewRequest(http.MethodPost, "/mcp", nil)
	r.Header.Set("Authorization", "Bearer "+issued.Secret.Reveal())
	out := httptest.NewRecorder()
	m, err := mcp.MessageOf(body)
	must(b, err)
	b.ReportAllocs()
	for b.Loop() {
		if !mcp.Admit(w.gw, out, r, m) {
			b.Fatal("denied")
		}
	}
}

// BenchmarkReadMessage is the envelope of a call alone.
func BenchmarkReadMessage(b *testing.B) {
	for name, size := range map[string]int{"small": 5, "18KB": 18 << 10} {
		b.Run(name, func(b *testing.B) {
			body := fmt.Appendf(nil, `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a1__t","arguments":{"text":"%0*d"},`+modernMeta+`}}`, size, 0)
			b.SetBytes(int64(len(body)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := mcp.MessageOf(body); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkHeaders is what it costs to hold the headers against such a call.
func BenchmarkHeaders(b *testing.B) {
	for name, size := range map[string]int{"small": 5, "18KB": 18 << 10} {
		b.Run(name, func(b *testing.B) {
			m, err := mcp.MessageOf(fmt.Appendf(nil, `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a1__t","arguments":{"text":"%0*d"},`+modernMeta+`}}`, size, 0))
			must(b, err)
			h := http.Header{"Mcp-Protocol-Version": {"2026-07-28"}, "Mcp-Method": {"tools/call"}, "Mcp-Name": {"a1__t"}}
			b.ReportAllocs()
			for b.Loop() {
				if !mcp.FitHeaders(m, h) {
					b.Fatal("refused")
				}
			}
		})
	}
}

// BenchmarkCall is one call through a session, the upstream in the same
// process, over two loopback connections.
func BenchmarkCall(b *testing.B) {
	for _, size := range []int{100, 18_000} {
		b.Run(fmt.Sprintf("%d bytes", size), func(b *testing.B) {
			w := newWorld(b)
			up := newUpstream(b, tool("t", "r"))
			w.mount("a1", up)
			text := `{"content":[{"type":"text","text":"` + fmt.Sprintf("%0*d", size, 0) + `"}]}`
			up.on("t", func(fakeCall) string { return text })
			c := w.connect(w.key(), "/mcp")
			b.ReportAllocs()
			for b.Loop() {
				if a := c.call("a1__t", `{}`); a.status != 200 {
					b.Fatal(a)
				}
			}
		})
	}
}

// BenchmarkListAlone is one tools/list of 1,000 tools without the network, for
// a key that sees 100 of them. Wanted, for a list that has not changed: 50 us.
func BenchmarkListAlone(b *testing.B) {
	w := newWorld(b)
	tools := make([]string, 1000)
	for i := range tools {
		tools[i] = tool(fmt.Sprintf("tool_%04d", i), "r")
	}
	w.mount("a1", newUpstream(b, tools...))
	issued := w.key(func(n *keys.NewKey) {
		n.MCPAllowlistMode, n.MCPToolAllowlist = keys.Some(policy.ModeAllow), keys.Some([]string{"tool_01*"})
	})
	p, err := w.svc.Authenticate(context.Background(), issued.Secret)
	must(b, err)
	for name, params := range map[string]string{"session": ``, "2026-07-28": modernMeta} {
		b.Run(name, func(b *testing.B) {
			m, err := mcp.MessageOf([]byte(`{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{` + params + `}}`))
			must(b, err)
			b.ReportAllocs()
			for b.Loop() {
				if len(mcp.Answer(w.gw, p, m)) < 100 {
					b.Fatal("no list")
				}
			}
		})
	}
}

// BenchmarkList is one tools/list of 1,000 tools through a session.
func BenchmarkList(b *testing.B) {
	w := newWorld(b)
	tools := make([]string, 1000)
	for i := range tools {
		tools[i] = tool(fmt.Sprintf("tool_%04d", i), "r")
	}
	w.mount("a1", newUpstream(b, tools...))
	c := w.connect(w.key(), "/mcp")
	b.ReportAllocs()
	for b.Loop() {
		if a := c.send(`{"jsonrpc":"2.0","id":1,"method":"tools/list"}`); a.status != 200 {
			b.Fatal(a)
		}
	}
}
