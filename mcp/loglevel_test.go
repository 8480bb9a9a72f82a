package mcp_test

import (
	"slices"
	"strings"
	"testing"
)

// TestLogLevels: an upstream is asked for everything once, and each client hears
// what it asked for, whatever others do.
func TestLogLevels(t *testing.T) {
	w := newWorld(t)
	up := newUpstream(t, tool("t", "r"))
	up.logs = true
	// It keeps to the level that it was asked for.
	up.on("t", func(c fakeCall) string {
		order := []string{"debug", "info", "warning", "error"}
		for _, level := range order[max(0, slices.Index(order, up.logLevel())):] {
			if up.logLevel() != "" || level == "error" {
				c.notify("notifications/message", `{"level":"`+level+`","data":1}`)
			}
		}
		return `{"content":[]}`
	})
	w.mount("a1", up)
	w.until("the upstream is asked", func() bool { return up.logLevel() == "debug" })
	k := w.key()
	hears := func(c *legacy, want ...string) {
		t.Helper()
		a := c.call("a1__t", `{}`)
		for _, level := range []string{"debug", "info", "warning", "error"} {
			if strings.Contains(a.body, `"level":"`+level+`"`) != slices.Contains(want, level) {
				t.Errorf("want %v: %s", want, a.body)
			}
		}
	}
	unset, loud, still := w.connect(k, "/mcp"), w.connect(k, "/mcp"), w.connect(k, "/mcp")
	hears(unset, "info", "warning", "error")
	for c, level := range map[*legacy]string{loud: "debug", still: "error"} {
		if a := c.send(`{"jsonrpc":"2.0","id":1,"method":"logging/setLevel","params":{"level":"` + level + `"}}`); !strings.Contains(a.body, `"result":{}`) {
			t.Fatal(a.body)
		}
	}
	hears(loud, "debug", "info", "warning", "error")
	hears(still, "error")
	hears(unset, "info", "warning", "error")
	if got := up.logLevel(); got != "debug" {
		t.Errorf("a client's level went on: %s", got)
	}
	meta := strings.Replace(modernMeta, `"_meta":{`, `"_meta":{"io.modelcontextprotocol/logLevel":"warning",`, 1)
	body := `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a1__t",` + meta + `}}`
	a := w.post("/mcp", body, append(auth(k), "Mcp-Protocol-Version", "2026-07-28", "Mcp-Method", "tools/call", "Mcp-Name", "a1__t")...)
	if strings.Contains(a.body, `"level":"info"`) || !strings.Contains(a.body, `"level":"warning"`) {
		t.Errorf("stateless: %s", a.body)
	}
}
