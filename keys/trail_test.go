package keys_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/bailiwick-mcp/bailiwick/keys"
)

func (h *house) call(n int) keys.AuditEntry {
	return keys.AuditEntry{
		TenantID: h.op.TenantID(), Kind: "call", Action: "tools/call", Actor: h.first.KeyID(), KeyID: h.first.KeyID(),
		Tool: fmt.Sprintf("tool-%05d", n), Decision: "allow", Outcome: "ok",
	}
}

func (h *house) calls() []string {
	h.t.Helper()
	var tools []string
	q := keys.AuditQuery{Kind: "call", Limit: 200}
	for {
		page, err := h.svc.AuditEvents(h.ctx, h.op, q)
		if err != nil {
			h.t.Fatal(err)
		}
		for _, e := range page {
			tools = append(tools, e.Tool)
			q.Before = e.ID
		}
		if len(page) < q.Limit {
			return tools
		}
	}
}

func (h *house) allCalls(n int) {
	h.t.Helper()
	got := h.calls()
	if len(got) != n {
		h.t.Fatalf("%d entries were written, want %d", len(got), n)
	}
	for i, tool := range got { // newest first
		if want := fmt.Sprintf("tool-%05d", n-1-i); tool != want {
			h.t.Fatalf("entry %d is %s, want %s", i, tool, want)
		}
	}
}

func TestTrailIsWrittenInOrderAndAtTheEnd(t *testing.T) {
	h := newHouse(t)
	ctx, cancel := context.WithCancel(h.ctx)
	done := make(chan error)
	go func() { done <- h.svc.Run(ctx) }()
	for n := range 1000 {
		if err := h.svc.Record(h.ctx, h.call(n)); err != nil {
			t.Fatal(err)
		}
	}
	cancel()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	h.allCalls(1000)
	if waiting, lost := h.svc.AuditWaiting(); waiting != 0 || lost != 0 {
		t.Errorf("%d wait, %d lost", waiting, lost)
	}
	if err := h.svc.Record(h.ctx, h.call(1000)); err != nil { // after Run, at once
		t.Fatal(err)
	}
	h.allCalls(1001)
}

func TestTrailSurvivesAStoreThatIsDown(t *testing.T) {
	h := newHouse(t)
	ctx, cancel := context.WithCancel(h.ctx)
	done := make(chan error)
	go func() { done <- h.svc.Run(ctx) }()
	if err := h.svc.Record(h.ctx, h.call(0)); err != nil {
		t.Fatal(err)
	}
	eventually(t, "Run writes", func() bool { return len(h.calls()) == 1 })
	h.store.SetDown(true)
	for n := range 4096 {
		if err := h.svc.Record(h.ctx, h.call(n+1)); err != nil {
			t.Fatal(err)
		}
	}
	if waiting, _ := h.svc.AuditWaiting(); waiting != 4096 {
		t.Errorf("%d wait", waiting)
	}
	short, end := context.WithTimeout(h.ctx, 10*time.Millisecond)
	defer end()
	if err := h.svc.Record(short, h.call(4097)); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a full trail takes more: %v", err)
	}
	blocked := make(chan error)
	go func() { blocked <- h.svc.Record(h.ctx, h.call(4097)) }()
	h.store.SetDown(false)
	if err := <-blocked; err != nil {
		t.Error(err)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	h.allCalls(4098)
}

func TestTrailWithoutRun(t *testing.T) {
	h := newHouse(t)
	for n := range 5000 {
		if err := h.svc.Record(h.ctx, h.call(n)); err != nil {
			t.Fatal(err)
		}
	}
	h.runOnce(h.svc)
	h.allCalls(5000)
}

// An entry that the store refuses for good is counted, and holds up no other.
func TestTrailCountsWhatIsRefused(t *testing.T) {
	h := newHouse(t)
	for n := range 3 {
		if err := h.svc.Record(h.ctx, h.call(n)); err != nil {
			t.Fatal(err)
		}
	}
	broken := h.call(0)
	broken.Kind = "change"
	if err := h.svc.Record(h.ctx, broken); err != nil {
		t.Fatal(err)
	}
	if err := h.svc.Record(h.ctx, h.call(3)); err != nil {
		t.Fatal(err)
	}
	h.runOnce(h.svc)
	h.allCalls(4)
	if waiting, lost := h.svc.AuditWaiting(); waiting != 0 || lost != 1 {
		t.Errorf("%d wait, %d lost", waiting, lost)
	}
}

func TestTrailKeepsNoToken(t *testing.T) {
	h := newHouse(t)
	token, err := keys.NewToken(rand.Reader, keys.DefaultTokenPrefix)
	if err != nil {
		t.Fatal(err)
	}
	body := token.Reveal()[len(keys.DefaultTokenPrefix):]
	for _, c := range []struct{ tool, want string }{
		{token.Reveal(), keys.DefaultTokenPrefix + body[:4] + "…"},
		{"notes__" + token.Reveal(), "notes__" + keys.DefaultTokenPrefix + body[:4] + "…"},
		{token.Reveal() + ", " + token.Reveal() + "!", keys.DefaultTokenPrefix + body[:4] + "…, " + keys.DefaultTokenPrefix + body[:4] + "…!"},
		{token.Reveal() + "_suffix", keys.DefaultTokenPrefix + body[:4] + "…_suffix"},
		{strings.Repeat("x", 210) + "/" + token.Reveal(), strings.Repeat("x", 210) + "/" + keys.DefaultTokenPrefix + body[:4] + "…"},
		{strings.Repeat("ä", 300), strings.Repeat("ä", 256)},
		{strings.Repeat("x", 100), strings.Repeat("x", 100)},
		{"read_note", "read_note"},
	} {
		e := h.call(0)
		e.Tool = c.tool
		if err := h.svc.Record(h.ctx, e); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(h.ctx)
		cancel() // Run writes what waits, and ends
		_ = h.svc.Run(ctx)
		if got := h.calls()[0]; got != c.want {
			t.Errorf("%q is kept as %q, want %q", c.tool, got, c.want)
		}
	}
}
