package mcp_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/bailiwick-mcp/bailiwick/mcp"
)

// TestQuestionsReadInTwoWays: a question is for a client that may take keys
// whatever their case, or the first of two, so one that it could read as another
// than was checked does not reach it.
func TestQuestionsReadInTwoWays(t *testing.T) {
	const can = `{"elicitation":{"form":{}},"sampling":{}}`
	for name, q := range map[string][2]string{
		"mode in another case":    {"elicitation/create", `{"mode":"form","Mode":"url","message":"m","url":"https://evil.example","requestedSchema":{"type":"object"}}`},
		"only in another case":    {"elicitation/create", `{"MODE":"url","message":"m","url":"https://evil.example","elicitationId":"e"}`},
		"mode twice":              {"elicitation/create", `{"mode":"url","mode":"form","message":"m","url":"https://evil.example","requestedSchema":{"type":"object"}}`},
		"tools in another case":   {"sampling/createMessage", `{"messages":[],"maxTokens":1,"Tools":[]}`},
		"context in another case": {"sampling/createMessage", `{"messages":[],"maxTokens":1,"includecontext":"allServers"}`},
	} {
		eachEra(t, func(t *testing.T, client string, modern bool) {
			w := newWorld(t)
			up := newUpstream(t, tool("ask", "r"))
			up.modern = modern
			w.mount("a1", up)
			up.asksAll("ask", `"content":[]`, q)
			if ask := up.results["ask"]; client == "legacy" { // so that its answer is a stream in any case
				up.on("ask", func(c fakeCall) string { c.progress(`"progress":1`); return ask(c) })
			}
			var heard []string
			if client == "legacy" {
				c := w.connectCan(w.key(), can)
				e := c.callStream(1, "tools/call", `"name":"a1__ask","_meta":{"progressToken":1}`)
				for range 5 {
					m := parse(t, e.next())
					if m.Method == "" {
						break
					}
					if m.ID == nil {
						continue
					}
					heard = append(heard, string(m.Params))
					c.send(answerTo(m.ID, answers[m.Method]))
				}
			} else if a := w.modernCan(w.key(), can, "tools/call", `"name":"a1__ask"`); strings.Contains(a.body, `"inputRequests":`) {
				heard = append(heard, a.body)
			}
			if len(heard) > 0 {
				t.Errorf("%s: the client was asked %s", name, heard)
			}
		})
	}
}

// TestLargeQuestion: a call that waits here for its client's answer holds no larger
// question than a message may be.
func TestLargeQuestion(t *testing.T) {
	w := newWorld(t, func(c *mcp.Config) { c.MaxBody = 1 << 10 })
	up := newUpstream(t, tool("ask", "r"))
	w.mount("a1", up)
	const most = `{"message":"","requestedSchema":{"type":"object"}}`
	for size, asked := range map[int]bool{1 << 10: true, 1<<10 + 1: false} {
		question := strings.Replace(most, `""`, `"`+strings.Repeat("m", size-len(most))+`"`, 1)
		up.asksAll("ask", `"content":[]`, [2]string{"elicitation/create", question})
		a := w.modernCan(w.key(), canAll, "tools/call", callAsk)
		if got := strings.Contains(a.body, `"inputRequests":`); got != asked || !asked && !strings.Contains(a.body, "-32602") {
			t.Errorf("%d bytes: %.300s", size, a.body)
		}
	}
}

// TestManyModes: an upstream that asks in ever new modes has them not all kept.
func TestManyModes(t *testing.T) {
	w := newWorld(t)
	up := newUpstream(t, tool("ask", "r"))
	w.mount("a1", up)
	up.on("ask", func(c fakeCall) string {
		for i := range 300 {
			c.ask("elicitation/create", fmt.Sprintf(`{"mode":"m%d","message":"m"}`, i))
		}
		return `{"content":[],"isError":true}`
	})
	a := w.modernCan(w.key(), canAll, "tools/call", callAsk)
	if n := strings.Count(a.body, `"m`); a.status != http.StatusBadRequest || !strings.Contains(a.body, `-32021`) || len(a.body) > 4<<10 {
		t.Errorf("%d, %d bytes, %d modes", a.status, len(a.body), n)
	}
}

// TestQuestionsOfTasks: the same holds for what a task asks, which comes with it.
func TestQuestionsOfTasks(t *testing.T) {
	const fine = `{"q":{"method":"elicitation/create","params":{"message":"m"}}}`
	for inputs, passed := range map[string]bool{
		fine: true,
		fine + `,"InputRequests":{"q":{"method":"sampling/createMessage","params":{"includeContext":"allServers"}}}`: false,
		`{"q":{"method":"sampling/createMessage","params":{"messages":[],"includecontext":"allServers"}}}`:           false,
		`{"q":{"method":"tools/call","params":{"name":"x"}}}`:                                                        false,
		`{"q":{"method":"elicitation/create","Method":"sampling/createMessage","params":{"message":"m"}}}`:           false,
		`{"q":{"method":"elicitation/create","params":{"mode":"url","mode":"form","url":"https://evil.example"}}}`:   false,
		fine + `,"taskid":"another"`: false,
	} {
		w := newWorld(t)
		u := newTaskUpstream(t, true, taskTool("run", "optional"))
		w.mountTasks("a1", u)
		c := w.stateless(w.key())
		id := c.makeTask("a1__run").taskID(t)
		u.mu.Lock()
		u.tasks[1].status, u.tasks[1].inputs = "input_required", inputs
		u.mu.Unlock()
		a := c.task("tasks/get", id)
		if strings.Contains(a.body, `"inputRequests":`) != passed || !passed && !strings.Contains(a.body, "-32603") {
			t.Errorf("%s: %s", inputs, a.body)
		}
	}
}

// TestProgressOfAnotherCall: an upstream can't give its progress out for that of
// another call of the client's, whose token it guessed.
func TestProgressOfAnotherCall(t *testing.T) {
	w := newWorld(t)
	up := newUpstream(t, tool("ask", "r"))
	w.mount("a1", up)
	up.on("ask", func(c fakeCall) string {
		c.progress(`"ProgressToken":"other","progresstoken":"other","progress":1`)
		return `{"content":[]}`
	})
	e := w.connect(w.key(), "/mcp").callStream(1, "tools/call", `"name":"a1__ask","_meta":{"progressToken":"mine"}`)
	if got := e.next(); !strings.Contains(got, `{"progressToken":"mine","progress":1}`) {
		t.Errorf("told %s", got)
	}
}
