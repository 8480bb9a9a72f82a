package keys_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/keys/keystest"
	"github.com/bailiwick-mcp/bailiwick/keys/spool"
)

// silentStore is one that may leave batches without an answer.
type silentStore struct {
	*keystest.Memory
	silent atomic.Bool
	hung   chan struct{} // one each for a batch that hangs
	answer chan struct{} // ends the hanging, and the batch is written
}

func (s *silentStore) AppendAudit(ctx context.Context, entries []keys.AuditEntry) error {
	if s.silent.Load() {
		select {
		case s.hung <- struct{}{}:
		default:
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-s.answer:
		}
	}
	return s.Memory.AppendAudit(ctx, entries)
}

// outage is a house whose service has a spool.
type outage struct {
	*house
	silent *silentStore
	folder string
	limit  int64
	spool  *spool.Spool
	stop   func()
	nobody keys.Principal // a key with no right to the trail
}

func newOutage(t *testing.T, limit int64) *outage {
	h := newHouse(t)
	o := &outage{house: h, silent: &silentStore{Memory: h.store.Memory, hung: make(chan struct{}, 1), answer: make(chan struct{})},
		folder: filepath.Join(t.TempDir(), "audit-spool"), limit: limit}
	o.start()
	t.Cleanup(func() { o.stop() })
	return o
}

// start starts another process on the store.
func (o *outage) start() {
	o.t.Helper()
	var err error
	if o.spool, _, err = spool.Open(spool.Config{Folder: o.folder, Store: "sqlite", Limit: o.limit}); err != nil {
		o.t.Fatal(err)
	}
	o.svc, err = keys.New(o.ctx, keys.Config{Store: o.silent, Root: rootSecret, Now: o.clock.Now, Spool: o.spool})
	if err != nil {
		o.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- o.svc.Run(ctx) }()
	o.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			o.t.Errorf("Run: %v", err)
		}
		if err := o.spool.Close(); err != nil {
			o.t.Error(err)
		}
	})
	running := o.call(-1) // the trail is emptied by now
	running.Kind, running.Decision = "decision", "deny"
	o.record(running)
	eventually(o.t.(*testing.T), "Run writes", func() bool { return o.svc.AuditState().Waiting == 0 })
}

func (o *outage) record(e keys.AuditEntry) {
	o.t.Helper()
	if err := o.svc.AuditRoom(o.ctx, o.op.TenantID()); err != nil {
		o.t.Fatal(err)
	}
	if err := o.svc.Record(o.ctx, e); err != nil {
		o.t.Fatal(err)
	}
}

func (o *outage) eventually(what string, ok func(keys.AuditState) bool) {
	o.t.Helper()
	eventually(o.t.(*testing.T), what, func() bool { return ok(o.svc.AuditState()) })
}

func inMemory(n int) func(keys.AuditState) bool {
	return func(s keys.AuditState) bool { return s.Waiting == n }
}

func written(s keys.AuditState) bool { return s.Waiting == 0 && s.Spool.Entries == 0 }

const roomy = 64 << 20

func TestOutageIsSpooledAndWrittenInOrder(t *testing.T) {
	o := newOutage(t, roomy)
	o.store.SetDown(true)
	const n = 6000 // more than memory takes
	for i := range n {
		o.record(o.call(i))
	}
	o.eventually("all is on disk", inMemory(0))
	if state := o.svc.AuditState(); state.Spool.Entries != n || state.Problem != nil || state.Full {
		t.Errorf("%+v", state)
	}
	o.store.SetDown(false)
	for i := range 500 { // beside what is being written
		o.record(o.call(n + i))
	}
	o.eventually("all is written", written)
	o.allCalls(n + 500)
	if state := o.svc.AuditState(); state.Lost != 0 || state.Spool.Damaged != 0 || state.Refused != 0 {
		t.Errorf("%+v", state)
	}
}

func TestOutageAtTheEndIsForTheNextProcess(t *testing.T) {
	o := newOutage(t, roomy)
	o.store.SetDown(true)
	for i := range 300 {
		o.record(o.call(i))
	}
	o.stop() // with no error
	if err := o.svc.Record(o.ctx, o.call(300)); err == nil {
		t.Error("an entry was taken after the spool was closed, with the store down")
	}
	o.store.SetDown(false)
	o.start()
	o.eventually("all is written", written)
	o.allCalls(300)
}

// Entries that were written, but of which the process did not hear it, are there
// once.
func TestLeftOverEntriesAreNotWrittenTwice(t *testing.T) {
	o := newOutage(t, roomy)
	o.store.SetDown(true)
	var list []keys.AuditEntry
	for i := range 400 {
		e := o.call(i)
		e.ID, e.Time = fmt.Sprintf("0197%028d", i), o.clock.Now()
		list = append(list, e)
		o.record(e)
	}
	o.eventually("all is on disk", inMemory(0))
	o.stop()
	o.store.SetDown(false)
	if err := o.store.AppendAudit(o.ctx, list[:333]); err != nil {
		t.Fatal(err)
	}
	o.start()
	o.eventually("all is written", written)
	o.allCalls(400)
}

// A store that answers nothing holds up what is spooled as little as one that
// refuses.
func TestSilentStoreIsSpooledFor(t *testing.T) {
	o := newOutage(t, roomy)
	o.silent.silent.Store(true)
	o.record(o.call(0))
	<-o.silent.hung
	for i := range 600 {
		o.record(o.call(i + 1))
	}
	o.eventually("all is on disk while a batch hangs", func(s keys.AuditState) bool { return s.Spool.Entries == 601 && s.Waiting == 0 })
	o.silent.silent.Store(false)
	eventuallyWithin(t, time.Minute, "the hanging batch is given up, and all is written", func() bool { return written(o.svc.AuditState()) })
	o.allCalls(601)
}

// A batch that is written after all, when its entries are on disk already, takes
// nothing else along, and is there once.
func TestLateAnswerTakesOnlyItsOwn(t *testing.T) {
	o := newOutage(t, roomy)
	o.silent.silent.Store(true)
	o.record(o.call(0))
	<-o.silent.hung
	for i := range 10 {
		o.record(o.call(i + 1))
	}
	o.eventually("all is on disk while a batch hangs", inMemory(0))
	o.silent.silent.Store(false)
	close(o.silent.answer)
	for i := range 500 {
		o.record(o.call(i + 11))
	}
	o.eventually("all is written", written)
	o.allCalls(511)
}

func eventuallyWithin(t *testing.T, limit time.Duration, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(limit); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("never: %s", what)
		}
	}
}

// With disk and memory full, nothing more may be done; what was done is recorded,
// and when the store is back all goes on.
func TestFullSpoolRefusesAndLosesNothing(t *testing.T) {
	o := newOutage(t, 256<<10)
	o.store.SetDown(true)
	n := 0
	for ; ; n++ {
		if err := o.svc.AuditRoom(o.ctx, o.op.TenantID()); err != nil {
			if !errors.Is(err, keys.ErrAuditFull) || !errors.Is(err, keys.ErrUnavailable) {
				t.Fatal(err)
			}
			break
		}
		if err := o.svc.Record(o.ctx, o.call(n)); err != nil {
			t.Fatal(err)
		}
	}
	state := o.svc.AuditState()
	if !state.Full || !errors.Is(state.Problem, keys.ErrSpoolFull) || state.Refused != 1 || state.Lost != 0 ||
		state.Waiting < 4096 || state.Spool.Entries == 0 || state.Spool.Bytes > 256<<10 {
		t.Errorf("%+v", state)
	}
	if err := o.svc.Record(o.ctx, o.call(n)); err != nil { // of a call that was under way: after 5 s
		t.Errorf("what was done could not be recorded: %v", err)
	}
	o.store.SetDown(false)
	eventually(t, "there is room again", func() bool { return o.svc.AuditRoom(o.ctx, o.op.TenantID()) == nil })
	o.record(o.call(n + 1))
	o.eventually("all is written", written)
	o.allCalls(n + 2)
	if state := o.svc.AuditState(); state.Lost != 0 || state.Full || state.Problem != nil {
		t.Errorf("%+v", state)
	}
}

// What can't be held any more is lost, but not silently.
func TestBeyondTheReserveIsCounted(t *testing.T) {
	h := newHouse(t)
	ctx, cancel := context.WithCancel(h.ctx)
	done := make(chan error, 1)
	go func() { done <- h.svc.Run(ctx) }()
	if err := h.svc.Record(h.ctx, h.call(0)); err != nil {
		t.Fatal(err)
	}
	eventually(t, "Run writes", func() bool { return len(h.calls()) == 1 })
	h.store.SetDown(true)
	for i := range 4096 {
		if err := h.svc.Record(h.ctx, h.call(i+1)); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "it is known that nothing helps", func() bool { return errors.Is(h.svc.AuditRoom(h.ctx, h.op.TenantID()), keys.ErrAuditFull) })
	const late = 4*4096 - 4096 + 100
	var failed atomic.Int64
	var all sync.WaitGroup
	for i := range late {
		all.Go(func() {
			if err := h.svc.Record(h.ctx, h.call(i+4097)); errors.Is(err, keys.ErrAuditFull) {
				failed.Add(1)
			} else if err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if state := h.svc.AuditState(); failed.Load() != 100 || state.Lost != 100 || state.Waiting != 4*4096 {
		t.Errorf("%d failed, %+v", failed.Load(), state)
	}
	h.store.SetDown(false)
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}
