package mcp_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/mcp"
)

// TestResultsPassUnchanged holds invariant 8: a result reaches the client as
// the upstream gave it, byte for byte in its content.
func TestResultsPassUnchanged(t *testing.T) {
	w := newWorld(t)
	up := newUpstream(t, tool("t", "r"))
	w.mount("a1", up)
	k := w.key()
	c := w.connect(k, "/mcp")
	for name, result := range map[string]string{
		"text":          `{"content":[{"type":"text","text":"a\u00e9\/é"}]}`,
		"big integers":  `{"content":[],"structuredContent":{"n":12345678901234567890,"f":1.10}}`,
		"unknown types": `{"content":[{"type":"hologram","x":{"y":[1,2]}}],"odd":null}`,
		"image":         `{"content":[{"type":"image","data":"` + strings.Repeat("QUJD", 10000) + `","mimeType":"image/png"}],"isError":false}`,
		"error":         `{"content":[{"type":"text","text":"no"}],"isError":true}`,
		"own _meta":     `{"_meta":{"a/b":[1.0]},"content":[]}`,
		"spaces":        `{ "content" : [ ] }`,
		"braces":        `{"content":[{"type":"text","text":"}]}\"{[\\"}]}`,
	} {
		up.on("t", func(fakeCall) string { return result })
		if a := c.call("a1__t", `{}`); a.body != `{"jsonrpc":"2.0","id":1,"result":`+result+`}` {
			t.Errorf("%s: %.300s", name, a.body)
		}
		a := w.modern(k, "/mcp", "tools/call", `"name":"a1__t"`)
		var got, want map[string]json.RawMessage
		must(t, json.Unmarshal([]byte(a.body), &got))
		must(t, json.Unmarshal(got["result"], &got))
		must(t, json.Unmarshal([]byte(result), &want))
		for key, value := range want {
			if key != "_meta" && !bytes.Equal(got[key], value) {
				t.Errorf("modern, %s: %s is %.100s, want %.100s", name, key, got[key], value)
			}
		}
		if string(got["resultType"]) != `"complete"` || !strings.Contains(string(got["_meta"]), `"io.modelcontextprotocol/serverInfo":{"name":"bailiwick","version":"test"}`) {
			t.Errorf("modern, %s: %s", name, a.body)
		}
		if name == "own _meta" && !strings.Contains(string(got["_meta"]), `"a/b":[1.0]`) {
			t.Errorf("modern: the upstream's _meta is gone: %s", got["_meta"])
		}
	}
}

func TestArgumentsPassUnchanged(t *testing.T) {
	w := newWorld(t)
	up := newUpstream(t, tool("t", "r"))
	w.mount("a1", up)
	k := w.key()
	const arguments = `{"n":12345678901234567890,"A":1,"a":2,"s":"A\/","o":{"p":[1.0,{}]}}`
	c := w.connect(k, "/mcp")
	c.call("a1__t", arguments)
	w.modern(k, "/mcp", "tools/call", `"name":"a1__t","arguments":`+arguments)
	c.send(`{"jsonrpc":"2.0","id":9,"method":"tools/call","params":{"name":"a1__t","arguments":` + arguments +
		`,"_meta":{"traceparent":"00-1","io.modelcontextprotocol/x":1,"progressToken":"p"}}}`)
	calls := up.seen()
	if len(calls) != 3 {
		t.Fatalf("%d calls", len(calls))
	}
	for i, call := range calls {
		if string(call.Arguments) != arguments {
			t.Errorf("%d: %s", i, call.Arguments)
		}
		if strings.Contains(string(call.Meta), "modelcontextprotocol") {
			t.Errorf("%d: _meta of the client's own connection went on: %s", i, call.Meta)
		}
		for name, values := range call.header {
			if strings.Contains(strings.Join(values, " "), k.Secret.Reveal()[9:]) {
				t.Errorf("%d: the client's token went upstream in %s", i, name)
			}
		}
	}
	if !strings.Contains(string(calls[2].Meta), `"traceparent":"00-1"`) {
		t.Errorf("_meta: %s", calls[2].Meta)
	}
}

// TestDefinitionsPassUnchanged: only the name differs from what was announced.
func TestDefinitionsPassUnchanged(t *testing.T) {
	w := newWorld(t)
	const rest = `,"title":"T","x-own":{"deep":[1.50]},"inputSchema":{"$schema":"https://json-schema.org/draft/2020-12/schema","type":"object","anyOf":[{"required":["a"]}],"patternProperties":{"^x":{"maximum":12345678901234567890}}},"_meta":{"k":1}}`
	w.mount("a1", newUpstream(t, `{"description":"d","name":"t"`+rest))
	a := w.connect(w.key(), "/mcp?instances=a1").send(`{"jsonrpc":"2.0","id":1,"method":"tools/list"}`)
	if want := `{"jsonrpc":"2.0","id":1,"result":{"tools":[{"description":"d","name":"a1__t"` + rest + `]}}`; a.body != want {
		t.Errorf("got  %s\nwant %s", a.body, want)
	}
}

func TestProgress(t *testing.T) {
	w := newWorld(t)
	up := newUpstream(t, tool("t", "r"))
	w.mount("a1", up)
	up.on("t", func(c fakeCall) string {
		c.progress(`"progress":1,"total":12345678901234567890`)
		c.progress(`"progress":2`)
		return `{"content":[{"type":"text","text":` + string(c.Arguments) + `}]}`
	})
	c := w.connect(w.key(), "/mcp")
	// Two calls at once: each one's progress is on its own stream.
	for range 10 {
		var got [2]*events
		for i, token := range []string{`"one"`, `2`} {
			got[i] = w.stream(http.MethodPost, "/mcp", `{"jsonrpc":"2.0","id":`+token+`,"method":"tools/call","params":{"name":"a1__t","_meta":{"progressToken":`+token+`}}}`, c.headers...)
		}
		for i, token := range []string{`"one"`, `2`} {
			for _, want := range []string{
				`{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":` + token + `,"progress":1,"total":12345678901234567890}}`,
				`{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":` + token + `,"progress":2}}`,
			} {
				if e := got[i].next(); e != want {
					t.Fatalf("got %s, want %s", e, want)
				}
			}
			if e := got[i].next(); !strings.Contains(e, `"id":`+token+`,"result"`) {
				t.Fatalf("answer: %s", e)
			}
		}
	}
}

// TestUpstreamErrors: an upstream's own error passes with its code and data;
// one that is down or talks garbage is a result that names the instance.
func TestUpstreamErrors(t *testing.T) {
	w := newWorld(t)
	up, down, good := newUpstream(t, tool("t", "r")), newUpstream(t, tool("t", "r")), newUpstream(t, tool("t", "r"))
	w.mount("a1", up)
	d1 := w.mount("d1", down)
	w.mount("g1", good)
	up.on("t", func(fakeCall) string { return `"no object"` })
	c := w.connect(w.key(), "/mcp")
	if a := c.call("a1__t", `{}`); !strings.Contains(a.body, `"isError":true`) || !strings.Contains(a.body, "instance a1") {
		t.Errorf("garbage: %s", a.body)
	}
	down.server.CloseClientConnections()
	down.server.Close()
	w.until("the instance is down", func() bool { c.call("d1__t", `{}`); s, _ := w.gw.InstanceStatus(d1.ID); return s == "down" })
	if a := c.call("d1__t", `{}`); !strings.Contains(a.body, `"isError":true`) || !strings.Contains(a.body, "instance d1") || strings.Contains(a.body, "127.0.0.1") {
		t.Errorf("down: %s", a.body)
	}
	if got := c.list(); !strings.Contains(strings.Join(got, " "), "d1__t") {
		t.Errorf("its tools are gone: %v", got)
	}
	if a := c.call("g1__t", `{}`); !strings.Contains(a.body, "ok") {
		t.Errorf("another instance: %s", a.body)
	}
}

func TestCallsAreRecorded(t *testing.T) {
	w := newWorld(t)
	up := newUpstream(t, tool("t", "r"))
	w.mount("a1", up)
	up.on("t", func(c fakeCall) string {
		return `{"content":[],"isError":` + string(c.Arguments[len(`{"e":`):len(c.Arguments)-1]) + `}`
	})
	k := w.key()
	c := w.connect(k, "/mcp")
	c.call("a1__t", `{"e":false}`)
	c.call("a1__t", `{"e":true}`)
	w.until("both calls are recorded", func() bool {
		list, err := w.svc.AuditEvents(t.Context(), w.op, keys.AuditQuery{KeyID: k.Key.ID, Kind: "call"})
		return err == nil && len(list) == 2 && list[0].Outcome == "tool_error" && list[1].Outcome == "ok" &&
			list[1].Decision == "allow" && list[1].Subject == "a1/t" && list[1].Latency > 0
	})
}

func TestExpose(t *testing.T) {
	for _, c := range []struct{ in, out, problem string }{
		{`{"name":"a"}`, `{"name":"x"}`, ""},
		{`{ "q":{"name":"n"}, "name" : "a" , "z":1}`, `{ "q":{"name":"n"}, "name" : "x" , "z":1}`, ""},
		{`{"name":"a","name":"b"}`, "", "twice"},
		{`{"name":"a","description":"1","description":"2"}`, "", "twice"},
		{`{"Name":"a"}`, "", "no name"},
		{`[]`, "", "not an object"},
		{`{"name":"a"`, "", "not valid JSON"},
	} {
		got, err := mcp.Expose(json.RawMessage(c.in), "x")
		if string(got) != c.out || (err == nil) != (c.problem == "") || err != nil && !strings.Contains(err.Error(), c.problem) {
			t.Errorf("%s: %s, %v", c.in, got, err)
		}
	}
	same := [2]string{`{"name":"a","inputSchema":{"a":1,"b":2},"icons":[1]}`, `{ "inputSchema": {"b":2,"a":1}, "name":"a" }`}
	if mcp.DigestOf(json.RawMessage(same[0])) != mcp.DigestOf(json.RawMessage(same[1])) {
		t.Error("the order of keys changed the digest")
	}
	seen := map[string]string{}
	for _, raw := range []string{same[0], `{"name":"b"}`, `{"name":"a"}`, `{"name":"a","description":"d"}`, `{"name":"a","annotations":{}}`,
		`{"name":"a","outputSchema":{}}`, `{"name":"a","inputSchema":{"a":12345678901234567890}}`, `{"name":"a","inputSchema":{"a":12345678901234567891}}`} {
		d := mcp.DigestOf(json.RawMessage(raw))
		if seen[d] != "" {
			t.Errorf("%s and %s have one digest", seen[d], raw)
		}
		seen[d] = raw
	}
}
