package mcp_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"
)

// TestTaskLegacy is a task of 2025-11-25 from its making to its end.
func TestTaskLegacy(t *testing.T) {
	w := newWorld(t)
	u := newTaskUpstream(t, false, taskTool("run", "optional"))
	w.mountTasks("a1", u)
	c := w.connect(w.key(), "/mcp")

	made := c.makeTask("a1__run")
	id := made.taskID(t)
	sent := u.requests("tools/call")[0]
	if !strings.Contains(string(sent.params), `"task":{"ttl":60000}`) || sent.text("name") != "run" {
		t.Errorf("passed on: %s", sent.params)
	}
	at := u.born.UTC().Format(time.RFC3339)
	state := `"taskId":"` + id + `","status":"%s","createdAt":"` + at + `","lastUpdatedAt":"` + at + `","ttl":60000,"big":12345678901234567890`
	is := func(what, want string, a answer) {
		t.Helper()
		if a.status != http.StatusOK || a.body != want {
			t.Errorf("%s: %d\n%s\n%s", what, a.status, a.body, want)
		}
	}
	is("made", `{"jsonrpc":"2.0","id":1,"result":{"task":{`+strings.Replace(state, "%s", "working", 1)+
		`},"_meta":{"io.modelcontextprotocol/related-task":{"taskId":"`+id+`"},"x":1}}}`, made)
	is("asked", `{"jsonrpc":"2.0","id":2,"result":{`+strings.Replace(state, "%s", "working", 1)+`}}`, c.task("tasks/get", id))

	waiting := make(chan answer, 1)
	go func() { waiting <- c.task("tasks/result", id) }()
	w.until("the result is waited for", func() bool { return len(u.requests("tasks/result")) == 1 })
	u.finish(1, "completed", `{"content":[{"type":"text","text":"1","x":1.0}],"taskId":"1","task":{"taskId":"1"},"_meta":{"io.modelcontextprotocol/related-task":{"taskId":"1"},"y":[1]}}`)
	is("result", `{"jsonrpc":"2.0","id":2,"result":{"content":[{"type":"text","text":"1","x":1.0}],"taskId":"1","task":{"taskId":"1"},"_meta":{"io.modelcontextprotocol/related-task":{"taskId":"`+id+`"},"y":[1]}}}`, <-waiting)
	is("ended", `{"jsonrpc":"2.0","id":2,"result":{`+strings.Replace(state, "%s", "completed", 1)+`}}`, c.task("tasks/get", id))

	second := c.makeTask("a1__run").taskID(t)
	if second == id {
		t.Error("two tasks have one id")
	}
	is("canceled", `{"jsonrpc":"2.0","id":2,"result":{`+strings.Replace(strings.Replace(state, "%s", "cancelled", 1), id, second, 1)+`}}`, c.task("tasks/cancel", second))
	for _, r := range append(append(u.requests("tasks/get"), u.requests("tasks/result")...), u.requests("tasks/cancel")...) {
		if got := r.text("taskId"); got != "1" && got != "2" {
			t.Errorf("the upstream was asked for %q", got)
		}
	}
	// An upstream's error about a task passes, its words and all.
	u.on("tasks/cancel", func(taskRequest) string {
		return answersError + `{"code":-32602,"message":"it is over","data":{"a":1}}`
	})
	is("refused", `{"jsonrpc":"2.0","id":2,"error":{"code":-32602,"message":"it is over","data":{"a":1}}}`, c.task("tasks/cancel", second))
	// What is no task of the upstream's any more is the upstream's to say.
	u.beginAnew()
	is("gone", `{"jsonrpc":"2.0","id":2,"error":{"code":-32602,"message":"no such task"}}`, c.task("tasks/get", id))

	for method, want := range map[string]string{
		"tasks/list":   `{"jsonrpc":"2.0","id":2,"error":{"code":-32601,"message":"Method not found"}}`,
		"tasks/update": `{"jsonrpc":"2.0","id":2,"error":{"code":-32601,"message":"Method not found"}}`,
	} {
		is(method, want, c.task(method, id))
	}
	if n := len(u.requests("tasks/list")); n != 0 {
		t.Errorf("%d lists of everybody's tasks", n)
	}
}

// TestTaskModern is a task of 2026-07-28 from its making to its end.
func TestTaskModern(t *testing.T) {
	w := newWorld(t)
	u := newTaskUpstream(t, true, taskTool("run", "optional"), `{"name":"head","inputSchema":{"type":"object","properties":{"q":{"type":"string","x-mcp-header":"Q"}}}}`)
	w.mountTasks("a1", u)
	k := w.key()
	c := w.stateless(k)
	const meta = `"_meta":{"io.modelcontextprotocol/serverInfo":{"name":"bailiwick","version":"test"}}`
	is := func(what, want string, a answer) {
		t.Helper()
		if a.status != http.StatusOK || a.body != want {
			t.Errorf("%s: %d\n%s\n%s", what, a.status, a.body, want)
		}
	}
	made := c.makeTask("a1__run")
	id := made.taskID(t)
	at := u.born.UTC().Format(time.RFC3339)
	state := func(kind, status, more string) string {
		return `{"jsonrpc":"2.0","id":3,"result":{"resultType":"` + kind + `",` + meta + `,"taskId":"` + id + `","status":"` + status + `","createdAt":"` + at +
			`","lastUpdatedAt":"` + at + `","ttlMs":60000,"pollIntervalMs":5,"big":12345678901234567890` + more + `}}`
	}
	is("made", state("task", "working", ""), made)
	is("asked", state("complete", "working", ""), c.task("tasks/get", id))
	asked := `{"name":{"method":"elicitation/create","params":{"message":"1","_meta":{"io.modelcontextprotocol/related-task":{"taskId":"%s"}}}}}`
	u.mu.Lock()
	u.tasks[1].status, u.tasks[1].inputs = "input_required", strings.Replace(asked, "%s", "1", 1)
	u.mu.Unlock()
	is("asks", state("complete", "input_required", `,"inputRequests":`+strings.Replace(asked, "%s", id, 1)), c.task("tasks/get", id))
	is("answered", `{"jsonrpc":"2.0","id":3,"result":{"resultType":"complete",`+meta+`}}`, c.task("tasks/update", id))
	if got := u.requests("tasks/update"); len(got) != 1 || !strings.Contains(string(got[0].params), `"inputResponses":{"name":{"action":"accept","content":{"n":12345678901234567890}}}`) {
		t.Errorf("update: %s", got[0].params)
	}
	u.finish(1, "completed", `{"content":[{"type":"text","text":"ok"}],"isError":false}`)
	is("ended", state("complete", "completed", `,"result":{"content":[{"type":"text","text":"ok"}],"isError":false}`), c.task("tasks/get", id))
	is("canceled", `{"jsonrpc":"2.0","id":3,"result":{"resultType":"complete",`+meta+`}}`, c.task("tasks/cancel", id))
	for _, method := range []string{"tasks/get", "tasks/update", "tasks/cancel"} {
		for _, r := range u.requests(method) {
			if r.text("taskId") != "1" || r.header.Get("Mcp-Name") != "1" || r.header.Get("Mcp-Method") != method ||
				!strings.Contains(string(r.params), `"io.modelcontextprotocol/clientCapabilities":{"extensions":{"io.modelcontextprotocol/tasks":{}}}`) {
				t.Errorf("%s was asked with %v %s", method, r.header, r.params)
			}
		}
	}

	// What a tool mirrors in headers is no matter of its tasks.
	headed := c.send("tools/call", "a1__head", `"name":"a1__head","arguments":{"q":"v"}`, "Mcp-Param-Q", "v").taskID(t)
	if a := c.send("tasks/get", headed, `"taskId":`+quoted(headed), "Mcp-Param-Q", "v"); a.taskID(t) != headed {
		t.Errorf("with another header: %s", a.body)
	}

	// A client that takes no tasks gets none, and may not ask about any.
	none := *c
	none.meta = modernMeta
	is("no task", `{"jsonrpc":"2.0","id":3,"result":{"resultType":"complete",`+meta+`,"content":[{"type":"text","text":"ok"}]}}`, none.makeTask("a1__run"))
	for _, method := range []string{"tasks/get", "tasks/update", "tasks/cancel"} {
		if a := none.task(method, id); a.status != 400 || !strings.Contains(a.body, `"code":-32021`) ||
			!strings.Contains(a.body, `"data":{"requiredCapabilities":{"extensions":{"io.modelcontextprotocol/tasks":{}}}}`) {
			t.Errorf("%s: %d %s", method, a.status, a.body)
		}
	}
	// params.task of the older era says nothing here, to nobody.
	is("hint", `{"jsonrpc":"2.0","id":3,"result":{"resultType":"complete",`+meta+`,"content":[{"type":"text","text":"ok"}]}}`,
		none.send("tools/call", "a1__run", `"name":"a1__run","task":{"ttl":1}`))
	for _, method := range []string{"tasks/result", "tasks/list"} {
		if a := c.send(method, "", `"taskId":`+quoted(id)); a.status != 404 || !strings.Contains(a.body, `"code":-32601`) {
			t.Errorf("%s: %d %s", method, a.status, a.body)
		}
	}
	// The header says what the body says.
	for what, headers := range map[string][]string{"another": {"Mcp-Name", "other"}, "none": nil, "broken": {"Mcp-Name", "=?base64?!?="}} {
		if a := c.send("tasks/get", "", `"taskId":`+quoted(id), headers...); a.status != 400 || !strings.Contains(a.body, `"code":-32020`) {
			t.Errorf("%s: %d %s", what, a.status, a.body)
		}
	}
	if a := c.send("tasks/update", id, `"taskId":`+quoted(id)); a.status != 400 || !strings.Contains(a.body, "inputResponses must be an object") {
		t.Errorf("no responses: %d %s", a.status, a.body)
	}
	if a := c.send("tasks/get", "x", `"taskId":7`, "Mcp-Name", "x"); a.status != 400 {
		t.Errorf("a number: %d %s", a.status, a.body)
	}
}

// TestTaskDeclared: what is declared of tasks is true of the version that it is
// declared in.
func TestTaskDeclared(t *testing.T) {
	w := newWorld(t)
	k := w.key()
	capabilities := func(a answer) map[string]json.RawMessage {
		t.Helper()
		var c map[string]json.RawMessage
		must(t, json.Unmarshal(a.result(t)["capabilities"], &c))
		return c
	}
	for version, want := range map[string]string{
		"2024-11-05": "", "2025-03-26": "", "2025-06-18": "", "2025-11-25": `{"cancel":{},"requests":{"tools":{"call":{}}}}`,
	} {
		c := capabilities(w.post("/mcp", strings.Replace(initialize, "2025-11-25", version, 1), auth(k)...))
		if string(c["tasks"]) != want || c["extensions"] != nil {
			t.Errorf("%s: tasks %s extensions %s", version, c["tasks"], c["extensions"])
		}
	}
	c := capabilities(w.modern(k, "/mcp", "server/discover", ""))
	if c["tasks"] != nil || string(c["extensions"]) != `{"io.modelcontextprotocol/tasks":{}}` {
		t.Errorf("2026-07-28: tasks %s extensions %s", c["tasks"], c["extensions"])
	}
	listen := func(meta string) answer {
		c := w.stateless(k)
		c.meta = meta
		return c.send("subscriptions/listen", "", `"notifications":{"taskIds":["x"]}`)
	}
	if a := listen(modernMeta); a.status != 400 || !strings.Contains(a.body, `"code":-32021`) {
		t.Errorf("listen without the extension: %d %s", a.status, a.body)
	}
	if a := listen(takesTasks); a.status != 200 || !strings.Contains(a.body, `"notifications":{}`) {
		t.Errorf("listen: %d %s", a.status, a.body)
	}
}
