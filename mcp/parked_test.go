package mcp_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/bailiwick-mcp/bailiwick/keys"
)

// parkedWorld has an upstream of the older era whose tool "ask" asks twice.
type parkedWorld struct {
	*world
	up   *fakeUpstream
	k    keys.Issued
	got  chan string // what the upstream was answered
	over chan bool   // its call has ended; true = by a cancel
}

func newParkedWorld(t *testing.T) *parkedWorld {
	p := &parkedWorld{world: newWorld(t), up: newUpstream(t, tool("ask", "r"), tool("also", "r")), got: make(chan string, 100), over: make(chan bool, 100)}
	p.mount("a1", p.up)
	p.up.on("ask", func(c fakeCall) string {
		first := c.ask("elicitation/create", form)
		if first != "" {
			p.got <- first
			p.got <- c.ask("sampling/createMessage", sampling)
		}
		select {
		case <-c.done:
			p.over <- true
		default:
			p.over <- false
		}
		return `{"content":[],"done":true}`
	})
	p.k = p.key()
	return p
}

func (p *parkedWorld) call(params string) answer {
	p.t.Helper()
	return p.modernCan(p.k, canAll, "tools/call", params)
}

// begin makes the call and takes its first questions.
func (p *parkedWorld) begin() inputRequired {
	p.t.Helper()
	return inputOf(p.t, parse(p.t, p.call(callAsk).body).Result)
}

// cancelled waits for the upstream's call to end by a cancel.
func (p *parkedWorld) cancelled() {
	p.t.Helper()
	select {
	case canceled := <-p.over:
		if !canceled {
			p.t.Error("the upstream's call ended by itself")
		}
	case <-time.After(10 * time.Second):
		p.t.Fatal("the upstream's call goes on")
	}
}

func (p *parkedWorld) refused(why string, a answer) {
	p.t.Helper()
	if a.status != 400 || !strings.Contains(a.body, `"code":-32602`) || !strings.Contains(a.body, "again without requestState") {
		p.t.Errorf("%s: %d %s", why, a.status, a.body)
	}
}

func (p *parkedWorld) unanswered(why string) {
	p.t.Helper()
	select {
	case got := <-p.got:
		p.t.Errorf("%s: the upstream got %s", why, got)
	case <-time.After(50 * time.Millisecond):
	}
}

// records are the calls in the audit trail.
func (w *world) records(k keys.Issued) []keys.AuditEntry {
	w.t.Helper()
	found, err := w.svc.AuditEvents(context.Background(), w.op, keys.AuditQuery{KeyID: k.Key.ID, Kind: "call"})
	must(w.t, err)
	return found
}

// TestParkedRounds: each round has a state of its own, which takes one answer;
// the whole is one call at the upstream, in the quota and in the audit trail.
func TestParkedRounds(t *testing.T) {
	p := newParkedWorld(t)
	first := p.begin()
	retry := first.retry(callAsk, answers)
	second := inputOf(t, parse(t, p.call(retry).body).Result)
	if got := <-p.got; !strings.Contains(got, `"result":`+formed) {
		t.Errorf("the upstream got %s", got)
	}
	if *second.RequestState == *first.RequestState {
		t.Error("two rounds have one state")
	}
	p.refused("the first state again", p.call(retry))
	p.unanswered("the first state again")
	last := second.retry(callAsk, answers)
	if a := p.call(last); a.status != 200 || !strings.Contains(a.body, `"resultType":"complete"`) || !strings.Contains(a.body, `"done":true`) {
		t.Errorf("the end: %d %s", a.status, a.body)
	}
	if got := <-p.got; !strings.Contains(got, `"result":`+sampled) {
		t.Errorf("the upstream got %s", got)
	}
	p.refused("after the end", p.call(last))
	if n := len(p.up.seen()); n != 1 {
		t.Errorf("%d calls at the upstream", n)
	}
	p.until("the call is recorded", func() bool { return len(p.records(p.k)) > 0 })
	if got := p.records(p.k); len(got) != 1 || got[0].Outcome != "ok" || got[0].Latency <= 0 || len(got[0].ArgsDigest) != 64 || got[0].Detail != nil {
		t.Errorf("recorded as %+v", got)
	}
}

// TestRoundsRecorded: with an upstream of 2026-07-28 each round is a request of
// its own, and recorded as such.
func TestRoundsRecorded(t *testing.T) {
	w := newWorld(t)
	up := newModern(t, tool("ask", "r"))
	w.mount("a1", up)
	up.asksAll("ask", `"content":[]`, [2]string{"elicitation/create", form})
	k, old := w.key(), w.key()
	askingDoors["modern/http"](w, k, canAll, "tools/call", callAsk, answers)
	askingDoors["legacy/http"](w, old, canAll, "tools/call", callAsk, answers)
	w.until("the calls are recorded", func() bool { return len(w.records(k)) == 2 && len(w.records(old)) == 1 })
	if got := w.records(k); got[0].Outcome != "ok" || got[1].Outcome != "input_required" {
		t.Errorf("recorded as %+v", got)
	}
	if got := w.records(old); got[0].Outcome != "ok" {
		t.Errorf("recorded as %+v", got)
	}
}

// TestParkedIsOnesOwn: nobody but the caller, with the same request, goes on
// with a parked call.
func TestParkedIsOnesOwn(t *testing.T) {
	p := newParkedWorld(t)
	in := p.begin()
	retry := in.retry(callAsk, answers)
	other := p.key()
	foreign := p.tenant("other")
	p.mountAs(foreign, "a1", newUpstream(t, tool("ask", "r")))
	second := p.second()
	second.run()
	for name, a := range map[string]func() answer{
		"another key":     func() answer { return p.modernCan(other, canAll, "tools/call", retry) },
		"another tenant":  func() answer { return p.modernCan(p.keyAs(foreign), canAll, "tools/call", retry) },
		"other arguments": func() answer { return p.call(strings.Replace(retry, `{"a":1}`, `{"a":2}`, 1)) },
		"another tool":    func() answer { return p.call(strings.Replace(retry, "a1__ask", "a1__also", 1)) },
		"another replica": func() answer { return second.modernCan(p.k, canAll, "tools/call", retry) },
	} {
		p.refused(name, a())
		p.unanswered(name)
	}
	if a := p.call(retry); a.status != 200 {
		t.Errorf("its own: %d %s", a.status, a.body)
	}
	if got := <-p.got; !strings.Contains(got, formed) {
		t.Errorf("the upstream got %s", got)
	}
}

// TestReplayAtOnce: of many requests with one state one goes on.
func TestReplayAtOnce(t *testing.T) {
	p := newParkedWorld(t)
	retry := p.begin().retry(callAsk, answers)
	const n = 20
	all := make(chan answer, n)
	for range n {
		go func() { all <- p.modernCan(p.k, canAll, "tools/call", retry) }()
	}
	passed := 0
	for range n {
		if a := <-all; a.status == 200 {
			passed++
		} else {
			p.refused("a replay", a)
		}
	}
	<-p.got
	p.unanswered("a replay")
	if passed != 1 {
		t.Errorf("%d of %d went on", passed, n)
	}
}

// TestParkedAnswers: what is missing is asked again, what has no shape spends
// no state, and what was not asked is nobody's.
func TestParkedAnswers(t *testing.T) {
	w := newWorld(t)
	up := newUpstream(t, tool("ask", "r"))
	w.mount("a1", up)
	up.asksAll("ask", `"content":[]`, [2]string{"elicitation/create", form}, [2]string{"sampling/createMessage", sampling})
	k := w.key()
	call := func(params string) answer { return w.modernCan(k, canAll, "tools/call", params) }
	in := inputOf(t, parse(t, call(callAsk).body).Result)
	if len(in.InputRequests) != 2 {
		t.Fatalf("%d questions in one result", len(in.InputRequests))
	}
	state := `,"requestState":` + quoted(*in.RequestState)
	key := func(method string) string {
		for key, q := range in.InputRequests {
			if q.Method == method {
				return quoted(key)
			}
		}
		return ""
	}
	for _, bad := range []string{`{"x":1}`, `{` + key("elicitation/create") + `:"accept"}`, `{` + key("elicitation/create") + `:null}`} {
		if a := call(callAsk + state + `,"inputResponses":` + bad); a.status != 400 || !strings.Contains(a.body, "inputResponses must hold an object") {
			t.Errorf("%s: %d %s", bad, a.status, a.body)
		}
	}
	again := inputOf(t, parse(t, call(callAsk+state).body).Result)
	if len(again.InputRequests) != 2 {
		t.Errorf("no answer at all: %+v", again)
	}
	state = `,"requestState":` + quoted(*again.RequestState)
	left := inputOf(t, parse(t, call(callAsk+state+`,"inputResponses":{"more":{},`+key("elicitation/create")+`:`+formed+`}`).body).Result)
	if _, asked := left.InputRequests[strings.Trim(key("sampling/createMessage"), `"`)]; !asked || len(left.InputRequests) != 1 {
		t.Errorf("one is missing: %+v", left)
	}
	if a := call(left.retry(callAsk, answers)); !strings.Contains(a.body, `"got":[`+formed+`,`+sampled+`]`) {
		t.Errorf("answered %s", a.body)
	}
}

// TestParkedProgress: what the upstream tells while a request waits goes to that
// one, under its own token, and nothing while none waits.
func TestParkedProgress(t *testing.T) {
	w := newWorld(t)
	up := newUpstream(t, tool("ask", "r"))
	w.mount("a1", up)
	asked := make(chan struct{})
	up.on("ask", func(c fakeCall) string {
		c.progress(`"progress":1`)
		_, answer := c.asking("elicitation/create", form)
		<-asked
		c.progress(`"progress":2`)
		<-answer
		c.progress(`"progress":3`)
		return `{"content":[]}`
	})
	k := w.key()
	withToken := func(token, params string) string {
		headers := append(auth(k), "Mcp-Protocol-Version", "2026-07-28", "Mcp-Method", "tools/call", "Mcp-Name", "a1__ask")
		meta := strings.Replace(metaWith(canAll), `"_meta":{`, fmt.Sprintf(`"_meta":{"progressToken":%q,`, token), 1)
		return w.post("/mcp", request(1, "tools/call", params+","+meta), headers...).body
	}
	first := withToken("one", callAsk)
	if strings.Count(first, "notifications/progress") != 1 || !strings.Contains(first, `"progressToken":"one","progress":1`) {
		t.Errorf("first: %s", first)
	}
	in := inputOf(t, parse(t, first[strings.LastIndex(first, "data: ")+len("data: "):]).Result)
	close(asked)
	time.Sleep(50 * time.Millisecond) // the second one comes while nobody waits
	second := withToken("two", in.retry(callAsk, answers))
	if strings.Count(second, "notifications/progress") != 1 || !strings.Contains(second, `"progressToken":"two","progress":3`) || !strings.Contains(second, `"content":[]`) {
		t.Errorf("second: %s", second)
	}
}
