package mcp_test

import (
	"encoding/json"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

func TestRefusedQuestions(t *testing.T) {
	w := newWorld(t)
	up := newUpstream(t, tool("ask", "r"))
	w.mount("a1", up)
	k := w.key()
	tools := strings.Replace(sampling, `"maxTokens"`, `"tools":[],"maxTokens"`, 1)
	choice := strings.Replace(sampling, `"maxTokens"`, `"toolChoice":{"mode":"auto"},"maxTokens"`, 1)
	link := `{"mode":"url","message":"Go","url":"https://example.com","elicitationId":"e"}`
	for _, c := range []struct{ name, can, method, params, want string }{
		{"nothing declared", `{}`, "elicitation/create", form, `-32601`},
		{"null", `{"elicitation":null}`, "elicitation/create", form, `-32601`},
		{"sampling alone", `{"sampling":{}}`, "elicitation/create", form, `-32601`},
		{"elicitation alone", `{"elicitation":{}}`, "sampling/createMessage", sampling, `-32601`},
		{"form alone", `{"elicitation":{}}`, "elicitation/create", link, `-32602`},
		{"url alone", `{"elicitation":{"url":{}}}`, "elicitation/create", form, `-32602`},
		{"a mode nobody knows", canAll, "elicitation/create", `{"mode":"voice","message":"?"}`, `-32602`},
		{"a mode that is no string", canAll, "elicitation/create", `{"mode":1,"message":"?"}`, `-32602`},
		{"sampling without tools", `{"sampling":{}}`, "sampling/createMessage", tools, `-32602`},
		{"sampling without a choice", `{"sampling":{}}`, "sampling/createMessage", choice, `-32602`},
		{"another method", canAll, "tools/list", `{}`, `-32601`},
		{"roots, of what clients share", canAll, "roots/list", `{}`, `-32601`},
		{"larger than a message", canAll, "elicitation/create", `{"message":"` + strings.Repeat("x", 4<<20) + `"}`, `-32602`},
	} {
		t.Run(c.name, func(t *testing.T) {
			up.asksAll("ask", `"content":[]`, [2]string{c.method, c.params})
			a := w.connectCan(k, c.can).call("a1__ask", `{}`)
			if !strings.Contains(a.body, `"message":"refused","data":{"code":`+c.want) || strings.Contains(a.body, "event:") {
				t.Errorf("answered %.300s", a.body)
			}
		})
	}
	for _, c := range []struct{ name, can, method, params string }{
		{"elicitation without a mode", `{"elicitation":{}}`, "elicitation/create", form},
		{"form by name", `{"elicitation":{"form":{}}}`, "elicitation/create", `{"mode":"form",` + form[1:]},
		{"url", `{"elicitation":{"url":{}}}`, "elicitation/create", link},
		{"sampling", `{"sampling":{}}`, "sampling/createMessage", sampling},
		{"sampling with tools", `{"sampling":{"tools":{}}}`, "sampling/createMessage", tools},
	} {
		t.Run("declared: "+c.name, func(t *testing.T) {
			up.asksAll("ask", `"content":[]`, [2]string{c.method, c.params})
			client := w.connectCan(k, c.can)
			e := client.callStream(1, "tools/call", `"name":"a1__ask"`)
			m := parse(t, e.next())
			if m.Method != c.method || string(m.Params) != c.params {
				t.Fatalf("asked %+v", m)
			}
			client.send(refusalTo(m.ID, -1, "User rejected"))
			if m = parse(t, e.next()); m.Error == nil || string(m.Error.Data) != `{"code":-1,"message":"User rejected"}` {
				t.Errorf("the client's own error: %+v", m)
			}
		})
	}
}

func TestContextIsNotIncluded(t *testing.T) {
	w := newWorld(t)
	for slug, up := range map[string]*fakeUpstream{"old": newUpstream(t, tool("ask", "r")), "new": newModern(t, tool("ask", "r"))} {
		w.mount(slug, up)
		up.asksAll("ask", `"content":[]`, [2]string{"sampling/createMessage", `{"includeContext":"allServers",` + sampling[1:]})
		can := `{"sampling":{"context":{}}}`
		k := w.key()
		e := w.connectCan(k, can).callStream(1, "tools/call", `"name":"`+slug+`__ask"`)
		if m := parse(t, e.next()); string(m.Params) != sampling {
			t.Errorf("%s: a legacy client is asked %s", slug, m.Params)
		}
		in := inputOf(t, parse(t, w.modernCan(k, can, "tools/call", `"name":"`+slug+`__ask"`).body).Result)
		for _, q := range in.InputRequests {
			if string(q.Params) != sampling {
				t.Errorf("%s: a client of 2026-07-28 is asked %s", slug, q.Params)
			}
		}
		if len(in.InputRequests) != 1 {
			t.Errorf("%s: %d questions", slug, len(in.InputRequests))
		}
	}
}

func TestManyQuestions(t *testing.T) {
	w := newWorld(t)
	up := newUpstream(t, tool("ask", "r"))
	w.mount("a1", up)
	const calls, each = 5, 14
	var refused atomic.Int64
	release := make(chan struct{})
	up.on("ask", func(c fakeCall) string {
		var all sync.WaitGroup
		for range each {
			_, answer := c.asking("sampling/createMessage", sampling)
			all.Go(func() {
				select {
				case got := <-answer:
					if strings.Contains(got, "as many as it may") {
						refused.Add(1)
					}
				case <-release:
				}
			})
		}
		all.Wait()
		return `{"content":[]}`
	})
	c := w.connectCan(w.key(), canAll)
	asked := 0
	streams := []*events{}
	for i := range calls {
		streams = append(streams, c.callStream(i, "tools/call", `"name":"a1__ask"`))
	}
	w.until("what is too much is refused", func() bool { return refused.Load() == calls*each-64 })
	close(release)
	for _, e := range streams {
		for m := parse(t, e.next()); m.Method != ""; m = parse(t, e.next()) {
			if m.Method == "sampling/createMessage" {
				asked++
			}
		}
	}
	if asked != 64 {
		t.Errorf("%d asked", asked)
	}
}

func TestInitializeClaims(t *testing.T) {
	w := newWorld(t)
	a := w.post("/mcp", initializeWith(canAll), auth(w.key())...)
	var v struct {
		Result struct {
			Capabilities map[string]json.RawMessage `json:"capabilities"`
		} `json:"result"`
	}
	must(t, json.Unmarshal([]byte(a.body), &v))
	for name := range v.Result.Capabilities {
		switch name {
		case "tools", "prompts", "resources", "completions", "logging", "tasks":
		default:
			t.Errorf("claims %s", name)
		}
	}
	if len(v.Result.Capabilities) == 0 {
		t.Error(a.body)
	}
}
