package mcp_test

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

// TestTaskDoors is a task of each era by the transports without HTTP's own answers:
// stdio, relayed stdio, and HTTP+SSE.
func TestTaskDoors(t *testing.T) {
	w := newWorld(t)
	old, now := newTaskUpstream(t, false, taskTool("run", "required")), newTaskUpstream(t, true, tool("run", "w"))
	w.mountTasks("old", old)
	w.mountTasks("now", now)
	w.until("the upstream is listened to", old.listening)
	k := w.key()
	made := 0
	life := func(t *testing.T, send func(string), next func() string) {
		made++
		send(initialize)
		if got := next(); !strings.Contains(got, `"requests":{"tools":{"call":{}}}`) {
			t.Fatal(got)
		}
		send(initialized)
		send(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"old__run","task":{}}}`)
		got := next()
		id := answer{200, nil, got}.taskID(t)
		status := make(chan struct{})
		go func() { // its stream opens beside the first requests
			for {
				select {
				case <-status:
					return
				case <-time.After(20 * time.Millisecond):
				}
				old.mu.Lock()
				state := old.state(made)
				old.mu.Unlock()
				old.tell("notifications/tasks/status", `{`+state+`}`)
			}
		}()
		if got = next(); !strings.Contains(got, `"method":"notifications/tasks/status","params":{"taskId":"`+id+`"`) {
			t.Fatal(got)
		}
		close(status)
		answered := func(id string) string {
			t.Helper()
			for {
				got := next()
				if strings.Contains(got, `"id":`+id+`,`) {
					return got
				}
				if !strings.Contains(got, "notifications/tasks/status") {
					t.Fatal(got)
				}
			}
		}
		send(`{"jsonrpc":"2.0","id":2,"method":"tasks/result","params":{"taskId":"` + id + `"}}`)
		send(`{"jsonrpc":"2.0","id":3,"method":"tasks/get","params":{"taskId":"` + id + `"}}`)
		if got = answered("3"); !strings.Contains(got, `"status":"working"`) {
			t.Error(got)
		}
		old.finish(made, "completed", `{"content":[{"type":"text","text":"ended"}]}`)
		if got = answered("2"); !strings.Contains(got, "ended") {
			t.Error(got)
		}
	}
	for name, serve := range doors(w, k) {
		t.Run(name, func(t *testing.T) {
			p := startPipes(t, serve)
			life(t, func(line string) { p.send(line) }, p.next)
			p.send(`{"jsonrpc":"2.0","id":4,"method":"tools/call","params":{"name":"now__run",` + takesTasks + `}}`)
			got := p.next()
			for strings.Contains(got, "notifications/") {
				got = p.next()
			}
			id := answer{200, nil, got}.taskID(t)
			p.send(`{"jsonrpc":"2.0","id":5,"method":"tasks/get","params":{"taskId":"` + id + `",` + takesTasks + `}}`)
			p.expect(`"id":5,`, `"taskId":"`+id+`"`, `"status":"working"`)
			// The call that makes a task is not ended by a word.
			started, release := make(chan struct{}), make(chan struct{})
			old.on("run", func(taskRequest) string { close(started); <-release; return "" })
			defer old.on("run", nil)
			p.send(`{"jsonrpc":"2.0","id":6,"method":"tools/call","params":{"name":"old__run","task":{}}}`)
			<-started
			p.send(`{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":6}}`, `{"jsonrpc":"2.0","id":7,"method":"ping"}`)
			p.expect(`"id":7,`)
			close(release)
			p.expect(`"id":6,`, `"taskId"`)
			made++
		})
	}
	t.Run("SSE", func(t *testing.T) {
		e := w.stream(http.MethodGet, "/sse", "", auth(k)...)
		endpoint := e.next()
		life(t, func(body string) {
			if a := w.post(endpoint, body, auth(k)...); a.status != http.StatusAccepted {
				t.Fatalf("%d %s", a.status, a.body)
			}
		}, e.next)
	})
}
