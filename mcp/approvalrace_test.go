package mcp_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/mcp"
)

// TestHeldCallGivenUp: a client that goes away leaves its request pending, and it is
// not made later.
func TestHeldCallGivenUp(t *testing.T) {
	h := newHeldWorld(t, patient)
	c := h.connect(h.k, "/mcp")
	e := c.callStream(1, "tools/call", dropX+`,"_meta":{"progressToken":"p"}`)
	told := parse(t, e.next())
	a := h.waits()
	if s := h.gw.Stats(); s.Held != 1 || s.Running != 1 {
		t.Errorf("counts %d calls that wait, of %d", s.Held, s.Running)
	}
	if told.Method != "notifications/progress" || !strings.Contains(string(told.Params), `"progressToken":"p"`) || !strings.Contains(string(told.Params), a.ID) {
		t.Errorf("told: %+v", told)
	}
	e.stop()
	h.until("the call has ended", func() bool { return mcp.RunningCalls(h.gw) == 0 })
	if s := h.gw.Stats(); s.Held != 0 {
		t.Errorf("counts %d calls that wait, after the last", s.Held)
	}
	h.decided(a.ID, true, "")
	passed(t, c.send(request(2, "tools/call", dropX)))
	if h.dropped() != 1 {
		t.Errorf("made %d times", h.dropped())
	}
}

// TestHeldCallGivenUpWhenApproved: a client that goes away just when its call is
// approved has it made once at most, whichever comes first: either that call took the
// approval, or the next one finds it.
func TestHeldCallGivenUpWhenApproved(t *testing.T) {
	h := newHeldWorld(t, patient)
	c := h.connect(h.k, "/mcp")
	// made counts by arguments: a call may come to the upstream after its client left.
	made := func(n int) (times int) {
		for _, call := range h.up.seen() {
			if string(call.Arguments) == fmt.Sprintf(`{"n":%d}`, n) {
				times++
			}
		}
		return times
	}
	const rounds = 20
	for n := range rounds {
		params := fmt.Sprintf(`"name":"a1__drop_x","arguments":{"n":%d}`, n)
		e := c.callStream(1, "tools/call", params+`,"_meta":{"progressToken":"p"}`)
		a := h.waits()
		var wg sync.WaitGroup
		switch n % 3 {
		case 0: // the connection ends
			wg.Go(e.stop)
		case 1: // it says so
			wg.Go(func() {
				c.send(`{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}`)
			})
		case 2: // the approval ends
			wg.Go(func() { h.clock.Advance(10 * time.Minute) })
		}
		wg.Go(func() {
			_, _ = h.svc.DecideCall(context.Background(), h.op, a.ID, keys.ApprovalDecision{Approve: true})
		})
		wg.Wait()
		e.stop()
		h.until("the call has ended", func() bool { return mcp.RunningCalls(h.gw) == 0 })
		shown, err := h.svc.CallApproval(t.Context(), h.op, a.ID)
		must(t, err)
		if made(n) > 0 && shown.Status != keys.ApprovalUsed {
			t.Fatalf("round %d: made, and the approval is %s", n, shown.Status)
		}
		if shown.Status != keys.ApprovalApproved {
			continue // nothing is left for another call, as other tests say
		}
		passed(t, c.send(request(2, "tools/call", params)))
		if made(n) != 1 {
			t.Fatalf("round %d: made %d times", n, made(n))
		}
	}
	for n := range rounds {
		if made(n) > 1 {
			t.Errorf("round %d: made %d times", n, made(n))
		}
	}
}

// TestHeldCallsRace: of several calls at two servers exactly one gets an approval; the
// others ask for their own.
func TestHeldCallsRace(t *testing.T) {
	h := newHeldWorld(t, patient)
	second := h.replica(patient)
	calls := make(chan answer, 6)
	c := h.connect(h.k, "/mcp")
	var wg sync.WaitGroup
	for i := range cap(calls) {
		from := c
		if i%2 == 1 {
			from = c.at(second)
		}
		wg.Go(func() { calls <- from.send(request(i, "tools/call", dropX)) })
	}
	seen := map[string]bool{}
	for n := range cap(calls) {
		a := h.waits()
		if seen[a.ID] {
			t.Fatal("one approval is asked for twice")
		}
		seen[a.ID] = true
		h.decided(a.ID, true, "")
		passed(t, h.comes(calls))
		if h.dropped() != n+1 {
			t.Fatalf("%d approvals, %d calls", n+1, h.dropped())
		}
	}
	wg.Wait()
}
