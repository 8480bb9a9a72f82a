package mcp_test

import (
	"fmt"
	"strings"
	"testing"

	mcpgo "github.com/mark3labs/mcp-go/mcp"
	"pgregory.net/rapid"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/policy"
)

// TestTasksOfPairs: over random keys and tasks, a task is there for the key that
// made it, if it may call the tool now, and for no other.
func TestTasksOfPairs(t *testing.T) {
	w := newWorld(t)
	u := newTaskUpstream(t, false, taskTool("run", "required"), taskTool("walk", "optional"), taskTool("sit", "optional"))
	w.mountTasks("a1", u)
	w.mountTasks("b2", u)
	tools := []string{"a1__run", "a1__walk", "a1__sit", "b2__run", "b2__walk", "b2__sit"}
	all := make([]keys.Issued, 4)
	clients := make([]*legacy, len(all))
	for i := range all {
		all[i] = w.key()
		clients[i] = w.connect(all[i], "/mcp")
	}
	rapid.Check(t, func(t *rapid.T) {
		allowed := make([]map[string]bool, len(all))
		allow := func(i int) {
			list := rapid.SliceOfDistinct(rapid.SampledFrom(tools), rapid.ID[string]).Draw(t, fmt.Sprintf("tools of key %d", i))
			allowed[i] = map[string]bool{}
			for _, name := range list {
				allowed[i][name] = true
			}
			_, err := w.svc.UpdateKey(w.t.Context(), w.op, all[i].Key.ID, keys.KeyPatch{PolicyPatch: keys.PolicyPatch{
				MCPAllowlistMode: keys.Some(policy.ModeAllow), MCPToolAllowlist: keys.Some(list)}})
			must(w.t, err)
		}
		for i := range all {
			allow(i)
		}
		type made struct {
			by   int
			tool string
			id   string
		}
		var tasks []made
		for range rapid.IntRange(1, 6).Draw(t, "tasks") {
			by, name := rapid.IntRange(0, len(all)-1).Draw(t, "by"), rapid.SampledFrom(tools).Draw(t, "tool")
			a := clients[by].makeTask(name)
			if got := strings.Contains(a.body, `"taskId"`); got != allowed[by][name] {
				t.Fatalf("key %d made a task of %s: %v", by, name, got)
			}
			if allowed[by][name] {
				tasks = append(tasks, made{by, name, a.taskID(w.t)})
			}
		}
		allow(rapid.IntRange(0, len(all)-1).Draw(t, "changed"))
		method := rapid.SampledFrom([]string{string(mcpgo.MethodTasksGet), string(mcpgo.MethodTasksCancel)}).Draw(t, "method")
		for _, task := range tasks {
			for i := range all {
				a := clients[i].task(method, task.id)
				want := i == task.by && allowed[i][task.tool]
				if got := strings.Contains(a.body, `"taskId":"`+task.id+`"`); got != want || !want && !strings.Contains(a.body, "Unknown task: "+task.id+" (ref ") {
					t.Fatalf("key %d, task of %s by key %d: %v %s", i, task.tool, task.by, got, a.body)
				}
			}
		}
	})
}
