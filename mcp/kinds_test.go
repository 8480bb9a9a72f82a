package mcp_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/policy"
)

// asker sends one request as a client of one era.
type asker func(method, params string) answer

// eras are a client of each era with the key; params are members without braces.
func (w *world) eras(k keys.Issued, path string, headers ...string) map[string]asker {
	w.t.Helper()
	c := w.connect(k, path, headers...)
	return map[string]asker{
		"legacy": func(method, params string) answer {
			return c.send(`{"jsonrpc":"2.0","id":1,"method":` + quoted(method) + `,"params":{` + params + `}}`)
		},
		"modern": func(method, params string) answer { return w.modern(k, path, method, params, headers...) },
	}
}

// own is a result without what 2026-07-28 adds to it, in its order.
func own(t testing.TB, a answer) string {
	t.Helper()
	body, ok := strings.CutPrefix(a.body, `{"jsonrpc":"2.0","id":1,"result":{`)
	if !ok {
		t.Fatalf("no result: %d %s", a.status, a.body)
	}
	for _, added := range []string{`"resultType":"complete"`, `"_meta":{"io.modelcontextprotocol/serverInfo":{"name":"bailiwick","version":"test"}}`,
		`"cacheScope":"private"`, `"ttlMs":0`} {
		if rest, ok := strings.CutPrefix(body, added); ok {
			body = strings.TrimPrefix(rest, ",")
		}
	}
	return "{" + strings.TrimSuffix(body, "}")
}

// TestListsPassDefinitions: each list has the definitions as announced, prompts
// under their exposed name, and nothing else.
func TestListsPassDefinitions(t *testing.T) {
	w := newWorld(t)
	const rest = `,"title":"é\/","x-own":{"deep":[1.50,12345678901234567890]},"_meta":{"k":1}`
	w.mount("a1", newUpstream(t).with(others{
		prompts:   []string{`{"description":"d","name":"p.1/x"` + rest + `,"arguments":[{"name":"a","odd":null}]}`},
		resources: []string{`{"name":"r","uri":"x:b?c=1#d"` + rest + `,"size":12345678901234567890}`, `{"uri":"x:a","name":"r"}`},
		templates: []string{`{"uriTemplate":"x:t/{id}{?q}","name":"t"` + rest + `}`, `{"uriTemplate":"x:{broken","name":"t"}`},
	}))
	for method, want := range map[string]string{
		"prompts/list":             `{"prompts":[{"description":"d","name":"a1__p.1/x"` + rest + `,"arguments":[{"name":"a","odd":null}]}]}`,
		"resources/list":           `{"resources":[{"uri":"x:a","name":"r"},{"name":"r","uri":"x:b?c=1#d"` + rest + `,"size":12345678901234567890}]}`,
		"resources/templates/list": `{"resourceTemplates":[{"uriTemplate":"x:t/{id}{?q}","name":"t"` + rest + `},{"uriTemplate":"x:{broken","name":"t"}]}`,
	} {
		for era, ask := range w.eras(w.key(), "/mcp") {
			a := ask(method, ``)
			if got := own(t, a); got != want {
				t.Errorf("%s, %s:\n got %s\nwant %s", era, method, got, want)
			}
			if hint := `"cacheScope":"private","ttlMs":0`; strings.Contains(a.body, hint) != (era == "modern") {
				t.Errorf("%s, %s: caching hints: %s", era, method, a.body)
			}
			if a := ask(method, `"cursor":"x"`); !strings.Contains(a.body, `-32602`) {
				t.Errorf("%s, %s: cursor: %s", era, method, a.body)
			}
		}
	}
}

// requests is one request of each kind, with what the upstream must get of it.
var requests = []struct{ method, params, want string }{
	{"prompts/get", `"name":"a1__p","arguments":{"a":"\u00e9\/","n":12345678901234567890}`, `{"name":"p","arguments":{"a":"\u00e9\/","n":12345678901234567890}}`},
	{"prompts/get", `"name":"a1__p"`, `{"name":"p"}`},
	{"resources/read", `"uri":"x:r"`, `{"uri":"x:r"}`},
	{"completion/complete", `"ref":{"type":"ref/prompt","title":"T","name":"a1__p","odd":[1.50]},"argument":{"name":"a","value":"v","n":12345678901234567890},"context":{"arguments":{"b":"c"}}`,
		`{"ref":{"type":"ref/prompt","title":"T","name":"p","odd":[1.50]},"argument":{"name":"a","value":"v","n":12345678901234567890},"context":{"arguments":{"b":"c"}}}`},
	{"completion/complete", `"ref":{"type":"ref/resource","uri":"x:t/{id}"},"argument":{"name":"id","value":""}`,
		`{"ref":{"type":"ref/resource","uri":"x:t/{id}"},"argument":{"name":"id","value":""}}`},
}

func everyKind() others {
	return others{[]string{prompt("p")}, []string{resource("x:r")}, []string{template("x:t/{id}")}}
}

// onAny answers every request that names one thing.
func (u *fakeUpstream) onAny(result func(fakeCall) string) {
	for _, name := range []string{"p", "x:r", "x:t/1", ""} {
		u.on(name, result)
	}
}

// TestRequestsPassUnchanged: what a request says reaches the upstream byte for
// byte, under its own names; _meta without what is of the client's connection.
func TestRequestsPassUnchanged(t *testing.T) {
	w := newWorld(t)
	up := newUpstream(t).with(everyKind())
	w.mount("a1", up)
	const meta = `,"_meta":{"traceparent":"00-1","n":12345678901234567890`
	for era, ask := range w.eras(w.key(), "/mcp") {
		for _, r := range requests {
			before := len(up.seen())
			a := ask(r.method, r.params)
			if era == "legacy" { // of the other era, _meta is sent with each request
				a = ask(r.method, r.params+meta+`,"progressToken":"p","io.modelcontextprotocol/x":1}`)
			}
			calls := up.seen()[before:]
			if len(calls) == 0 || !strings.Contains(a.body, `"result"`) {
				t.Errorf("%s, %s: %d calls, %s", era, r.params, len(calls), a.body)
				continue
			}
			if got := string(calls[0].Params); calls[0].Method != r.method || got != r.want {
				t.Errorf("%s:\n got %s %s\nwant %s %s", era, calls[0].Method, got, r.method, r.want)
			}
			if era != "legacy" {
				continue
			}
			got := string(calls[1].Params)
			if !strings.HasPrefix(got, strings.TrimSuffix(r.want, "}")+meta) || strings.Contains(got, "modelcontextprotocol") || strings.Contains(got, `"progressToken":"p"`) {
				t.Errorf("_meta of %s: %s", r.method, got)
			}
		}
	}
}

// TestEveryResultPassesUnchanged: a result, or an error, reaches the client as
// the upstream gave it, whatever was asked.
func TestEveryResultPassesUnchanged(t *testing.T) {
	w := newWorld(t)
	up := newUpstream(t).with(everyKind())
	w.mount("a1", up)
	for era, ask := range w.eras(w.key(), "/mcp") {
		for _, r := range requests {
			for _, result := range []string{
				`{"messages":[{"role":"user","content":{"type":"hologram","x":[1.50]}}],"n":12345678901234567890}`,
				`{"contents":[{"uri":"x:r","text":"a\u00e9\/é"},{"uri":"x:r/2","blob":"AA=="}],"odd":null}`,
				`{"completion":{"values":["}]}\"{[\\"],"total":12345678901234567890,"hasMore":false}}`,
				`{}`,
			} {
				up.onAny(func(fakeCall) string { return result })
				got := own(t, ask(r.method, r.params))
				if got != result {
					t.Errorf("%s, %s:\n got %s\nwant %s", era, r.method, got, result)
				}
			}
			const failed = `{"code":-31999,"message":"no \/ \u00e9","data":{"n":12345678901234567890,"odd":[1.50]}}`
			up.onAny(func(fakeCall) string { return answersError + failed })
			want := `{"jsonrpc":"2.0","id":1,"error":{"code":-31999,"message":"no / é","data":{"n":12345678901234567890,"odd":[1.50]}}}`
			if a := ask(r.method, r.params); a.body != want {
				t.Errorf("%s, %s:\n got %s\nwant %s", era, r.method, a.body, want)
			}
			up.onAny(func(fakeCall) string { return `{"_meta":{"a/b":[1.0]},"contents":[]}` })
			if a := ask(r.method, r.params); !strings.Contains(a.body, `"a/b":[1.0]`) {
				t.Errorf("%s, %s: _meta: %s", era, r.method, a.body)
			}
		}
	}
}

// TestCachingHints: a read is nobody else's, whatever the upstream says; the
// time that it grants stays.
func TestCachingHints(t *testing.T) {
	w := newWorld(t)
	up := newUpstream(t).with(everyKind())
	w.mount("a1", up)
	ask := w.eras(w.key(), "/mcp")["modern"]
	for result, want := range map[string]string{
		`{"contents":[],"ttlMs":60000,"cacheScope":"public"}`:                       `60000`,
		`{"contents":[],"cacheScope":"public","CacheScope":"public"}`:               `0`,
		`{"cacheScope":"public","contents":[],"cacheScope":"public","TTLMS":7}`:     `0`,
		`{"contents":[],"ttlMs":60000,"ttlMs":70000,"cachescope":"public"}`:         `60000`,
		`{"contents":[{"uri":"x:r","text":"\"cacheScope\":\"public\""}],"ttlMs":0}`: `0`,
	} {
		up.on("x:r", func(fakeCall) string { return result })
		var got struct{ Result map[string]json.RawMessage }
		a := ask("resources/read", `"uri":"x:r"`)
		must(t, json.Unmarshal([]byte(a.body), &got))
		if string(got.Result["cacheScope"]) != `"private"` || string(got.Result["ttlMs"]) != want {
			t.Errorf("%s: %s", result, a.body)
		}
		folded := strings.ToLower(strings.ReplaceAll(a.body, `\"`, ""))
		if strings.Count(folded, `"cachescope"`) != 1 || strings.Count(folded, `"ttlms"`) != 1 {
			t.Errorf("%s: said twice: %s", result, a.body)
		}
	}
}

// TestNameHeader: in 2026-07-28 the header that repeats what a request names
// must agree with it, whoever may have it.
func TestNameHeader(t *testing.T) {
	w := newWorld(t)
	up := newUpstream(t).with(everyKind())
	w.mount("a1", up)
	nobody := w.key(func(n *keys.NewKey) { n.MCPInstanceIDs = keys.Some(policy.Only()) })
	for _, k := range []keys.Issued{w.key(), nobody} {
		for _, r := range []struct{ method, params string }{{"prompts/get", `"name":"a1__p"`}, {"resources/read", `"uri":"x:r"`}} {
			all := append(auth(k), "Mcp-Protocol-Version", "2026-07-28", "Mcp-Method", r.method)
			body := `{"jsonrpc":"2.0","id":1,"method":` + quoted(r.method) + `,"params":{` + r.params + `,` + modernMeta + `}}`
			for _, header := range [][]string{nil, {"Mcp-Name", "other"}, {"Mcp-Name", ""}} {
				if a := w.post("/mcp", body, append(all, header...)...); a.status != 400 || !strings.Contains(a.body, "-32020") {
					t.Errorf("%s %v: %d %s", r.method, header, a.status, a.body)
				}
			}
		}
	}
	if n := len(up.seen()); n != 0 {
		t.Errorf("%d requests went on", n)
	}
}
