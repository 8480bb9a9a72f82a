package mcp_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/policy"
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

// TestTaskIsolation: a task is there for the key that made it, and for nobody else:
// not another key, not another tenant that mounts the very same server, not the
// upstream's own id.
func TestTaskIsolation(t *testing.T) {
	for name, modern := range map[string]bool{"legacy": false, "modern": true} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			u := newTaskUpstream(t, modern, taskTool("run", "optional"), taskTool("walk", "optional"))
			other := w.tenant("other")
			w.mountTasks("a1", u)
			w.mountTasksAs(other, "a1", u)
			open := func(k keys.Issued) taskClient {
				if modern {
					return w.stateless(k)
				}
				return w.connect(k, "/mcp")
			}
			one := w.key()
			mine, again := open(one), open(one)
			theirs := map[string]taskClient{"another key": open(w.key()), "another tenant": open(w.keyAs(other))}
			id := mine.makeTask("a1__run").taskID(t)
			methods := []string{"tasks/get", "tasks/cancel", "tasks/result"}
			if modern {
				methods[2] = "tasks/update"
			}
			for who, c := range theirs {
				for _, method := range methods {
					unknownTask(t, method+" of "+who, id, c.task(method, id))
				}
			}
			for _, method := range methods {
				for _, id := range []string{"1", "0", "no-such-task", id[1:], strings.Repeat("A", 5000)} {
					unknownTask(t, method, id, mine.task(method, id))
				}
			}
			for _, method := range methods {
				if n := len(u.requests(method)); n != 0 {
					t.Errorf("%s went on %d times", method, n)
				}
			}
			// One key is one client, whatever session it comes in.
			if a := again.task("tasks/get", id); a.taskID(t) != id {
				t.Errorf("another session: %s", a.body)
			}
			// A server that begins anew gives the same id to another key's task.
			u.beginAnew()
			for who, c := range theirs {
				c.makeTask("a1__walk")
				u.finish(1, "completed", `{"content":[]}`)
				for _, method := range methods {
					unknownTask(t, method+" after a restart, task of "+who, id, mine.task(method, id))
				}
				break
			}
			if n := len(u.requests(methods[1])) + len(u.requests(methods[2])); n != 0 {
				t.Errorf("%d requests about another key's task went on", n)
			}
		})
	}
}

// TestTaskGate: a task is reachable as long as its tool is.
func TestTaskGate(t *testing.T) {
	w := newWorld(t)
	u := newTaskUpstream(t, false, taskTool("run", "required"))
	a1 := w.mountTasks("a1", u)
	k := w.key()
	c := w.connect(k, "/mcp")
	id := c.makeTask("a1__run").taskID(t)
	readOnly := func(on bool) {
		t.Helper()
		_, err := w.svc.UpdateKey(t.Context(), w.op, k.Key.ID, keys.KeyPatch{PolicyPatch: keys.PolicyPatch{MCPReadOnly: keys.Some(on)}})
		must(t, err)
	}
	readOnly(true)
	for _, method := range []string{"tasks/get", "tasks/cancel", "tasks/result"} {
		unknownTask(t, method+", tool lost", id, c.task(method, id))
	}
	readOnly(false)
	if got := c.task("tasks/get", id).taskID(t); got != id {
		t.Error(got)
	}
	narrowed := w.connect(k, "/mcp?readonly=true")
	unknownTask(t, "a narrowed session", id, narrowed.task("tasks/get", id))
	unknownTask(t, "a narrowed request", id, (&legacy{w, "/mcp?instances=", c.headers}).task("tasks/get", id))
	if a := (&legacy{w, "/mcp/a1", c.headers}).task("tasks/get", id); a.taskID(t) != id {
		t.Error(a.body)
	}

	// The tool goes while its result is waited for: there is no result.
	waiting := make(chan answer, 1)
	go func() { waiting <- c.task("tasks/result", id) }()
	w.until("the result is waited for", func() bool { return len(u.requests("tasks/result")) == 1 })
	readOnly(true)
	u.finish(1, "completed", `{"content":[{"type":"text","text":"late"}]}`)
	unknownTask(t, "a result that came late", id, <-waiting)
	readOnly(false)

	// A disabled instance has no tools.
	edit := func(spec keys.InstanceSpec) {
		t.Helper()
		_, err := w.svc.UpdateInstance(t.Context(), w.op, a1.ID, spec)
		must(t, err)
	}
	edit(keys.InstanceSpec{Enabled: keys.Some(false)})
	unknownTask(t, "disabled", id, c.task("tasks/get", id))
	edit(keys.InstanceSpec{Enabled: keys.Some(true)})
	w.until("it is back", func() bool { return strings.Contains(c.task("tasks/get", id).body, `"completed"`) })

	// Another instance under the same name has other tasks.
	must(t, w.svc.DeleteInstance(t.Context(), w.op, a1.ID))
	w.mountTasks("a1", u)
	unknownTask(t, "made anew", id, c.task("tasks/get", id))
}

// TestTaskKeyEnds: a paused key's task is refused as all is, and a revoked one's
// wait for a result is cut.
func TestTaskKeyEnds(t *testing.T) {
	w := newWorld(t)
	u := newTaskUpstream(t, false, taskTool("run", "required"))
	w.mountTasks("a1", u)
	k := w.key()
	c := w.connect(k, "/mcp")
	id := c.makeTask("a1__run").taskID(t)
	pause := func(active bool) {
		_, err := w.svc.UpdateKey(t.Context(), w.op, k.Key.ID, keys.KeyPatch{PolicyPatch: keys.PolicyPatch{MCPActive: keys.Some(active)}})
		must(t, err)
	}
	pause(false)
	if a := c.task("tasks/get", id); a.status != 403 || a.code() != "key_paused" {
		t.Errorf("paused: %d %s", a.status, a.body)
	}
	pause(true)
	waiting := make(chan answer, 1)
	go func() { waiting <- c.task("tasks/result", id) }()
	w.until("the result is waited for", func() bool { return len(u.requests("tasks/result")) == 1 })
	_, err := w.svc.RevokeKey(t.Context(), w.op, k.Key.ID, keys.Revocation{})
	must(t, err)
	if a := <-waiting; a.status != 401 {
		t.Errorf("revoked: %d %s", a.status, a.body)
	}
	if a := c.task("tasks/get", id); a.status != 401 {
		t.Errorf("after: %d %s", a.status, a.body)
	}
}

// TestTaskQuota: a result that is waited for is a running call; a task is none.
func TestTaskQuota(t *testing.T) {
	w := newWorld(t)
	u := newTaskUpstream(t, false, taskTool("run", "required"))
	w.mountTasks("a1", u)
	c := w.connect(w.key(), "/mcp")
	const most = 64
	ids := make([]string, most+1)
	for i := range ids {
		ids[i] = c.makeTask("a1__run").taskID(t)
	}
	answers := make(chan answer, most)
	for i := range most {
		go func() {
			answers <- c.send(`{"jsonrpc":"2.0","id":` + quoted(ids[i]) + `,"method":"tasks/result","params":{"taskId":` + quoted(ids[i]) + `}}`)
		}()
	}
	w.until("all results are waited for", func() bool { return len(u.requests("tasks/result")) == most })
	if a := c.task("tasks/result", ids[most]); !strings.Contains(a.body, `"code":-32029`) {
		t.Errorf("one more: %d %s", a.status, a.body)
	}
	for i := range most {
		u.finish(i+1, "completed", `{"content":[]}`)
	}
	for range most {
		if a := <-answers; !strings.Contains(a.body, `"content":[]`) {
			t.Errorf("%d %s", a.status, a.body)
		}
	}
}

// TestTaskCanceling: canceling the call that makes a task ends neither the call nor
// the task, and canceling the wait for a result ends the wait alone.
func TestTaskCanceling(t *testing.T) {
	w := newWorld(t)
	u := newTaskUpstream(t, false, taskTool("run", "required"))
	w.mountTasks("a1", u)
	c := w.connect(w.key(), "/mcp")
	release := make(chan struct{})
	u.on("run", func(taskRequest) string { <-release; return "" })
	making := make(chan answer, 1)
	go func() { making <- c.makeTask("a1__run") }()
	w.until("the call came", func() bool { return len(u.requests("tools/call")) == 1 })
	cancel := func(id string) {
		c.send(`{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":` + id + `}}`)
	}
	cancel("1")
	close(release)
	id := (<-making).taskID(t)

	waiting := make(chan answer, 1)
	go func() { waiting <- c.task("tasks/result", id) }()
	w.until("the result is waited for", func() bool { return len(u.requests("tasks/result")) == 1 })
	cancel("2")
	if a := <-waiting; !strings.Contains(a.body, "Request canceled") {
		t.Errorf("%d %s", a.status, a.body)
	}
	if a := c.task("tasks/get", id); !strings.Contains(a.body, `"working"`) {
		t.Errorf("%d %s", a.status, a.body)
	}
	w.until("the upstream was told once, of the wait", func() bool { return len(u.requests("notifications/cancelled")) == 1 })
	if n := len(u.requests("tasks/cancel")); n != 0 {
		t.Errorf("%d tasks were canceled", n)
	}
}

// TestTaskAudit: requests about tasks are recorded with the tool they are about, a
// denial with what it failed on, and an id of another key's with no tool at all.
func TestTaskAudit(t *testing.T) {
	w := newWorld(t)
	u := newTaskUpstream(t, false, taskTool("run", "required"))
	w.mountTasks("a1", u)
	k, foreign := w.key(), w.key()
	c := w.connect(k, "/mcp")
	id := c.makeTask("a1__run").taskID(t)
	c.task("tasks/get", id)
	c.task("tasks/cancel", id)
	_, err := w.svc.UpdateKey(t.Context(), w.op, k.Key.ID, keys.KeyPatch{PolicyPatch: keys.PolicyPatch{MCPReadOnly: keys.Some(true)}})
	must(t, err)
	c.task("tasks/get", id)
	w.connect(foreign, "/mcp").task("tasks/get", id)
	type row struct{ action, tool, subject, decision, outcome, failed string }
	want := map[row]bool{
		{"tools/call", "a1__run", "a1/run", "allow", "ok", ""}:                             true,
		{"tasks/get", "a1__run", "a1/run", "allow", "ok", ""}:                              true,
		{"tasks/cancel", "a1__run", "a1/run", "allow", "ok", ""}:                           true,
		{"tasks/get", "a1__run", "a1/run", "deny", "", policy.RuleReadOnly.String()}:       true,
		{"tasks/get", id[:min(len(id), 256)], "", "deny", "", policy.RuleUnknown.String()}: true,
	}
	got := map[row]bool{}
	w.until("all are recorded", func() bool {
		entries, err := w.svc.AuditEvents(t.Context(), w.op, keys.AuditQuery{Limit: 100})
		must(t, err)
		clear(got)
		for _, e := range entries {
			if strings.HasPrefix(e.Action, "tasks/") || e.Action == "tools/call" {
				got[row{e.Action, e.Tool, e.Subject, e.Decision, e.Outcome, strings.Join(e.Failed, ",")}] = true
			}
		}
		return len(got) >= len(want)
	})
	for r := range want {
		if !got[r] {
			t.Errorf("missing: %+v", r)
		}
	}
	for r := range got {
		if !want[r] {
			t.Errorf("too many: %+v", r)
		}
	}
}
