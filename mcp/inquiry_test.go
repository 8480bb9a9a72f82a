package mcp_test

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/policy"
)

// asked is a world with one legacy client whose call has asked it something.
type asked struct {
	w        *world
	up       *fakeUpstream
	k        keys.Issued
	c        *legacy
	e        *events
	question rpc
	got      chan string   // what the upstream was answered
	over     chan struct{} // its call has ended
}

func newAsked(t *testing.T) *asked {
	a := &asked{w: newWorld(t), up: newUpstream(t, tool("ask", "r")), got: make(chan string, 1), over: make(chan struct{})}
	a.w.mount("a1", a.up)
	a.up.on("ask", func(c fakeCall) string {
		defer close(a.over)
		a.got <- c.ask("elicitation/create", form)
		return `{"content":[],"done":true}`
	})
	a.k = a.w.key()
	a.c = a.w.connectCan(a.k, canAll)
	a.e = a.c.callStream(7, "tools/call", `"name":"a1__ask"`)
	a.question = parse(t, a.e.next())
	if a.question.Method != "elicitation/create" || string(a.question.Params) != form || string(a.question.ID) == "7" {
		t.Fatalf("asked %+v", a.question)
	}
	return a
}

func (a *asked) unanswered(why string) {
	a.w.t.Helper()
	select {
	case got := <-a.got:
		a.w.t.Errorf("%s: the upstream got %s", why, got)
	case <-time.After(50 * time.Millisecond):
	}
}

// finish answers well and sees the call's result.
func (a *asked) finish() {
	a.w.t.Helper()
	a.c.send(answerTo(a.question.ID, formed))
	if got := <-a.got; !strings.Contains(got, `"result":`+formed) {
		a.w.t.Errorf("the upstream got %s", got)
	}
	if m := parse(a.w.t, a.e.next()); string(m.ID) != "7" || !strings.Contains(string(m.Result), `"done":true`) {
		a.w.t.Errorf("the result: %+v", m)
	}
}

// TestOnlyTheAskedAnswers: of a question only the session that it was put to
// takes the answer, once.
func TestOnlyTheAskedAnswers(t *testing.T) {
	a := newAsked(t)
	w := a.w
	answer := answerTo(a.question.ID, `{"action":"accept","content":{"stolen":true}}`)
	other := w.key()
	sameKey, otherKey := w.connectCan(a.k, canAll), w.connectCan(other, canAll)
	otherTenant := w.connectCan(w.keyAs(w.tenant("other")), canAll)
	session := a.c.headers[len(a.c.headers)-1]
	sse := w.stream(http.MethodGet, "/sse", "", auth(a.k)...)
	endpoint := sse.next()
	for name, c := range map[string]struct {
		send   func() int
		status int
	}{
		"another session of the key": {func() int { return sameKey.send(answer).status }, 400},
		"another key":                {func() int { return otherKey.send(answer).status }, 400},
		"another tenant":             {func() int { return otherTenant.send(answer).status }, 400},
		"another key that names the session": {func() int {
			return w.post("/mcp", answer, append(auth(other), "Mcp-Session-Id", session)...).status
		}, 404},
		"no session": {func() int { return w.post("/mcp", answer, auth(a.k)...).status }, 400},
		"2026-07-28": {func() int {
			return w.post("/mcp", answer, append(auth(a.k), "Mcp-Protocol-Version", "2026-07-28")...).status
		}, 202},
		"an SSE session of the key":  {func() int { return w.post(endpoint, answer, auth(a.k)...).status }, 400},
		"no credential":              {func() int { return w.post("/mcp", answer, "Mcp-Session-Id", session).status }, 401},
		"the session, an unknown id": {func() int { return a.c.send(answerTo(json.RawMessage(`"x"`), formed)).status }, 400},
		"the session, its call's id": {func() int { return a.c.send(answerTo(json.RawMessage(`7`), formed)).status }, 400},
		"the session, both at once": {func() int {
			return a.c.send(strings.TrimSuffix(answer, "}") + `,"error":{"code":1,"message":""}}`).status
		}, 400},
	} {
		if status := c.send(); status != c.status {
			t.Errorf("%s: HTTP %d, want %d", name, status, c.status)
		}
		a.unanswered(name)
	}
	a.finish()
	if again := a.c.send(answer); again.status != 202 {
		t.Errorf("the second answer: %d %s", again.status, again.body)
	}
	a.unanswered("the second answer")
}

// TestQuestionEnds: an open question ends with what it belongs to, at the
// client and at the upstream.
func TestQuestionEnds(t *testing.T) {
	cancelled := func(a *asked) {
		a.w.t.Helper()
		m := parse(a.w.t, a.e.next())
		if m.Method != "notifications/cancelled" || !strings.Contains(string(m.Params), `"requestId":`+string(a.question.ID)) {
			a.w.t.Errorf("the client was told %+v", m)
		}
	}
	for name, end := range map[string]func(*asked){
		"the client cancels its call": func(a *asked) {
			a.c.send(`{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":7}}`)
			cancelled(a)
			if m := parse(t, a.e.next()); m.Error == nil || !strings.Contains(m.Error.Message, "canceled") {
				t.Errorf("answered %+v", m)
			}
		},
		"the client goes": func(a *asked) { a.e.stop() },
		"the session ends": func(a *asked) {
			a.w.do(http.MethodDelete, "/mcp", nil, a.c.headers...)
			cancelled(a)
		},
		"the key is revoked": func(a *asked) {
			_, err := a.w.svc.RevokeKey(context.Background(), a.w.op, a.k.Key.ID, keys.Revocation{})
			must(t, err)
			if got := a.c.send(answerTo(a.question.ID, formed)); got.status != 401 {
				t.Errorf("answered after the revocation: %d %s", got.status, got.body)
			}
			cancelled(a)
			if m := parse(t, a.e.next()); m.Error == nil {
				t.Errorf("answered %+v", m)
			}
		},
		"the key is paused": func(a *asked) {
			_, err := a.w.svc.UpdateKey(context.Background(), a.w.op, a.k.Key.ID, keys.KeyPatch{PolicyPatch: keys.PolicyPatch{MCPActive: keys.Some(false)}})
			must(t, err)
			cancelled(a)
		},
	} {
		t.Run(name, func(t *testing.T) {
			a := newAsked(t)
			end(a)
			if got := <-a.got; got != "" && !strings.Contains(got, `"error"`) {
				t.Errorf("the upstream got %s", got)
			}
			<-a.over
		})
	}
}

// TestQuestionEndsWithTheKey: so it is over the transports with one stream.
// TestRelayOfForeignIDs: a server's request that has the id of the client's own
// is no answer to it.
// TestQuestionOfTheNarrowed: an answer that comes after the call was taken from
// the key does not reach the upstream.
func TestQuestionOfTheNarrowed(t *testing.T) {
	a := newAsked(t)
	_, err := a.w.svc.UpdateKey(t.Context(), a.w.op, a.k.Key.ID, keys.KeyPatch{PolicyPatch: keys.PolicyPatch{MCPAllowlistMode: keys.Some(policy.ModeAllow)}})
	must(t, err)
	a.c.send(answerTo(a.question.ID, formed))
	if got := <-a.got; strings.Contains(got, "accept") || !strings.Contains(got, `"error"`) {
		t.Errorf("the upstream got %s", got)
	}
}

// TestQuestionWithdrawn: an upstream that takes its question back has the
// client told, under the id that the client knows, and goes on.
func TestQuestionWithdrawn(t *testing.T) {
	w := newWorld(t)
	up := newUpstream(t, tool("ask", "r"))
	w.mount("a1", up)
	withdraw, goOn := make(chan struct{}), make(chan struct{})
	up.on("ask", func(c fakeCall) string {
		id, answer := c.asking("sampling/createMessage", sampling)
		<-withdraw
		c.notify("notifications/cancelled", `{"requestId":`+id+`}`)
		<-goOn
		select {
		case got := <-answer:
			return `{"content":[],"got":` + got + `}`
		default:
		}
		return `{"content":[],"done":true}`
	})
	c := w.connectCan(w.key(), canAll)
	e := c.callStream(1, "tools/call", `"name":"a1__ask"`)
	question := parse(t, e.next())
	close(withdraw)
	if m := parse(t, e.next()); m.Method != "notifications/cancelled" || !strings.Contains(string(m.Params), string(question.ID)) {
		t.Errorf("told %+v", m)
	}
	c.send(answerTo(question.ID, sampled))
	close(goOn)
	if m := parse(t, e.next()); !strings.Contains(string(m.Result), `"done":true`) {
		t.Errorf("answered %s", m.Result)
	}
}

// TestRefusedQuestions: what the client did not declare is refused to the
// upstream, and the client never hears of it.
// TestContextIsNotIncluded: to the client "this server" is the gateway, so no
// upstream gets the context of it.
// TestManyQuestions: a session has at most 64 questions open, and one more is
// refused to the upstream.
// TestStdioReadsOnWhileCallsWait: more calls than are answered at a time, of
// which each waits for its client.
// TestStdioGone: a client whose input has ended can't be asked any more.
// TestInitializeClaims: the handshake promises no capability of the gateway's
// that clients have, and the upstream is told what clients may be asked.
