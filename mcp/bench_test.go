package mcp_test

import (
	"fmt"
	"testing"
)

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
