package mcp_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	mcpgo "github.com/mark3labs/mcp-go/mcp"
	mcpserver "github.com/mark3labs/mcp-go/server"

	"github.com/bailiwick-mcp/bailiwick/keys"
)

// TestTaskServerOfMCPGo has tasks of a real server: mcp-go's, with sessions. All
// keys are one session to it (v1.2.1 tells tasks apart by nothing else), so what
// keeps them apart is the gateway.
func TestTaskServerOfMCPGo(t *testing.T) {
	s := mcpserver.NewMCPServer("tasks", "1", mcpserver.WithTaskCapabilities(true, true, true))
	release := make(chan struct{})
	text := func(text string) []mcpgo.Content { return []mcpgo.Content{mcpgo.NewTextContent(text)} }
	s.AddTaskTool(mcpgo.NewTool("run", mcpgo.WithTaskSupport(mcpgo.TaskSupportRequired)), func(_ context.Context, r mcpgo.CallToolRequest) (*mcpgo.CreateTaskResult, error) {
		<-release // and not the context: over HTTP it ends with the call that made the task
		return &mcpgo.CreateTaskResult{Content: text("ran for " + r.GetString("who", "?"))}, nil
	})
	s.AddTool(mcpgo.NewTool("walk", mcpgo.WithTaskSupport(mcpgo.TaskSupportOptional)), func(context.Context, mcpgo.CallToolRequest) (*mcpgo.CallToolResult, error) {
		return mcpgo.NewToolResultText("walked"), nil
	})
	server := httptest.NewServer(mcpserver.NewStreamableHTTPServer(s,
		mcpserver.WithStreamableHTTPProtocolVersions(mcpgo.ProtocolVersion20251125)))
	t.Cleanup(func() { server.CloseClientConnections(); server.Close() })
	w := newWorld(t)
	w.mountAs(w.op, "go", &fakeUpstream{server: server, tools: make([]string, 2)}, func(spec *keys.InstanceSpec) {
		spec.URL = keys.Some(server.URL + "/mcp")
	})
	k := w.key()
	c, other := w.connect(k, "/mcp"), w.connect(w.key(), "/mcp")
	c.list()
	mine := w.stream(http.MethodGet, "/mcp", "", c.headers...)
	// Without a ttl, for which mcp-go (v1.2.1) would sleep beyond the test's end.
	begin := func(c *legacy, tool, who string) string {
		t.Helper()
		return c.send(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"` + tool + `","arguments":{"who":"` + who + `"},"task":{}}}`).taskID(t)
	}
	id, foreign, canceled := begin(c, "go__run", "me"), begin(other, "go__run", "another"), begin(c, "go__run", "nobody")
	for _, method := range []string{"tasks/get", "tasks/result", "tasks/cancel"} {
		unknownTask(t, method, foreign, c.task(method, foreign))
		unknownTask(t, method, id, other.task(method, id))
	}
	if a := c.task("tasks/get", id); !strings.Contains(a.body, `"status":"working"`) || a.taskID(t) != id {
		t.Error(a.body)
	}
	if a := c.task("tasks/cancel", canceled); !strings.Contains(a.body, `"status":"cancelled"`) || a.taskID(t) != canceled {
		t.Error(a.body)
	}
	if got := mine.next(); !strings.Contains(got, `"notifications/tasks/status"`) || !strings.Contains(got, `"taskId":"`+canceled+`"`) || !strings.Contains(got, `"cancelled"`) {
		t.Error(got)
	}
	close(release)
	if a := c.task("tasks/result", id); !strings.Contains(a.body, "ran for me") || !strings.Contains(a.body, `"_meta":{"io.modelcontextprotocol/related-task":{"taskId":"`+id+`"}}`) {
		t.Error(a.body)
	}
	if a := other.task("tasks/result", foreign); !strings.Contains(a.body, "ran for another") {
		t.Error(a.body)
	}
	if got := mine.next(); !strings.Contains(got, `"taskId":"`+id+`"`) || !strings.Contains(got, `"completed"`) {
		t.Error(got)
	}
	mine.quiet("another key's task")
	if a := c.call("go__run", `{}`); !strings.Contains(a.body, `"code":-32601`) || !strings.Contains(a.body, "requires task augmentation") {
		t.Error(a.body)
	}
	if a := c.task("tasks/result", begin(c, "go__walk", "me")); !strings.Contains(a.body, "walked") {
		t.Error(a.body)
	}
	if a := c.call("go__walk", `{}`); !strings.Contains(a.body, "walked") {
		t.Error(a.body)
	}
}
