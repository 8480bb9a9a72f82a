package keys

import (
	"context"
	"fmt"
	"sync"
	"time"
	"unicode/utf8"
)

// trail holds the audit entries of calls and decisions until a batch is
// written. It is bounded: when it is full, Record waits. While the store can't be
// reached, what waits goes to the spool, if there is one.
type trail struct {
	mu      sync.Mutex
	waiting []AuditEntry
	left    int64         // counts those that have left, in order
	moved   time.Time     // when some left last, or the first came
	room    chan struct{} // closed, and made anew, when entries have left
	running bool          // Run empties it
	ended   bool          // Run did, and will not come back
	down    bool          // the store could not be reached for the last batch
	problem error         // of the spool, with the last batch
	lost    int64
	refused int64
	shares  shares

	flushing sync.Mutex // one batch at a time, so that the order holds
	spooling sync.Mutex
	wake     chan struct{}
	save     chan struct{}
}

const (
	maxAuditTool  = 256 // characters
	trailLimit    = 4096
	trailReserve  = 4 * trailLimit // with what was under way when it was full
	trailBatch    = 256
	trailInterval = 400 * time.Millisecond // entries are to be readable within 1 s
	trailPatience = 5 * time.Second        // how long an entry waits for room
)

func newTrail() *trail {
	return &trail{room: make(chan struct{}), wake: make(chan struct{}, 1), save: make(chan struct{}, 1)}
}

// Record takes a call or decision entry for the next batch (written within
// one second); it blocks while 4096 wait, for 5 s at most, or until ctx ends. After
// those 5 s it is taken all the same, so that a call that was begun while there was
// room (AuditRoom) has its entry, up to 16384; beyond, it is lost, counted, and
// ErrAuditFull. Its id and time are
// set when they are empty. Before Run, a full trail is written by the caller;
// after Run, every entry is. Of a token in what the client chose (action, tool,
// client, subject, detail) only the shown part is kept.
func (s *Service) Record(ctx context.Context, e AuditEntry) error {
	if e.ID == "" {
		id, err := s.ids.next()
		if err != nil {
			return fmt.Errorf("recording an audit entry: %w", err)
		}
		e.ID = id
	}
	if e.Time.IsZero() {
		e.Time = s.now()
	}
	e.Action, e.Client = WithoutToken(e.Action), WithoutToken(e.Client)
	if subject := StorableText(WithoutToken(e.Subject)); subject != e.Subject {
		e.Subject, e.Seen = subject, "" // of a name that is not kept nothing can be decided again
	}
	if e.Tool = WithoutToken(e.Tool); utf8.RuneCountInString(e.Tool) > maxAuditTool {
		e.Tool = string([]rune(e.Tool)[:maxAuditTool])
	}
	if len(e.Detail) > 0 {
		e.Detail = []byte(WithoutToken(string(e.Detail)))
	}
	taken, ended := s.trail.add(&e, trailLimit)
	if !taken {
		return s.recordLate(ctx, &e)
	}
	if ended {
		return s.writeNow(ctx)
	}
	return nil
}

// add takes an entry when fewer than limit wait; ended says that nobody will
// write it.
func (t *trail) add(e *AuditEntry, limit int) (taken, ended bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.waiting) >= limit {
		return false, t.ended
	}
	if len(t.waiting) == 0 {
		t.moved = time.Now()
	}
	t.waiting = append(t.waiting, *e)
	t.shares.add(e.TenantID)
	if len(t.waiting) >= trailBatch && !t.ended {
		t.hurry()
	}
	if len(t.waiting) >= trailLimit/2 {
		t.saveNow()
	}
	return true, t.ended
}

// recordLate waits for room.
func (s *Service) recordLate(ctx context.Context, e *AuditEntry) error {
	t := s.trail
	patience := time.NewTimer(trailPatience)
	defer patience.Stop()
	for {
		t.mu.Lock()
		room, running := t.room, t.running
		t.mu.Unlock()
		taken, ended := t.add(e, trailLimit)
		switch {
		case taken && ended:
			return s.writeNow(ctx)
		case taken:
			return nil
		case !running:
			if err := s.writeNow(ctx); err != nil {
				return fmt.Errorf("recording an audit entry: %w", err)
			}
			continue
		}
		t.saveNow()
		select {
		case <-room:
		case <-patience.C:
			return s.recordBeyond(e)
		case <-ctx.Done():
			return fmt.Errorf("recording an audit entry: %w", ctx.Err())
		}
	}
}

// recordBeyond takes an entry that has waited for room in vain.
func (s *Service) recordBeyond(e *AuditEntry) error {
	t := s.trail
	if taken, _ := t.add(e, trailReserve); taken {
		return nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.lost++
	return fmt.Errorf("recording an audit entry: %w", ErrAuditFull)
}

// writeNow is for when Run does not write: before it and after it.
func (s *Service) writeNow(ctx context.Context) error {
	ctx, done := context.WithTimeout(ctx, trailPatience)
	defer done()
	err := s.flushTrail(ctx)
	if err != nil && s.cfg.Spool != nil && s.spoolTrail() == nil {
		return nil
	}
	return err
}

func (t *trail) hurry() { signal(t.wake) }

func (t *trail) saveNow() { signal(t.save) }

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

func (t *trail) setRunning(on bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.running, t.ended = on, !on
}

// leave takes those of n entries out that have not left meanwhile: they were the
// oldest ones when as many had left as since says. It answers how many it took.
// They are written, or in the spool.
func (t *trail) leave(since int64, n int, written bool) int {
	t.mu.Lock()
	defer t.mu.Unlock()
	n -= int(t.left - since)
	if n <= 0 {
		return 0
	}
	if written {
		t.shares.written(t.waiting[:n])
	}
	left := copy(t.waiting, t.waiting[n:])
	clear(t.waiting[left:]) // the memory stays for later ones, what it holds does not
	t.waiting = t.waiting[:left]
	t.left += int64(n)
	t.moved = time.Now()
	close(t.room)
	t.room = make(chan struct{})
	return n
}
