package mcp_test

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/mcp"
	"github.com/bailiwick-mcp/bailiwick/policy"
)

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

	// It is not kept for as long as a question is.
	parked := make(chan struct{})
	up.on("ask", func(c fakeCall) string {
		id, _ := c.asking("elicitation/create", form)
		<-parked
		c.notify("notifications/cancelled", `{"requestId":`+id+`}`)
		return `{"content":[],"late":true}`
	})
	in = inputOf(t, parse(t, w.modernCan(k, canAll, "tools/call", callAsk).body).Result)
	close(parked)
	w.until("the call is over", func() bool { return len(w.records(k)) == 2 })
	w.clock.Advance(2 * time.Minute)
	w.until("its answer is forgotten", func() bool { return mcp.Parked(w.gw) == 0 })
	if a := w.modernCan(k, canAll, "tools/call", in.retry(callAsk, answers)); !strings.Contains(a.body, "requestState") {
		t.Errorf("too late: %d %s", a.status, a.body)
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

// TestParkedTenantLimit: the keys of one organization share 64 places, so that
// others still have some.
func TestParkedTenantLimit(t *testing.T) {
	w := newWorld(t)
	up := newUpstream(t, tool("ask", "r"))
	up.asksAll("ask", `"content":[]`, [2]string{"elicitation/create", form})
	w.mount("a1", up)
	other := w.tenant("other")
	w.mountAs(other, "a1", up)
	var all sync.WaitGroup
	for range 4 {
		k := w.key()
		for range 16 {
			all.Go(func() { inputOf(t, parse(t, w.modernCan(k, canAll, "tools/call", callAsk).body).Result) })
		}
	}
	all.Wait()
	if a := w.modernCan(w.key(), canAll, "tools/call", callAsk); !strings.Contains(a.body, `"code":-32029`) || !strings.Contains(a.body, "this organization has 64 calls waiting") {
		t.Errorf("one more: %d %s", a.status, a.body)
	}
	inputOf(t, parse(t, w.modernCan(w.keyAs(other), canAll, "tools/call", callAsk).body).Result)
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
