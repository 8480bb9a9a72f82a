package mcp_test

import (
	"strings"
	"testing"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/policy"
)

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
	recorded := keys.WithoutToken(id) // an id may happen to look as if it held a key
	recorded = recorded[:min(len(recorded), 256)]
	type row struct{ action, tool, subject, decision, outcome, failed string }
	want := map[row]bool{
		{"tools/call", "a1__run", "a1/run", "allow", "ok", ""}:                       true,
		{"tasks/get", "a1__run", "a1/run", "allow", "ok", ""}:                        true,
		{"tasks/cancel", "a1__run", "a1/run", "allow", "ok", ""}:                     true,
		{"tasks/get", "a1__run", "a1/run", "deny", "", policy.RuleReadOnly.String()}: true,
		{"tasks/get", recorded, "", "deny", "", policy.RuleUnknown.String()}:         true,
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
