package mcp_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/bailiwick-mcp/bailiwick/keys"
)

// result is the result of an answer, or fails.
func (a answer) result(t testing.TB) map[string]json.RawMessage {
	t.Helper()
	var v struct{ Result map[string]json.RawMessage }
	if json.Unmarshal([]byte(a.body), &v) != nil || v.Result == nil {
		t.Fatalf("no result: %d %s", a.status, a.body)
	}
	return v.Result
}

// taskID finds the id in a task, or in the result that made one.
func (a answer) taskID(t testing.TB) string {
	t.Helper()
	r := a.result(t)
	if inner := r["task"]; inner != nil {
		r = nil
		must(t, json.Unmarshal(inner, &r))
	}
	var id string
	if json.Unmarshal(r["taskId"], &id) != nil || id == "" {
		t.Fatalf("no task: %s", a.body)
	}
	return id
}

// makeTask calls a tool as a task.
func (l *legacy) makeTask(tool string) answer {
	l.w.t.Helper()
	return l.send(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":` + quoted(tool) + `,"arguments":{"a":1},"task":{"ttl":60000}}}`)
}

// task asks about a task.
func (l *legacy) task(method, id string) answer {
	l.w.t.Helper()
	return l.send(`{"jsonrpc":"2.0","id":2,"method":` + quoted(method) + `,"params":{"taskId":` + quoted(id) + `}}`)
}

const takesTasks = `"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientInfo":{"name":"test","version":"1"},"io.modelcontextprotocol/clientCapabilities":{"extensions":{"io.modelcontextprotocol/tasks":{}}}}`

// stateless is a client of 2026-07-28 that takes tasks.
type stateless struct {
	w    *world
	k    keys.Issued
	path string
	meta string
}

func (w *world) stateless(k keys.Issued) *stateless { return &stateless{w, k, "/mcp", takesTasks} }

func (s *stateless) send(method, name, params string, headers ...string) answer {
	s.w.t.Helper()
	all := append(auth(s.k), "Mcp-Protocol-Version", "2026-07-28", "Mcp-Method", method)
	if name != "" {
		all = append(all, "Mcp-Name", name)
	}
	if params != "" {
		params += ","
	}
	return s.w.post(s.path, `{"jsonrpc":"2.0","id":3,"method":`+quoted(method)+`,"params":{`+params+s.meta+`}}`, append(all, headers...)...)
}

func (s *stateless) makeTask(tool string) answer {
	s.w.t.Helper()
	return s.send("tools/call", tool, `"name":`+quoted(tool)+`,"arguments":{"a":1}`)
}

func (s *stateless) task(method, id string) answer {
	s.w.t.Helper()
	more := ""
	if method == "tasks/update" {
		more = `,"inputResponses":{"name":{"action":"accept","content":{"n":12345678901234567890}}}`
	}
	return s.send(method, id, `"taskId":`+quoted(id)+more)
}

// taskClient is a client of either era that makes tasks and asks about them.
type taskClient interface {
	makeTask(tool string) answer
	task(method, id string) answer
}

// unknownTask is what is said of a task that is not there, whatever the reason.
func unknownTask(t testing.TB, what, id string, a answer) {
	t.Helper()
	var v struct {
		Error struct {
			Code    int
			Message string
			Data    json.RawMessage
		}
	}
	head := "Unknown task: " + id + " (ref "
	if json.Unmarshal([]byte(a.body), &v) != nil || a.status != http.StatusOK || v.Error.Code != -32602 ||
		!strings.HasPrefix(v.Error.Message, head) || len(v.Error.Message) != len(head)+17 || v.Error.Data != nil {
		t.Errorf("%s: %d %s", what, a.status, a.body)
	}
}
