package main

import (
	"fmt"
	"time"
)

// task is a run of the tool job. It works until it was asked about once.
type task struct {
	id, made, status string
}

const taskResult = `"content":[ {"type":"text","text":"worked"} ]`

// job is a task where the call may be one, else it is done at once.
func (s *server) job(c *call) string {
	_, extension := c.Params.Meta.Capabilities.Extensions[tasks]
	if s.modern && !extension || !s.modern && c.Params.Task == nil {
		return s.result(taskResult)
	}
	s.mu.Lock()
	t := &task{id: fmt.Sprintf("task-%d", len(s.tasks)+1), made: time.Now().UTC().Format(time.RFC3339), status: "working"}
	s.tasks[t.id] = t
	s.mu.Unlock()
	if s.modern {
		return `"result":{"resultType":"task",` + s.view(t) + `}`
	}
	return s.result(`"task":{` + s.view(t) + `}`)
}

func (s *server) view(t *task) string {
	ttl := `"ttl":60000,"pollInterval":10`
	if s.modern {
		ttl = `"ttlMs":60000,"pollIntervalMs":10`
	}
	return fmt.Sprintf(`"taskId":%q,"status":%q,"createdAt":%q,"lastUpdatedAt":%q,%s`, t.id, t.status, t.made, t.made, ttl)
}

func (s *server) aboutTask(c *call) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.tasks[c.Params.TaskID]
	switch {
	case s.bare || s.modern && c.Method == "tasks/result":
		return failed(-32601, "Method not found", "null")
	case t == nil:
		return failed(-32602, "no such task", "null")
	case c.Method == "tasks/cancel":
		t.status = "cancelled"
		if s.modern {
			return s.result("")
		}
		return s.result(s.view(t))
	case c.Method == "tasks/result":
		return s.result(taskResult + `,"_meta":{"io.modelcontextprotocol/related-task":{"taskId":"` + t.id + `"}}`)
	}
	view := s.view(t)
	if t.status == "completed" && s.modern {
		view += `,"result":{"resultType":"complete",` + taskResult + `}`
	}
	if t.status == "working" {
		t.status = "completed"
	}
	return s.result(view)
}
