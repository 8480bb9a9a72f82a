package mcp_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/policy"
)

// TestHeldCallAsksItsClient: a client of 2026-07-28 that can be asked gets a question,
// whose answer approves nothing; it may take the call back.
func TestHeldCallAsksItsClient(t *testing.T) {
	const can = `{"elicitation":{}}`
	h := newHeldWorld(t, hasty)
	first := inputOf(t, parse(t, h.modernCan(h.k, can, "tools/call", dropX).body).Result)
	a := h.waits()
	if q := first.InputRequests["approval"]; q.Method != "elicitation/create" || !strings.Contains(string(q.Params), a.ID) {
		t.Fatalf("asked: %+v", first)
	}
	accept := map[string]string{"elicitation/create": `{"action":"accept","content":{}}`}
	second := inputOf(t, parse(t, h.modernCan(h.k, can, "tools/call", first.retry(dropX, accept)).body).Result)
	if h.dropped() != 0 || h.waits().ID != a.ID {
		t.Fatal("the client approved its own call")
	}
	if got := h.modernCan(h.k, can, "tools/call", second.retry(strings.Replace(dropX, "7", "8", 1), accept)); got.status != 400 {
		t.Errorf("the state of another call: %d %s", got.status, got.body)
	}
	h.decided(a.ID, true, "")
	passed(t, h.modernCan(h.k, can, "tools/call", second.retry(dropX, accept)))

	first = inputOf(t, parse(t, h.modernCan(h.k, can, "tools/call", dropX).body).Result)
	a = h.waits()
	held(t, h.modernCan(h.k, can, "tools/call", first.retry(dropX, map[string]string{"elicitation/create": `{"action":"decline"}`})), "withdrawn")
	if list := h.listed(keys.ApprovalWithdrawn); len(list) != 1 || list[0].ID != a.ID || h.dropped() != 1 {
		t.Errorf("withdrawn: %+v", list)
	}
}

// TestHeldCallWaitsForItsClient: the question comes at once; who goes on is answered
// when a person was.
func TestHeldCallWaitsForItsClient(t *testing.T) {
	const can = `{"elicitation":{}}`
	h := newHeldWorld(t, patient)
	first := inputOf(t, parse(t, h.comes(later(func() answer { return h.modernCan(h.k, can, "tools/call", dropX) })).body).Result)
	c := later(func() answer { return h.modernCan(h.k, can, "tools/call", first.retry(dropX, answers)) })
	h.decided(h.waits().ID, true, "")
	passed(t, h.comes(c))
}

// TestHeldCallGoesOn: an approved call that its upstream asks something in goes on with
// the one approval, each round once.
func TestHeldCallGoesOn(t *testing.T) {
	for name, stated := range map[string]bool{"with a state": true, "without": false} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, hasty)
			up := newModern(t, tool("ask", "d"))
			w.mount("a1", up)
			up.on("ask", func(c fakeCall) string {
				var p struct{ InputResponses, RequestState json.RawMessage }
				_ = json.Unmarshal(c.Params, &p)
				switch {
				case p.InputResponses != nil && (string(p.RequestState) == `"own"`) == stated:
					return `{"resultType":"complete","content":[{"type":"text","text":"ok"}]}`
				case stated:
					return `{"resultType":"input_required","requestState":"own","inputRequests":{"q":{"method":"elicitation/create","params":` + form + `}}}`
				}
				return `{"resultType":"input_required","inputRequests":{"q":{"method":"elicitation/create","params":` + form + `}}}`
			})
			k := w.key(needing("*", policy.EffectDestructive))
			first := inputOf(t, parse(t, w.modernCan(k, canAll, "tools/call", callAsk).body).Result)
			w.decided(w.waits().ID, true, "")
			smuggled := `,"inputResponses":{"q":` + formed + `}`
			second := inputOf(t, parse(t, w.modernCan(k, canAll, "tools/call", callAsk+smuggled).body).Result)
			if second.InputRequests["q"].Method == "" || second.RequestState == nil || first.RequestState == nil {
				t.Fatalf("asked: %+v", second)
			}
			retry := second.retry(callAsk, answers)
			passed(t, w.modernCan(k, canAll, "tools/call", retry))
			if a := w.modernCan(k, canAll, "tools/call", retry); a.status != 400 || !strings.Contains(a.body, "again without requestState") {
				t.Errorf("a round was taken twice: %d %s", a.status, a.body)
			}
			if n := len(up.seen()); n != 2 {
				t.Errorf("the upstream got %d requests", n)
			}
		})
	}
}

// TestHeldParkedCall: the answers to an approved call that is under way need no other
// approval.
func TestHeldParkedCall(t *testing.T) {
	w := newWorld(t, hasty)
	up := newUpstream(t, tool("ask", "d"))
	w.mount("a1", up)
	up.on("ask", func(c fakeCall) string {
		c.ask("elicitation/create", form)
		return plain["tools/call"]
	})
	k := w.key(needing("*", policy.EffectDestructive))
	inputOf(t, parse(t, w.modernCan(k, canAll, "tools/call", callAsk).body).Result)
	w.decided(w.waits().ID, true, "")
	second := inputOf(t, parse(t, w.modernCan(k, canAll, "tools/call", callAsk).body).Result)
	passed(t, w.modernCan(k, canAll, "tools/call", second.retry(callAsk, answers)))
}

// TestHeldBuiltin: a tool of the gateway's own is held as any.
func TestHeldBuiltin(t *testing.T) {
	h := newHeldWorld(t, hasty)
	k := h.key(needing("bailiwick/create_api_key", policy.EffectRead))
	const params = `"name":"create_api_key","arguments":{"name":"made","reveal":true}`
	first := inputOf(t, parse(t, h.modernCan(k, canAll, "tools/call", params).body).Result)
	h.decided(h.waits().ID, true, "")
	if a := h.modernCan(k, canAll, "tools/call", first.retry(params, answers)); a.status != 200 || !strings.Contains(a.body, `"handle":"made"`) {
		t.Errorf("%d %s", a.status, a.body)
	}
	if a := h.connect(k, "/mcp").call("whoami", `{}`); !strings.Contains(a.body, "handle") {
		t.Errorf("whoami: %s", a.body)
	}
}

// TestHeldOthers: what is no tool is held too, but for subscribing.
func TestHeldOthers(t *testing.T) {
	w := newWorld(t, hasty)
	up := newUpstream(t, tool("x", "r")).with(others{prompts: []string{prompt("p")}, resources: []string{resource("x:y")}})
	w.mount("a1", up)
	k := w.key(needing("*", policy.EffectRead))
	c := w.connect(k, "/mcp")
	seen := map[string]bool{}
	for _, ask := range []string{request(1, "prompts/get", `"name":"a1__p"`), request(1, "resources/read", `"uri":"x:y"`),
		request(1, "completion/complete", `"ref":{"type":"ref/prompt","name":"a1__p"},"argument":{"name":"a","value":"b"}`), request(1, "tools/call", `"name":"a1__x"`)} {
		_, id := held(t, c.send(ask), "pending")
		if seen[id] {
			t.Errorf("%s shares an approval", ask)
		}
		seen[id] = true
	}
	if len(up.seen()) != 0 {
		t.Error("something passed")
	}
}

// TestHeldSpellings: no resource is read without approval by another spelling of its uri.
func TestHeldSpellings(t *testing.T) {
	w := newWorld(t, hasty)
	up := newUpstream(t).with(others{resources: []string{resource("x:/b")}, templates: []string{template("x:/t/{id}")}})
	for _, uri := range []string{"x:/b", "x:/t/1", "x:/t/%31", "x:/t/2"} {
		up.on(uri, func(c fakeCall) string { return `{"contents":[{"uri":` + quoted(c.URI) + `,"text":"t"}]}` })
	}
	w.mount("a1", up)
	k := w.key(needing("a1/x:/t/1", policy.EffectRead))
	for era, ask := range w.eras(k, "/mcp") {
		for uri, needs := range map[string]bool{"x:/t/1": true, "x:/t/%31": true, "x:/t/2": false, "x:/b": false} {
			a := ask("resources/read", `"uri":`+quoted(uri))
			if needs {
				held(t, a, "pending")
			} else if !strings.Contains(a.body, `"text":"t"`) {
				t.Errorf("%s %s: %s", era, uri, a.body)
			}
		}
	}
}

// TestHeldCompletion: its context is approved with it, and shown.
func TestHeldCompletion(t *testing.T) {
	w := newWorld(t, hasty)
	w.mount("a1", newUpstream(t).with(others{prompts: []string{prompt("p")}}))
	k := w.key(needing("*", policy.EffectRead))
	ask := func(context string) string {
		t.Helper()
		_, id := held(t, w.modern(k, "/mcp", "completion/complete",
			`"ref":{"type":"ref/prompt","name":"a1__p"},"argument":{"name":"a","value":"b"}`+context), "pending")
		return id
	}
	plain, one, other := ask(""), ask(`,"context":{"arguments":{"c":"1"}}`), ask(`,"context":{"arguments":{"c":"2"}}`)
	if plain == one || one == other {
		t.Error("completions of other contexts share an approval")
	}
	shown, err := w.svc.CallApproval(t.Context(), w.op, other)
	must(t, err)
	if want := `{"argument":{"name":"a","value":"b"},"context":{"arguments":{"c":"2"}}}`; string(shown.Arguments) != want {
		t.Errorf("shown: %s", shown.Arguments)
	}
	a := w.modern(k, "/mcp", "completion/complete",
		`"ref":{"type":"ref/prompt","name":"a1__p"},"argument":{"name":"a","value":"b"},"context":{"arguments":{"c":"1","c":"2"}}`)
	if !strings.Contains(a.body, "another way") {
		t.Errorf("a context that reads in two ways: %s", a.body)
	}
}

// TestHeldArgumentsReadTwice: a person would see one of two values, and the tool the other.
func TestHeldArgumentsReadTwice(t *testing.T) {
	h := newHeldWorld(t, hasty)
	for _, bad := range []string{`{"id":7,"id":8}`, `{"a":{"b":1,"b":2}}`} {
		a := h.modern(h.k, "/mcp", "tools/call", `"name":"a1__drop_x","arguments":`+bad)
		if m := parse(t, a.body); m.Error == nil || m.Error.Code != -32602 || !strings.Contains(m.Error.Message, "another way") {
			t.Errorf("%s: %d %s", bad, a.status, a.body)
		}
	}
	if len(h.listed("")) != 0 {
		t.Error("a person is asked")
	}
}

// TestHeldCallsAreBounded: a key has 16 pending at most.
func TestHeldCallsAreBounded(t *testing.T) {
	h := newHeldWorld(t, hasty)
	c := h.connect(h.k, "/mcp")
	for i := range 16 {
		held(t, c.call("a1__drop_x", fmt.Sprintf(`{"id":%d}`, i)), "pending")
	}
	a := c.call("a1__drop_x", `{"id":16}`)
	if m := parse(t, a.body); m.Error == nil || m.Error.Code != -32029 || !strings.Contains(m.Error.Message, "16") {
		t.Errorf("%d %s", a.status, a.body)
	}
	held(t, c.call("a1__drop_x", `{"id":3}`), "pending")
}

// TestHeldCallWhileTheStoreIsAway: nothing passes, and who waits goes on waiting.
func TestHeldCallWhileTheStoreIsAway(t *testing.T) {
	h := newHeldWorld(t, patient)
	c := later(func() answer { return h.modern(h.k, "/mcp", "tools/call", dropX) })
	a := h.waits()
	h.store.SetDown(true)
	if _, err := h.svc.DecideCall(t.Context(), h.op, a.ID, keys.ApprovalDecision{Approve: true}); !errors.Is(err, keys.ErrUnavailable) {
		t.Errorf("decided without a store: %v", err)
	}
	h.store.SetDown(false)
	h.decided(a.ID, true, "")
	passed(t, h.comes(c))
}

// TestHeldCallsEndWithTheServer: a server that stops waits for no person.
func TestHeldCallsEndWithTheServer(t *testing.T) {
	h := newHeldWorld(t, patient)
	c := later(func() answer { return h.modern(h.k, "/mcp", "tools/call", dropX) })
	a := h.waits()
	h.gw.EndStreams()
	if _, id := held(t, h.comes(c), "pending"); id != a.ID {
		t.Error("another approval is named")
	}
}

// TestHeldCallIsExplained: the line says so where a call would be held.
func TestHeldCallIsExplained(t *testing.T) {
	h := newHeldWorld(t, hasty)
	for name, want := range map[string]bool{"a1__drop_x": true, "a1__read_x": false, "nowhere": false} {
		a := h.connect(h.key(), "/mcp").call("explain_access", `{"id":`+quoted(h.k.Key.ID)+`,"tool":`+quoted(name)+`}`)
		line := strings.Contains(a.body, `"rule":"approval.required","ok":true,"observed":"each call needs a person's approval (mcpApprovals: tool \"*\", effect destructive or above)`)
		if line != want || want && !strings.Contains(a.body, `"decision":"allow"`) {
			t.Errorf("%s: %s", name, a.body)
		}
	}
}
