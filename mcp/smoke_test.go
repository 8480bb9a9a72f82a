package mcp_test

import "testing"

func TestSmoke(t *testing.T) {
	w := newWorld(t)
	up := newUpstream(t, tool("read_x", "r"), tool("write_x", "w"), tool("drop_x", "d"))
	w.mount("a1", up)
	c := w.connect(w.key(), "/mcp")
	t.Log(c.list())
	t.Log(c.call("a1__read_x", `{"n":12345678901234567890}`))
	t.Log(c.call("a1__nope", `{}`))
	t.Log(c.call("whoami", `{}`))
	t.Log(w.modern(w.key(), "/mcp", "tools/list", ""))
	t.Log(w.modern(w.key(), "/mcp", "server/discover", ""))
	t.Log(w.modern(w.key(), "/mcp", "tools/call", `"name":"a1__read_x"`))
}
