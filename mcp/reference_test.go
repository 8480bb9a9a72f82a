package mcp_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
)

// TestReferencesAreNotResolved: a schema of an upstream's that refers to
// another place passes as it is, and nobody looks there: not when the tool is
// taken up, listed or called, and not for arguments mirrored in headers.
func TestReferencesAreNotResolved(t *testing.T) {
	var fetched atomic.Int64
	elsewhere := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fetched.Add(1)
		_, _ = w.Write([]byte(`{"type":"object","required":["never"]}`))
	}))
	defer elsewhere.Close()
	schemas := map[string]string{
		"file":     `{"type":"object","$ref":"file:///etc/passwd"}`, // without the type, it is no MCP tool and left out
		"http":     `{"type":"object","$ref":"` + elsewhere.URL + `/a"}`,
		"dynamic":  `{"type":"object","$dynamicRef":"` + elsewhere.URL + `/b","$schema":"` + elsewhere.URL + `/meta"}`,
		"mirrored": `{"type":"object","properties":{"q":{"type":"string","x-mcp-header":"Q"},"r":{"$ref":"` + elsewhere.URL + `/c"},"f":{"$ref":"file:///etc/passwd"}}}`,
	}
	order := []string{"file", "http", "dynamic", "mirrored"}
	var tools, listed []string
	for _, name := range order {
		rest := `,"inputSchema":` + schemas[name] + `,"outputSchema":` + schemas[name] + `,"annotations":{"readOnlyHint":true}}`
		tools = append(tools, `{"name":"`+name+`"`+rest)
		listed = append(listed, `{"name":"a1__`+name+`"`+rest)
	}
	w := newWorld(t)
	up := newUpstream(t, tools...)
	w.mount("a1", up)
	k := w.key()
	c := w.connect(k, "/mcp")
	stateless := w.modern(k, "/mcp?instances=a1", "tools/list", "").body
	session := w.connect(k, "/mcp?instances=a1").send(`{"jsonrpc":"2.0","id":1,"method":"tools/list"}`).body
	for _, definition := range listed {
		for era, got := range map[string]string{"stateless": stateless, "session": session} {
			if !strings.Contains(got, definition) {
				t.Errorf("%s: %s is not in %s", era, definition, got)
			}
		}
	}
	const arguments = `{"q":"v","r":{"$ref":"file:///etc/passwd"}}`
	up.on("file", func(fakeCall) string { return `{"content":[],"structuredContent":{"a":1}}` })
	for _, name := range order {
		for era, a := range map[string]answer{
			"session":   c.call("a1__"+name, arguments),
			"stateless": w.modern(k, "/mcp", "tools/call", `"name":"a1__`+name+`","arguments":`+arguments, "Mcp-Param-Q", "v"),
		} {
			if a.status != http.StatusOK || !strings.Contains(a.body, `"content":[`) || strings.Contains(a.body, "isError") || strings.Contains(a.body, "root:") {
				t.Errorf("%s, %s: %d %s", name, era, a.status, a.body)
			}
		}
	}
	calls := up.seen()
	if len(calls) != 2*len(order) {
		t.Fatalf("%d calls", len(calls))
	}
	for _, call := range calls {
		if string(call.Arguments) != arguments {
			t.Errorf("%s: %s", call.Name, call.Arguments)
		}
	}
	if n := fetched.Load(); n != 0 {
		t.Errorf("%d requests for what a schema refers to", n)
	}
}
