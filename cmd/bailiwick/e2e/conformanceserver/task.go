package main

import (
	"context"
	"encoding/json"
	"sync"
	"time"

	"github.com/google/uuid"
	mcpgo "github.com/mark3labs/mcp-go/mcp"
)

// task is one run of a job (SEP-2663).
type task struct {
	id      string
	created time.Time
	cancel  context.CancelFunc

	mu       sync.Mutex
	updated  time.Time
	status   string // working, input_required, completed, failed, cancelled
	result   *mcpgo.CallToolResult
	failure  error
	requests mcpgo.InputRequests // not answered yet
	answers  map[string]json.RawMessage
	answered chan struct{} // closed when no request is left
}

// job does the work of a task. An error is one of the protocol, not the tool's.
type job func(ctx context.Context, t *task, call callParams) (*mcpgo.CallToolResult, error)

// begin runs the job, and answers the task at once.
func begin(do job, call callParams) *task {
	ctx, cancel := context.WithCancel(context.Background())
	t := &task{id: uuid.NewString(), created: time.Now(), updated: time.Now(), status: "working", cancel: cancel}
	go func() {
		defer cancel()
		result, err := do(ctx, t, call)
		t.mu.Lock()
		defer t.mu.Unlock()
		t.updated, t.requests = time.Now(), nil
		switch {
		case ctx.Err() != nil:
			t.status = "cancelled"
		case err != nil:
			t.status, t.failure = "failed", err
		default:
			t.status, t.result = "completed", result
		}
	}()
	return t
}

// ask waits until every request is answered or the task is cancelled.
func (t *task) ask(ctx context.Context, requests mcpgo.InputRequests) (map[string]json.RawMessage, error) {
	t.mu.Lock()
	t.status, t.requests, t.updated = "input_required", requests, time.Now()
	t.answers, t.answered = map[string]json.RawMessage{}, make(chan struct{})
	answered := t.answered
	t.mu.Unlock()
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-answered:
		return t.answers, nil
	}
}

// answer takes the answers that were asked for.
func (t *task) answer(answers map[string]json.RawMessage) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.status != "input_required" {
		return
	}
	for id, answer := range answers {
		if _, asked := t.requests[id]; asked {
			t.answers[id] = answer
			delete(t.requests, id)
		}
	}
	if t.updated = time.Now(); len(t.requests) == 0 {
		t.status = "working"
		close(t.answered)
	}
}

// view is the task on the wire. Only tasks/get answers what has become of it.
func (t *task) view(resultType string, detailed bool) object {
	t.mu.Lock()
	defer t.mu.Unlock()
	view := object{
		"resultType": resultType, "taskId": t.id, "status": t.status, "ttlMs": 60000, "pollIntervalMs": 100,
		"createdAt": t.created.UTC().Format(time.RFC3339), "lastUpdatedAt": t.updated.UTC().Format(time.RFC3339),
	}
	if !detailed {
		return view
	}
	if len(t.requests) > 0 {
		requests := object{}
		for id, request := range t.requests {
			requests[id] = request
		}
		view["inputRequests"] = requests
	}
	if t.result != nil {
		view["result"] = t.result
	}
	if t.failure != nil {
		view["error"] = object{"code": mcpgo.INTERNAL_ERROR, "message": t.failure.Error()}
	}
	return view
}
