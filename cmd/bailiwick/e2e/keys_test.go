package e2e_test

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

// issuedKey is one of the six keys, with the naive reading of what it sees.
type issuedKey struct {
	name   string
	fields func(*mounted) object
	sees   func(tool, instance, upstream, effect string) bool // of an instance's tool
	call   toolCall                                           // one that must go through
	answer string                                             // and what its text holds
}

// Built-ins need a permission, which none of the keys has: whoami alone is for
// every key.
var issuedKeys = []issuedKey{{
	name:   "read-only",
	fields: func(*mounted) object { return object{} },
	sees:   func(_, _, _, effect string) bool { return effect == "read" },
	call:   toolCall{"files__read_text_file", nil}, // its path is only known at run time
	answer: "hello from a real file",
}, {
	name: "allow with two patterns",
	fields: func(*mounted) object {
		return with(fullAccess(), object{"mcpAllowlistMode": "allow", "mcpToolAllowlist": []string{"echo", "files__read_*"}})
	},
	sees: func(tool, _, upstream, _ string) bool {
		return upstream == "echo" || strings.HasPrefix(tool, "files__read_")
	},
	call:   toolCall{"everything__echo", object{"message": "through a pattern"}},
	answer: "Echo: through a pattern",
}, {
	name: "deny with one",
	fields: func(*mounted) object {
		return object{"mcpReadOnly": false, "mcpPreset": "standard",
			"mcpAllowlistMode": "deny", "mcpToolAllowlist": []string{"get-env"}}
	},
	sees:   func(_, _, upstream, effect string) bool { return upstream != "get-env" && effect != "destructive" },
	call:   toolCall{"everything-http__get-sum", object{"a": 20, "b": 22}},
	answer: "42",
}, {
	name: "one project",
	fields: func(m *mounted) object {
		return with(fullAccess(), object{"mcpProjectIds": []string{m.projects["beta"]}})
	},
	sees:   func(_, instance, _, _ string) bool { return instance == "files" },
	call:   toolCall{"files__read_text_file", nil},
	answer: "hello from a real file",
}, {
	name: "one instance",
	fields: func(m *mounted) object {
		return with(fullAccess(), object{"mcpInstanceIds": []string{m.instances["everything-http"]}})
	},
	sees:   func(_, instance, _, _ string) bool { return instance == "everything-http" },
	call:   toolCall{"everything-http__echo", object{"message": "over HTTP"}},
	answer: "Echo: over HTTP",
}}

// expected are the names that the naive reading lets through, sorted.
func (k issuedKey) expected(m *mounted) []string {
	names := []string{"whoami"}
	for name, tool := range m.tools {
		if instance, upstream, ok := strings.Cut(name, "__"); ok && k.sees(name, instance, upstream, effect(tool)) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// calls are the call that goes through, then every tool that is not listed.
func (k issuedKey) calls(m *mounted, expected []string) []toolCall {
	allowed := k.call
	if allowed.Arguments == nil {
		allowed.Arguments = object{"path": filepath.Join(m.folder, "hello.txt")}
	}
	calls := []toolCall{allowed}
	for name := range m.tools {
		if !slices.Contains(expected, name) {
			calls = append(calls, toolCall{name, object{}})
		}
	}
	return append(calls, toolCall{"no-such-tool", object{}}, toolCall{"everything__no-such-tool", object{}}, toolCall{"ghost__echo", object{}})
}

// TestSixKeys makes the keys over REST and checks with three clients that are
// not ours, and with raw HTTP in both eras, what each key lists and calls.
func TestSixKeys(t *testing.T) {
	t.Parallel()
	m := mountAll(t, serve(t))
	if len(m.tools) < 30 {
		t.Fatalf("only %d tools are mounted", len(m.tools))
	}
	tokens := make([]string, len(issuedKeys))
	for i, k := range issuedKeys {
		_, tokens[i] = m.rest().key(t, with(k.fields(m), object{"name": k.name}))
	}
	// The clients are processes of their own: two at a time keep two cores busy.
	var clients sync.WaitGroup
	for _, sdk := range []struct{ name, version string }{{"sdk-v1", legacyVersion}, {"sdk-v2", modernVersion}} {
		clients.Go(func() { t.Run(sdk.name, func(t *testing.T) { checkWithSDK(t, m, sdk.name, sdk.version, tokens) }) })
	}
	clients.Wait()
	t.Run("inspector", func(t *testing.T) { checkWithInspector(t, m, tokens) })
	t.Run("inspector otherwise", func(t *testing.T) { checkInspectorOtherwise(t, m, tokens[0]) })
	t.Run("raw", func(t *testing.T) { checkRaw(t, m, tokens) })
	t.Run("paused", func(t *testing.T) { checkPaused(t, m) })
}

func checkWithSDK(t *testing.T, m *mounted, sdk, version string, tokens []string) {
	var sessions []clientSession
	for i, k := range issuedKeys {
		sessions = append(sessions, clientSession{Target: withKey(m.url+"/mcp", tokens[i]), Calls: k.calls(m, k.expected(m))})
	}
	for i, report := range runSDK(t, sdk, sessions...) {
		k := issuedKeys[i]
		if report.ConnectError != nil {
			t.Errorf("%s: no session: %+v", k.name, report.ConnectError)
			continue
		}
		if report.Version != version {
			t.Errorf("%s: negotiated %s, want %s", k.name, report.Version, version)
		}
		checkListed(t, k, report.names(), k.expected(m))
		if got := string(report.Calls[0].Result); !strings.Contains(got, k.answer) || strings.Contains(got, `"isError":true`) {
			t.Errorf("%s: %s answered %s %+v", k.name, k.call.Name, got, report.Calls[0].Error)
		}
		refused := map[string]string{}
		for j, call := range sessions[i].Calls[1:] {
			got := report.Calls[j+1]
			if got.Error == nil || got.Wire == nil {
				t.Errorf("%s: %s is not listed and answered %s", k.name, call.Name, got.Result)
				continue
			}
			if got.Error.Code != float64(-32602) {
				t.Errorf("%s: %s: code %v, want -32602", k.name, call.Name, got.Error.Code)
			}
			refused[call.Name] = refusal(t, call.Name, got.Wire.Status, "", []byte(got.Wire.Body))
		}
		checkAlike(t, k.name, refused)
	}
}

func checkWithInspector(t *testing.T, m *mounted, tokens []string) {
	for i, k := range issuedKeys {
		t.Run(k.name, func(t *testing.T) {
			t.Parallel()
			checkListed(t, k, inspectorLists(t, m.url+"/mcp", tokens[i]), k.expected(m))
			calls := k.calls(m, k.expected(m))
			arguments, _ := json.Marshal(calls[0].Arguments)
			code, out, problems := inspector(t, m.url+"/mcp", tokens[i], "tools/call", "--tool-name", calls[0].Name, "--tool-args-json", string(arguments))
			if code != 0 || !strings.Contains(out, k.answer) {
				t.Errorf("%s: exit %d\n%s\n%s", calls[0].Name, code, out, problems)
			}
			// The Inspector looks a tool up in the list before it calls.
			code, out, problems = inspector(t, m.url+"/mcp", tokens[i], "tools/call", "--tool-name", calls[1].Name)
			if code == 0 {
				t.Errorf("%s is not listed: exit 0\n%s\n%s", calls[1].Name, out, problems)
			}
		})
	}
}

// checkInspectorOtherwise lists over the legacy SSE endpoint and in 2026-07-28.
func checkInspectorOtherwise(t *testing.T, m *mounted, token string) {
	k := issuedKeys[0]
	checkListed(t, k, inspectorLists(t, m.url+"/sse", token, "--transport", "sse"), k.expected(m))
	checkListed(t, k, inspectorLists(t, m.url+"/mcp", token, "--protocol-era", "modern"), k.expected(m))
}

func inspectorLists(t *testing.T, url, token string, args ...string) []string {
	t.Helper()
	code, out, problems := inspector(t, url, token, "tools/list", args...)
	var list struct {
		Result struct{ Tools []object }
		Tools  []object
	}
	if code != 0 || json.Unmarshal([]byte(out), &list) != nil {
		t.Fatalf("tools/list: exit %d\n%s\n%s", code, out, problems)
	}
	return clientReport{Tools: append(list.Tools, list.Result.Tools...)}.names()
}

// checkRaw compares the bytes of every refusal, its headers included, in a
// legacy session and in 2026-07-28.
func checkRaw(t *testing.T, m *mounted, tokens []string) {
	for i, k := range issuedKeys {
		expected := k.expected(m)
		for era, client := range map[string]mcpClient{
			legacyVersion: openSession(t, m.url+"/mcp", tokens[i]),
			modernVersion: modern{m.url + "/mcp", tokens[i]},
		} {
			var names []string
			for name := range listTools(t, client) {
				names = append(names, name)
			}
			checkListed(t, k, names, expected)
			refused := map[string]string{}
			for _, call := range k.calls(m, expected)[1:] {
				got := callTool(t, client, call.Name, call.Arguments)
				refused[call.Name] = refusal(t, call.Name, got.status, got.contentType, got.body)
			}
			checkAlike(t, k.name+" "+era, refused)
		}
	}
}

// checkPaused wants every door of MCP shut, with the same word, and REST open.
func checkPaused(t *testing.T, m *mounted) {
	_, token := m.rest().key(t, with(fullAccess(), object{"mcpActive": false, "permissions": []string{"view:api-keys"}}))
	asked := map[string]answer{
		"initialize":         must((&legacy{url: m.url + "/mcp", token: token}).ask("initialize", object{"protocolVersion": legacyVersion, "capabilities": object{}, "clientInfo": object{"name": "e", "version": "1"}}))(t),
		"tools/list":         must(modern{m.url + "/mcp", token}.ask("tools/list", object{}))(t),
		"tools/call":         callTool(t, modern{m.url + "/mcp", token}, "everything__echo", object{"message": "x"}),
		"call of an unknown": callTool(t, modern{m.url + "/mcp", token}, "no-such-tool", object{}),
	}
	for what, got := range asked {
		var problem struct{ Code string }
		if err := json.Unmarshal(got.body, &problem); err != nil || got.status != 403 || problem.Code != "key_paused" {
			t.Errorf("%s with a paused key: %d %s", what, got.status, got.body)
		}
	}
	for _, sdk := range []string{"sdk-v1", "sdk-v2"} {
		if report := runSDK(t, sdk, clientSession{Target: withKey(m.url+"/mcp", token)})[0]; report.ConnectError == nil {
			t.Errorf("%s got a session with a paused key and sees %v", sdk, report.names())
		}
	}
	if code, out, _ := inspector(t, m.url+"/mcp", token, "tools/list"); code == 0 {
		t.Errorf("the Inspector lists with a paused key: %s", out)
	}
	rest{m.url, token}.must(t, "GET", "/api/api-keys", nil)
}

func checkListed(t *testing.T, k issuedKey, got, want []string) {
	t.Helper()
	got = slices.Sorted(slices.Values(got))
	if !slices.Equal(got, want) {
		t.Errorf("%s lists\n  %v, want\n  %v", k.name, got, want)
	}
	if len(want) < 2 {
		t.Errorf("%s: the naive reading shows nothing, so nothing was compared", k.name)
	}
}

// refusal is an answer with its three variables replaced: the echoed name, the
// reference, the request's id.
func refusal(t *testing.T, name string, status int, contentType string, body []byte) string {
	t.Helper()
	text := string(body)
	for line := range strings.Lines(text) { // an event stream carries it in a data line
		if data, ok := strings.CutPrefix(line, "data:"); ok {
			text = strings.TrimSpace(data)
		}
	}
	var message struct {
		ID    json.RawMessage
		Error struct{ Message string }
	}
	if err := json.Unmarshal([]byte(text), &message); err != nil {
		t.Fatalf("refusal of %s: %v in %q", name, err, body)
	}
	var ref string
	if _, after, ok := strings.Cut(message.Error.Message, "(ref "); ok {
		ref, _, _ = strings.Cut(after, ")")
	}
	if ref == "" || message.Error.Message != fmt.Sprintf("Unknown tool: %s (ref %s)", name, ref) {
		t.Errorf("refusal of %s reads %q", name, message.Error.Message)
	}
	text = strings.ReplaceAll(text, ref, "REF")
	text = strings.ReplaceAll(text, "Unknown tool: "+name, "Unknown tool: NAME")
	text = strings.Replace(text, `"id":`+string(message.ID), `"id":ID`, 1)
	return fmt.Sprintf("%d %s %s", status, contentType, text)
}

// checkAlike wants one form for all refusals, an unknown tool's among them.
func checkAlike(t *testing.T, what string, refused map[string]string) {
	t.Helper()
	want, ok := refused["no-such-tool"]
	if !ok || len(refused) < 4 {
		t.Errorf("%s: only %d refusals to compare", what, len(refused))
	}
	for name, got := range refused {
		if got != want {
			t.Errorf("%s: %s is refused with\n  %s, an unknown tool with\n  %s", what, name, got, want)
		}
	}
}
