package mcp_test

import (
	"strings"
	"testing"
)

// TestUpstreamErrorsPassUnchanged: code, message and data of an upstream's
// JSON-RPC error are the client's, in both eras and over both kinds of answer.
func TestUpstreamErrorsPassUnchanged(t *testing.T) {
	w := newWorld(t)
	up := newUpstream(t, tool("t", "r"))
	w.mount("a1", up)
	k := w.key()
	c := w.connect(k, "/mcp")
	for name, failed := range map[string]string{
		"own code":         `{"code":-32001,"message":"no such note","data":{"n":12345678901234567890,"f":1.10,"s":"\u00e9\/"}}`,
		"a protocol code":  `{"code":-32602,"message":"Invalid params: title is missing","data":["title"]}`,
		"an internal one":  `{"code":-32603,"message":"boom"}`,
		"method not found": `{"code":-32601,"message":"Method not found"}`,
		"a code of ours":   `{"code":-32029,"message":"slow down","data":{"retryAfterSeconds":60}}`,
		"outside the spec": `{"code":42,"message":"","data":"text"}`,
		"null data":        `{"code":-32000,"message":"\"quoted\"\n","data":null}`,
	} {
		want := `{"jsonrpc":"2.0","id":1,"error":` + failed + `}`
		for _, streamed := range []bool{false, true} {
			up.on("t", func(call fakeCall) string {
				if streamed {
					call.notify("notifications/message", `{"level":"info","data":1}`)
				}
				return answersError + failed
			})
			for era, a := range map[string]answer{
				"legacy": c.call("a1__t", `{}`),
				"modern": w.modern(k, "/mcp", "tools/call", `"name":"a1__t"`),
			} {
				// A session gets the log message first, as an event.
				got := a.body[max(strings.LastIndex(a.body, "data: "), 0):]
				got = strings.TrimSpace(strings.TrimPrefix(got, "data: "))
				if a.status != 200 || got != want {
					t.Errorf("%s, %s, streamed %v: %d %s, want %s", name, era, streamed, a.status, got, want)
				}
			}
		}
	}
}
