package upstream_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/mcp/upstream"
)

// notes is a file that a server writes lines to, and a way to wait for one.
func notes(t *testing.T) (path string, wait func(part string) string) {
	path = filepath.Join(t.TempDir(), "notes")
	return path, func(part string) string {
		t.Helper()
		for late := time.Now().Add(patience); time.Now().Before(late); time.Sleep(5 * time.Millisecond) {
			b, _ := os.ReadFile(path)
			for _, line := range strings.Split(string(b), "\n") {
				if strings.Contains(line, part) {
					return line
				}
			}
		}
		t.Fatalf("the server did not note %q", part)
		return ""
	}
}

func TestResultBytesAreKept(t *testing.T) {
	m := run(t, stdio(t, "misbehave")).ready()
	if got := m.call("odd", `{}`); got != oddResult {
		t.Errorf("got  %s\nwant %s", got, oddResult)
	}
	reply, err := m.Call(context.Background(), upstream.Call{Tool: "error"})
	if err != nil || reply.Error == nil || reply.Error.Code != -32050 || reply.Error.Message != "no" ||
		string(reply.Error.Data) != `{"n":9007199254740993}` {
		t.Errorf("error %+v %v", reply.Error, err)
	}
}

func TestParamsAreKept(t *testing.T) {
	m := run(t, stdio(t, "misbehave")).ready()
	tests := []struct {
		name string
		call upstream.Call
		want string
	}{
		{"absent", upstream.Call{}, `{"name":"params"}`},
		{"big integer", upstream.Call{Arguments: raw(`{"n":9007199254740993,"n2":1.50}`)},
			`{"name":"params","arguments":{"n":9007199254740993,"n2":1.50}}`},
		{"line breaks do not end the message", upstream.Call{Arguments: raw("{\"a\":\r\n1}\n")},
			`{"name":"params","arguments":{"a":  1} }`},
		{"meta", upstream.Call{Meta: raw(`{"traceparent":"00-1","n":9007199254740993}`)},
			`{"name":"params","_meta":{"traceparent":"00-1","n":9007199254740993}}`},
		{"meta of the protocol", upstream.Call{Meta: raw(`{"progressToken":"theirs","io.modelcontextprotocol/protocolVersion":"1","io.modelcontextprotocol\/clientInfo":1}`)},
			`{"name":"params"}`},
		{"meta that is no object", upstream.Call{Meta: raw(`{"a":1,`)}, `{"name":"params"}`},
	}
	for _, tt := range tests {
		tt.call.Tool = "params"
		reply, err := m.Call(context.Background(), tt.call)
		if err != nil || reply.Error != nil {
			t.Errorf("%s: %v %v", tt.name, reply.Error, err)
			continue
		}
		var r struct{ Content []struct{ Text string } }
		if err := json.Unmarshal(reply.Result, &r); err != nil || r.Content[0].Text != tt.want {
			t.Errorf("%s:\ngot  %s\nwant %s", tt.name, reply.Result, tt.want)
		}
	}
	for _, bad := range []string{`[]`, `1`, `{"a":1}{"b":2}`, "{}\n{\"jsonrpc\":\"2.0\"}", `{"a":}`} {
		if _, err := m.Call(context.Background(), upstream.Call{Tool: "params", Arguments: raw(bad)}); err == nil {
			t.Errorf("arguments %s went out", bad)
		}
	}
}

func TestGarbageAnswers(t *testing.T) {
	m := run(t, stdio(t, "misbehave")).ready()
	for _, tool := range []string{"both", "neither", "twice", "null", "array", "odderror"} {
		m.fails(tool, upstream.ErrGarbage)
	}
	for _, tool := range []string{"chatter", "unasked", "odd"} {
		m.call(tool, `{}`)
	}
	if n := len(m.lists); n != 1 {
		t.Errorf("%d lists: the connection was made anew", n)
	}
	// A cut answer ends the connection, for it may be anybody's.
	m.fails("cut", upstream.ErrGarbage)
	m.until("the restart", func() bool { return len(m.lists) == 2 })
}

func TestCancel(t *testing.T) {
	path, wait := notes(t)
	m := run(t, stdio(t, "misbehave", "UPSTREAM_TEST_NOTES", path)).ready()
	cause := errors.New("the client left")
	ctx, cancel := context.WithCancelCause(context.Background())
	result := make(chan error)
	go func() { _, err := m.Call(ctx, upstream.Call{Tool: "silent"}); result <- err }()
	id := strings.TrimPrefix(wait("silent "), "silent ")
	cancel(cause)
	if err := <-result; !errors.Is(err, cause) {
		t.Errorf("error %v", err)
	}
	if line := wait("notifications/cancelled"); !strings.Contains(line, `"requestId":`+id+`,`) {
		t.Errorf("%s; the request was %s", line, id)
	}
}

func TestNoticesAreInOrderAndBeforeTheReply(t *testing.T) {
	m := run(t, stdio(t, "misbehave")).ready()
	var got []string
	returned := false
	_, err := m.Call(context.Background(), upstream.Call{Tool: "notices", Progress: func(p json.RawMessage) {
		if returned {
			t.Error("progress after the call returned")
		}
		if got == nil {
			m.call("odd", `{}`) // its answer comes after all of this call's
		}
		got = append(got, string(p))
	}})
	returned = true
	if err != nil || len(got) != 50 {
		t.Fatalf("%d notices, %v", len(got), err)
	}
	for i, p := range got {
		if want := fmt.Sprintf(`{ "progress":%d }`, i); p != want {
			t.Errorf("notice %s, want %s", p, want)
		}
	}
}

// A slow reader of progress holds up nobody else.
func TestSlowProgressBlocksNobody(t *testing.T) {
	m := run(t, stdio(t, "misbehave")).ready()
	begun, release := make(chan struct{}), make(chan struct{})
	var once sync.Once
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = m.Call(context.Background(), upstream.Call{Tool: "notices", Progress: func(json.RawMessage) {
			once.Do(func() { close(begun) })
			<-release
		}})
	}()
	<-begun
	m.call("odd", `{}`)
	close(release)
	<-done
}

func TestRequestsOfTheUpstream(t *testing.T) {
	path, wait := notes(t)
	m := run(t, stdio(t, "misbehave", "UPSTREAM_TEST_NOTES", path)).ready()
	m.call("ping", `{}`)
	wait(`answered "q" {}`)
	m.call("sampling/createMessage", `{}`)
	wait(`answered "q" {"code":-32601`)
}

func TestStdioHandshakes(t *testing.T) {
	for server, protocol := range map[string]string{"misbehave": "2025-11-25", "old": "2024-11-05", "strict": "2025-06-18",
		"ignorant": "2025-03-26", "genuine": "2026-07-28"} {
		t.Run(server, func(t *testing.T) {
			cfg := stdio(t, server)
			cfg.ConnectTimeout = 2 * time.Second
			if m := run(t, cfg).ready(); m.Status().Protocol != protocol {
				t.Errorf("status %+v", m.Status())
			}
		})
	}
}

// The era is remembered: a server that ignores server/discover is not asked
// again when it comes back.
func TestEraIsRemembered(t *testing.T) {
	path, wait := notes(t)
	cfg := stdio(t, "ignorant", "UPSTREAM_TEST_NOTES", path)
	cfg.ConnectTimeout = time.Second
	m := run(t, cfg).ready()
	wait("discover ignored")
	m.fails("crash", upstream.ErrDown)
	m.until("the restart", func() bool { return len(m.lists) == 2 })
	b, _ := os.ReadFile(path)
	if n := strings.Count(string(b), "discover ignored"); n != 1 {
		t.Errorf("asked %d times", n)
	}
}

func TestDown(t *testing.T) {
	tests := []struct {
		name    string
		config  func() upstream.Config
		problem string
	}{
		{"command not found", func() upstream.Config {
			return upstream.Config{Transport: keys.TransportStdio, Command: "no-such-command-here"}
		}, "command not found: no-such-command-here"},
		{"path not found", func() upstream.Config {
			return upstream.Config{Transport: keys.TransportStdio, Command: "/nowhere/server"}
		}, "command not found: /nowhere/server"},
		{"not on its own PATH", func() upstream.Config {
			return upstream.Config{Transport: keys.TransportStdio, Command: "sh", Env: map[string]keys.Secret{"PATH": "/nowhere"}}
		}, "command not found: sh"},
		{"not executable", func() upstream.Config {
			return upstream.Config{Transport: keys.TransportStdio, Command: "/etc/passwd"}
		}, "cannot be run: permission denied"},
		{"hangs", func() upstream.Config { return stdio(t, "mute") }, "no answer to initialize in time"},
		{"exits", func() upstream.Config { return stdio(t, "exit") }, "its process ended: exit status 3"},
		{"babbles", func() upstream.Config { return stdio(t, "babble") }, "its standard output has lines that are not JSON-RPC"},
		{"version", func() upstream.Config { return stdio(t, "unknown") }, `protocol version "1999-01-01" is not known`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			cfg := tt.config()
			cfg.ConnectTimeout = time.Second
			m := run(t, cfg)
			m.until("the problem", func() bool { return strings.Contains(m.last().Problem, tt.problem) })
			if err := m.fails("odd", upstream.ErrDown); !strings.Contains(err.Error(), "fixture: ") {
				t.Errorf("error %v", err)
			}
		})
	}
}

func TestNoCredentialInLogsOrProblems(t *testing.T) {
	core, logs := observer.New(zap.DebugLevel)
	cfg := stdio(t, "misbehave", "API_TOKEN", "canary-of-12-chars")
	cfg.Log = zap.New(core)
	m := run(t, cfg).ready()
	m.call("stderr", `{}`)
	m.call("chatter", `{}`)
	m.stop()
	var stderr, stray int
	for _, e := range logs.All() {
		line := fmt.Sprint(e.Message, e.ContextMap())
		if strings.Contains(line, "canary") {
			t.Errorf("logged: %s", line)
		}
		if e.Message == "upstream's standard error" {
			stderr++
			if e.Level != zap.DebugLevel || len(line) > 5000 || !strings.Contains(line, "the token is [redacted]") {
				t.Errorf("%v, %d bytes: %.100s", e.Level, len(line), line)
			}
		}
		if e.Message == "upstream's stray line on standard output" {
			stray++
		}
	}
	if stderr != 1 || stray != 4 {
		t.Errorf("%d lines of standard error, %d stray", stderr, stray)
	}
}
