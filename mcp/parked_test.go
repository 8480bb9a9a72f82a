package mcp_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/policy"
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

// TestParkedEnds: a parked call ends at the upstream when it can't go on, and
// its state is worth nothing then.
func TestParkedEnds(t *testing.T) {
	for name, end := range map[string]func(*parkedWorld, string){
		"nobody comes": func(p *parkedWorld, retry string) {
			p.clock.Advance(9 * time.Minute)
			time.Sleep(600 * time.Millisecond) // two looks at the clock
			if len(p.over) > 0 {
				t.Error("ended within its time")
			}
			p.clock.Advance(61 * time.Second)
			p.cancelled()
			p.refused("afterwards", p.call(retry))
		},
		"the key is revoked": func(p *parkedWorld, retry string) {
			_, err := p.svc.RevokeKey(context.Background(), p.op, p.k.Key.ID, keys.Revocation{})
			must(t, err)
			if a := p.call(retry); a.status != 401 {
				t.Errorf("afterwards: %d %s", a.status, a.body)
			}
			p.cancelled()
		},
		"the key is narrowed": func(p *parkedWorld, retry string) {
			_, err := p.svc.UpdateKey(context.Background(), p.op, p.k.Key.ID, keys.KeyPatch{PolicyPatch: keys.PolicyPatch{MCPAllowlistMode: keys.Some(policy.ModeAllow)}})
			must(t, err)
			if a := p.call(retry); !strings.Contains(a.body, "Unknown tool: a1__ask") {
				t.Errorf("afterwards: %d %s", a.status, a.body)
			}
			p.cancelled()
			_, err = p.svc.UpdateKey(context.Background(), p.op, p.k.Key.ID, keys.KeyPatch{PolicyPatch: keys.PolicyPatch{MCPAllowlistMode: keys.Some(policy.ModeAll)}})
			must(t, err)
			p.refused("given back", p.call(retry))
		},
		"the client leaves its next request": func(p *parkedWorld, retry string) {
			ctx, leave := context.WithCancel(context.Background())
			headers := append(auth(p.k), "Mcp-Protocol-Version", "2026-07-28", "Mcp-Method", "tools/call", "Mcp-Name", "a1__ask", "Content-Type", "application/json")
			req, err := http.NewRequestWithContext(ctx, http.MethodPost, p.http.URL+"/mcp",
				strings.NewReader(request(2, "tools/call", retry+","+metaWith(canAll))))
			must(t, err)
			for i := 0; i < len(headers); i += 2 {
				req.Header.Set(headers[i], headers[i+1])
			}
			left := make(chan struct{})
			go func() { defer close(left); _, _ = p.client.Do(req) }() //nolint:bodyclose // it never has one
			<-p.got
			leave()
			<-left
			p.cancelled()
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := newParkedWorld(t)
			if name == "the client leaves its next request" {
				p.up.on("ask", func(c fakeCall) string {
					p.got <- c.ask("elicitation/create", form)
					<-c.done
					p.over <- true
					return `{}`
				})
			}
			end(p, p.begin().retry(callAsk, answers))
			p.until("one call is recorded", func() bool { return len(p.records(p.k)) == 1 })
			if got := p.records(p.k); got[0].Outcome != "canceled" {
				t.Errorf("recorded as %+v", got[0])
			}
		})
	}
}

// TestParkedShutdown: a server that stops ends what is parked.
func TestParkedShutdown(t *testing.T) {
	p := newParkedWorld(t)
	s := p.second()
	ctx, stop := context.WithCancel(context.Background())
	stopped := make(chan struct{})
	go func() { defer close(stopped); _ = s.gw.Run(ctx) }()
	s.until("it answers", func() bool {
		return strings.Contains(s.modernCan(p.k, `{}`, "tools/call", `"name":"a1__also"`).body, `"ok"`)
	})
	inputOf(t, parse(t, s.modernCan(p.k, canAll, "tools/call", callAsk).body).Result)
	stop()
	<-stopped
	p.cancelled()
}

// TestParkedStdio: what is parked for a stdio client goes with it.
func TestParkedStdio(t *testing.T) {
	p := newParkedWorld(t)
	pipes := startPipes(t, doors(p.world, p.k)["local"])
	pipes.send(request(1, "tools/call", callAsk+","+metaWith(canAll)))
	pipes.expect("input_required")
	must(t, pipes.in.Close())
	must(t, pipes.ended())
	p.cancelled()
}

// TestParkedUpstreamEnds: what comes of a call while nobody waits for it is
// there for the client's next request.
func TestParkedUpstreamEnds(t *testing.T) {
	w := newWorld(t)
	up := newUpstream(t, tool("ask", "r"))
	w.mount("a1", up)
	answered := make(chan struct{})
	up.on("ask", func(c fakeCall) string {
		id, _ := c.asking("elicitation/create", form)
		<-answered
		c.notify("notifications/cancelled", `{"requestId":`+id+`}`)
		return `{"content":[],"late":true}`
	})
	k := w.key()
	in := inputOf(t, parse(t, w.modernCan(k, canAll, "tools/call", callAsk).body).Result)
	close(answered)
	w.until("the call is over", func() bool { return len(w.records(k)) == 1 })
	if a := w.modernCan(k, canAll, "tools/call", in.retry(callAsk, answers)); !strings.Contains(a.body, `"late":true`) {
		t.Errorf("%d %s", a.status, a.body)
	}
}

// TestParkedLimit: one key has at most 16 calls parked, and each holds its
// place among the key's calls until it ends.
func TestParkedLimit(t *testing.T) {
	w := newWorld(t)
	up := newUpstream(t, tool("ask", "r"))
	w.mount("a1", up)
	up.asksAll("ask", `"content":[]`, [2]string{"elicitation/create", form})
	k := w.key()
	ins := []inputRequired{}
	for range 16 {
		ins = append(ins, inputOf(t, parse(t, w.modernCan(k, canAll, "tools/call", callAsk).body).Result))
	}
	if a := w.modernCan(k, canAll, "tools/call", callAsk); !strings.Contains(a.body, `"code":-32029`) || !strings.Contains(a.body, "16 calls waiting") {
		t.Errorf("one more: %d %s", a.status, a.body)
	}
	inputOf(t, parse(t, w.modernCan(w.key(), canAll, "tools/call", callAsk).body).Result)
	for _, in := range ins {
		if a := w.modernCan(k, canAll, "tools/call", in.retry(callAsk, answers)); a.status != 200 {
			t.Errorf("%d %s", a.status, a.body)
		}
	}
	inputOf(t, parse(t, w.modernCan(k, canAll, "tools/call", callAsk).body).Result)
}

// TestParkedPlaces: parked calls give their places in the quota back, whatever
// their end.
func TestParkedPlaces(t *testing.T) {
	w := newWorld(t)
	up := newUpstream(t, tool("ask", "r"), tool("wait", "r"))
	w.mount("a1", up)
	up.asksAll("ask", `"content":[]`, [2]string{"elicitation/create", form})
	k := w.key()
	for range 33 { // two places each time, if they were kept
		askingDoors["modern/http"](w, k, canAll, "tools/call", callAsk, answers)
	}
	for i := range 3 {
		for range 10 {
			inputOf(t, parse(t, w.modernCan(k, canAll, "tools/call", callAsk).body).Result)
		}
		w.clock.Advance(11 * time.Minute)
		w.until("they have ended", func() bool { return w.outcomes(k)["canceled"] == 10*(i+1) })
	}
	release := make(chan struct{})
	var running atomic.Int64
	free := sync.OnceFunc(func() { close(release) })
	defer free()
	up.on("wait", func(fakeCall) string { running.Add(1); <-release; return `{"content":[]}` })
	all := make(chan answer, 64)
	for range 64 {
		go func() { all <- w.modernCan(k, canAll, "tools/call", `"name":"a1__wait"`) }()
	}
	w.until("every place is taken", func() bool { return running.Load() == 64 })
	free()
	for range 64 {
		if a := <-all; a.status != 200 || strings.Contains(a.body, "error") {
			t.Errorf("%d %s", a.status, a.body)
		}
	}
}

// outcomes counts the newest calls in the audit trail by how they ended.
func (w *world) outcomes(k keys.Issued) map[string]int {
	w.t.Helper()
	found, err := w.svc.AuditEvents(context.Background(), w.op, keys.AuditQuery{KeyID: k.Key.ID, Kind: "call", Limit: 200})
	must(w.t, err)
	out := map[string]int{}
	for _, e := range found {
		out[e.Outcome]++
	}
	return out
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
