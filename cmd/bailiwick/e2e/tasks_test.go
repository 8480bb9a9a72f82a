package e2e_test

import (
	"bytes"
	"encoding/json"
	"os/exec"
	"strings"
	"testing"
)

// taskReport is what clients/tasks-v1.mjs reports.
type taskReport struct {
	Declared json.RawMessage
	Stream   []taskMessage
	// Of a call that asks: how it went, and the _meta of what it asked.
	Clarified                          []taskMessage
	Asked                              []json.RawMessage
	Again, Cancelled, Afterwards, List taskOutcome
	Foreign                            []taskOutcome
}

type taskMessage struct {
	Type   string
	Task   struct{ TaskID, Status string }
	Result json.RawMessage
	Error  *clientError
}

type taskOutcome struct {
	Result json.RawMessage
	Error  *clientError
}

// TestTasks runs server-everything's tool that only runs as a task, by the
// TypeScript SDK v1: over stdio and over HTTP upstream, for the key that made the
// task and for another one.
func TestTasks(t *testing.T) {
	t.Parallel()
	m := mountAll(t, serve(t))
	_, mine := m.rest().key(t, fullAccess())
	_, theirs := m.rest().key(t, fullAccess())
	for _, instance := range []string{"everything", "everything-http"} {
		t.Run(instance, func(t *testing.T) {
			t.Parallel()
			r := runTasks(t, object{"url": m.url + "/mcp", "tool": instance + "__simulate-research-query", "arguments": object{"topic": "moss"},
				"owner": object{"Authorization": "Bearer " + mine}, "other": object{"Authorization": "Bearer " + theirs}})
			r.check(t)
		})
	}
}

func runTasks(t *testing.T, job object) (report taskReport) {
	t.Helper()
	fixture(t, "node_modules", "@modelcontextprotocol", "sdk")
	text, err := json.Marshal(job)
	if err != nil {
		t.Fatal(err)
	}
	command := exec.Command(nodePath(t), fixture(t, "clients", "tasks-v1.mjs"))
	command.Stdin = bytes.NewReader(text)
	var problems bytes.Buffer
	command.Stderr = &problems
	output, err := command.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, problems.String())
	}
	if err := json.Unmarshal(output, &report); err != nil {
		t.Fatalf("%v in %s", err, output)
	}
	return report
}

func (r taskReport) check(t *testing.T) {
	t.Helper()
	if got := string(r.Declared); got != `{"cancel":{},"requests":{"tools":{"call":{}}}}` {
		t.Errorf("declared %s", got)
	}
	if len(r.Stream) < 3 || r.Stream[0].Type != "taskCreated" || r.Stream[len(r.Stream)-1].Type != "result" {
		t.Fatalf("the call went so: %+v", r.Stream)
	}
	id := r.Stream[0].Task.TaskID
	for _, message := range r.Stream[1 : len(r.Stream)-1] {
		if message.Type != "taskStatus" || message.Task.TaskID != id {
			t.Errorf("in between: %+v", message)
		}
	}
	for what, result := range map[string]string{"the result": string(r.Stream[len(r.Stream)-1].Result), "again": string(r.Again.Result)} {
		if !strings.Contains(result, "Research Report: moss") || !strings.Contains(result, `"io.modelcontextprotocol/related-task":{"taskId":"`+id+`"}`) {
			t.Errorf("%s: %s", what, result)
		}
	}
	last := r.Clarified[len(r.Clarified)-1]
	if last.Type != "result" || !strings.Contains(string(last.Result), "- **Clarification**: ") || strings.Contains(string(last.Result), "unavailable") {
		t.Errorf("a call that asks went so: %+v", r.Clarified)
	}
	if want := `{"io.modelcontextprotocol/related-task":{"taskId":"` + r.Clarified[0].Task.TaskID + `"}}`; len(r.Asked) != 1 || string(r.Asked[0]) != want {
		t.Errorf("it asked %s, not of %s", r.Asked, want)
	}
	if len(r.Foreign) != 3 {
		t.Fatalf("another key: %+v", r.Foreign)
	}
	for _, o := range r.Foreign {
		if o.Error == nil || o.Error.Code != float64(-32602) || !strings.Contains(o.Error.Message, "Unknown task: "+id+" (ref ") {
			t.Errorf("another key: %s %+v", o.Result, o.Error)
		}
	}
	for what, o := range map[string]taskOutcome{"canceled": r.Cancelled, "afterwards": r.Afterwards} {
		if !strings.Contains(string(o.Result), `"status":"cancelled"`) || strings.Contains(string(o.Result), id) {
			t.Errorf("%s: %s %+v", what, o.Result, o.Error)
		}
	}
	if r.List.Error == nil || r.List.Error.Code != float64(-32601) {
		t.Errorf("the list: %s %+v", r.List.Result, r.List.Error)
	}
}
