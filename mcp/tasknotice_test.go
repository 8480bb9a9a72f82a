package mcp_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/bailiwick-mcp/bailiwick/keys"
)

// TestTaskStatus: notifications/tasks/status reaches the session that made the task
// and no other, as long as its key may see the task, under the id that it knows.
func TestTaskStatus(t *testing.T) {
	w := newWorld(t)
	u := newTaskUpstream(t, false, taskTool("run", "required"))
	w.mountTasks("a1", u)
	w.until("the upstream is listened to", u.listening)
	k := w.key()
	c, sibling, foreign := w.connect(k, "/mcp"), w.connect(k, "/mcp"), w.connect(w.key(), "/mcp")
	listen := func(c *legacy) *events {
		c.list()
		return w.stream(http.MethodGet, "/mcp", "", c.headers...)
	}
	mine, others := listen(c), []*events{listen(sibling), listen(foreign)}
	id := c.makeTask("a1__run").taskID(t)
	state := func(status string) string {
		u.mu.Lock()
		defer u.mu.Unlock()
		u.tasks[1].status = status
		return u.state(1)
	}
	u.tell("notifications/tasks/status", `{`+state("input_required")+`}`)
	want := `{"jsonrpc":"2.0","method":"notifications/tasks/status","params":{` + strings.Replace(state("input_required"), `"taskId":"1"`, `"taskId":"`+id+`"`, 1) + `}}`
	if got := mine.next(); got != want {
		t.Errorf("told %s, not %s", got, want)
	}
	for _, other := range others {
		other.quiet("a task of another session")
	}
	// Of a task that nobody here made, or that is another one by now, nothing is said.
	u.tell("notifications/tasks/status", `{"taskId":"2","status":"working","createdAt":"2026-01-01T00:00:00Z"}`)
	u.tell("notifications/tasks/status", `{"taskId":"1","status":"working","createdAt":"2026-01-01T00:00:00Z"}`)
	mine.quiet("another task")
	_, err := w.svc.UpdateKey(t.Context(), w.op, k.Key.ID, keys.KeyPatch{PolicyPatch: keys.PolicyPatch{MCPReadOnly: keys.Some(true)}})
	must(t, err)
	if got := mine.next(); got != changed {
		t.Error(got)
	}
	u.tell("notifications/tasks/status", `{`+state("working")+`}`)
	mine.quiet("a task of a tool that was taken away")
}
