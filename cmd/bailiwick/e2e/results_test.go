package e2e_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"testing"
)

// deterministic are calls of server-everything that answer alike each time.
var deterministic = []toolCall{
	{"echo", object{"message": "héllo \u2028 <&> \"quoted\" \U0001f511"}},
	{"get-annotated-message", object{"messageType": "error", "includeImage": true}},
	{"get-annotated-message", object{"messageType": "success"}},
	{"get-annotated-message", object{"messageType": "debug", "includeImage": false}},
	{"get-resource-links", object{"count": 10}},
	{"get-resource-reference", object{"resourceType": "Text", "resourceId": 7}},
	{"get-resource-reference", object{"resourceType": "Blob", "resourceId": 8}},
	{"get-structured-content", object{"location": "Chicago"}},
	{"get-sum", object{"a": 9007199254740993, "b": 0.1}},
	{"get-sum", object{"a": "not a number"}}, // the upstream's own isError
	{"get-tiny-image", object{}},
	{"gzip-file-as-resource", object{"name": "a.gz", "data": "data:text/plain,abc", "outputType": "resource"}},
	{"gzip-file-as-resource", object{"name": "b.gz", "data": "data:text/plain,abc", "outputType": "resourceLink"}},
	{"trigger-long-running-operation", object{"duration": 0.05, "steps": 2}},
}

// otherwise says why a tool of server-everything is not among them.
var otherwise = map[string]string{
	"get-env":                           "answers the environment of its own process",
	"toggle-simulated-logging":          "names the session and flips a state",
	"toggle-subscriber-updates":         "names the session and flips a state",
	"simulate-research-query":           "runs as a task only",
	"get-roots-list":                    "asks the client",
	"trigger-elicitation-request":       "asks the client",
	"trigger-url-elicitation":           "asks the client",
	"trigger-sampling-request":          "asks the client",
	"trigger-sampling-request-async":    "asks the client",
	"trigger-elicitation-request-async": "asks the client",
}

// TestResultsEqualTheUpstreams compares raw bytes: the whole result in a
// session, its content members in 2026-07-28 (which adds resultType).
func TestResultsEqualTheUpstreams(t *testing.T) {
	t.Parallel()
	m := mountAll(t, serve(t))
	_, token := m.rest().key(t, fullAccess())
	checkEveryToolIsNamed(t, m)
	upstream := startStdio(t, nodePath(t), everything(t), "stdio")
	session, stateless := openSession(t, m.url+"/mcp", token), modern{m.url + "/mcp", token}
	for _, call := range deterministic {
		for _, instance := range []string{"everything", "everything-http"} {
			name := instance + "__" + call.Name
			whole := inOneSecond(t, upstream, call, func() json.RawMessage {
				return callTool(t, session, name, call.Arguments).result(t)
			})
			if got, want := whole[1], whole[0]; got != want {
				t.Errorf("%s %v answers\n  %s, the upstream itself\n  %s", name, call.Arguments, got, want)
			}
			parts := inOneSecond(t, upstream, call, func() json.RawMessage {
				return callTool(t, stateless, name, call.Arguments).result(t)
			})
			if got, want := contentOf(t, parts[1]), contentOf(t, parts[0]); got != want {
				t.Errorf("%s %v answers in %s\n  %s, the upstream itself\n  %s", name, call.Arguments, modernVersion, got, want)
			}
		}
	}
}

// TestEnvironmentIsScrubbed: what the server's process knows, an upstream does not.
func TestEnvironmentIsScrubbed(t *testing.T) {
	t.Parallel()
	s := serveOn(t, t.TempDir(), []string{"E2E_CANARY=canary-in-the-environment"})
	m := &mounted{server: s, projects: map[string]string{}, instances: map[string]string{}}
	m.project(t, "alpha")
	m.mount(t, "alpha", "everything", object{"transport": "stdio", "command": nodePath(t),
		"args": []string{everything(t), "stdio"}, "env": object{"E2E_GIVEN": "given-to-the-instance"}})
	m.settle(t, "everything__get-env")
	_, token := m.rest().key(t, fullAccess())
	got := string(callTool(t, modern{m.url + "/mcp", token}, "everything__get-env", object{}).result(t))
	if strings.Contains(got, "canary-in-the-environment") || strings.Contains(got, s.firstKey) {
		t.Errorf("the upstream sees the server's environment: %s", got)
	}
	if !strings.Contains(got, "given-to-the-instance") {
		t.Errorf("the upstream misses the environment of its instance: %s", got)
	}
}

func checkEveryToolIsNamed(t *testing.T, m *mounted) {
	compared, seen := map[string]bool{}, 0
	for _, call := range deterministic {
		compared[call.Name] = true
	}
	for name := range m.tools {
		if upstream, ok := strings.CutPrefix(name, "everything__"); ok {
			seen++
			if !compared[upstream] && otherwise[upstream] == "" {
				t.Errorf("server-everything lists %s, which is neither compared nor excused", upstream)
			}
		}
	}
	if seen < len(compared) {
		t.Errorf("server-everything lists %d tools, %d are to be compared", seen, len(compared))
	}
}

// inOneSecond answers the upstream's own result and the one through the
// server. Resources name the second they were made in, so it asks again until
// the upstream says the same before and after.
func inOneSecond(t *testing.T, upstream *stdioUpstream, call toolCall, through func() json.RawMessage) [2]string {
	t.Helper()
	for range 10 {
		before := upstream.call(t, call)
		got := string(through())
		if upstream.call(t, call) == before {
			return [2]string{before, got}
		}
	}
	t.Fatalf("%s answers differently each time", call.Name)
	return [2]string{}
}

// contentOf are the raw members that carry a result's content.
func contentOf(t *testing.T, result string) string {
	t.Helper()
	var members map[string]json.RawMessage
	if err := json.Unmarshal([]byte(result), &members); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("content %s structured %s isError %s", members["content"], members["structuredContent"], members["isError"])
}

// stdioUpstream is a MCP server asked directly, without Bailiwick.
type stdioUpstream struct {
	in    io.Writer
	lines *bufio.Scanner
}

func startStdio(t *testing.T, command string, args ...string) *stdioUpstream {
	t.Helper()
	process := exec.Command(command, args...)
	in, err := process.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := process.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := process.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = process.Process.Kill()
		_ = process.Wait()
	})
	u := &stdioUpstream{in: in, lines: bufio.NewScanner(out)}
	u.lines.Buffer(nil, 1<<20)
	u.ask(t, "initialize", object{"protocolVersion": legacyVersion, "capabilities": object{}, "clientInfo": object{"name": "e2e-raw", "version": "1"}})
	fmt.Fprintln(u.in, `{"jsonrpc":"2.0","method":"notifications/initialized"}`)
	return u
}

func (u *stdioUpstream) call(t *testing.T, call toolCall) string {
	t.Helper()
	return u.ask(t, "tools/call", object{"name": call.Name, "arguments": call.Arguments})
}

func (u *stdioUpstream) ask(t *testing.T, method string, params object) string {
	t.Helper()
	id := requestID.Add(1)
	message, err := json.Marshal(object{"jsonrpc": "2.0", "id": id, "method": method, "params": params})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := u.in.Write(append(message, '\n')); err != nil {
		t.Fatal(err)
	}
	for u.lines.Scan() {
		var reply struct {
			ID     json.Number
			Result json.RawMessage
		}
		if json.Unmarshal(u.lines.Bytes(), &reply) == nil && reply.ID.String() == fmt.Sprint(id) && reply.Result != nil {
			return string(reply.Result)
		}
	}
	t.Fatalf("%s: the upstream ended: %v", method, u.lines.Err())
	return ""
}
