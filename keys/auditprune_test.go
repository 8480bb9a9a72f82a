package keys_test

import (
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/bailiwick-mcp/bailiwick/keys"
)

// aged records calls of a time and writes them.
func (h *house) aged(n int, at time.Time) {
	h.t.Helper()
	var batch []keys.AuditEntry
	for i := range n {
		e := h.call(i)
		e.ID, e.Time, e.Writer = uuid.Must(uuid.NewV7()).String(), at, "w1"
		batch = append(batch, e)
	}
	if err := h.store.AppendAudit(h.ctx, batch); err != nil {
		h.t.Fatal(err)
	}
}

// verified is how many entries a trail has that verifies.
func (h *house) verified() (rows int64) {
	h.t.Helper()
	verdicts, err := keys.VerifyAudit(h.ctx, h.store, nil, h.op.TenantID())
	if err != nil {
		h.t.Fatal(err)
	}
	for _, v := range verdicts {
		rows += v.Rows
		if v.Problem != "" {
			h.t.Errorf("chain %s: %s", v.Writer, v.Problem)
		}
	}
	return rows
}

func TestPruneAudit(t *testing.T) {
	h := newHouse(t)
	now := h.svc.Now()
	before := h.verified()
	h.aged(1203, now.Add(-48*time.Hour))
	h.aged(7, now)
	h.aged(2, now.Add(-48*time.Hour)) // after a younger one of its chain, so it stays
	if n, err := h.svc.PruneAudit(h.ctx, h.op, now.Add(-24*time.Hour), true); err != nil || n != 1203 {
		t.Errorf("dry: %d, %v", n, err)
	}
	if got := h.verified(); got != before+1212 {
		t.Errorf("a dry run left %d entries, want %d", got, before+1212)
	}
	if n, err := h.svc.PruneAudit(h.ctx, h.op, now.Add(-24*time.Hour), false); err != nil || n != 1203 {
		t.Errorf("got %d, %v", n, err)
	}
	if got := h.verified(); got != before+10 { // with the record of it
		t.Errorf("%d entries are left, want %d", got, before+10)
	}
	list, err := h.svc.AuditEvents(h.ctx, h.op, keys.AuditQuery{Kind: "change", Limit: 1})
	if err != nil || len(list) != 1 || list[0].Action != "audit.prune" {
		t.Errorf("recorded %+v, %v", list, err)
	}
	if n, err := h.svc.PruneAudit(h.ctx, h.op, now.Add(-24*time.Hour), false); err != nil || n != 0 {
		t.Errorf("again: %d, %v", n, err)
	}
	h.aged(3, now)
	if got := h.verified(); got != before+13 {
		t.Errorf("%d entries, want %d", got, before+13)
	}
	if _, err := h.svc.PruneAudit(h.ctx, h.first, now, false); err == nil {
		t.Error("a key may prune")
	}
}

// TestPruneAuditWhileOthersWrite: what is written meanwhile stays, and several
// may prune at once.
func TestPruneAuditWhileOthersWrite(t *testing.T) {
	h := newHouse(t)
	now := h.svc.Now()
	before := h.verified()
	h.aged(2000, now.Add(-48*time.Hour))
	var all sync.WaitGroup
	var mu sync.Mutex
	var removed, records int64
	for range 3 {
		all.Go(func() {
			n, err := h.svc.PruneAudit(h.ctx, h.op, now.Add(-24*time.Hour), false)
			if err != nil && !errors.Is(err, keys.ErrVersion) {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			if removed += n; n > 0 {
				records++
			}
		})
	}
	all.Go(func() {
		for range 20 {
			h.aged(5, now)
		}
	})
	all.Wait()
	n, err := h.svc.PruneAudit(h.ctx, h.op, now.Add(-24*time.Hour), false)
	if n > 0 {
		records++
	}
	if err != nil || removed+n != 2000 {
		t.Errorf("removed %d and %d, %v", removed, n, err)
	}
	if got := h.verified(); got != before+100+records {
		t.Errorf("%d entries are left, want %d", got, before+100+records)
	}
}
