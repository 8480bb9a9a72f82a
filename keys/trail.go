package keys

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
	"unicode/utf8"
)

// trail holds the audit entries of calls and decisions until a batch is
// written. It is bounded: when it is full, Record waits.
type trail struct {
	mu      sync.Mutex
	waiting []AuditEntry
	room    chan struct{} // closed, and made anew, when entries have left
	running bool          // Run empties it
	ended   bool          // Run did, and will not come back
	lost    int64

	flushing sync.Mutex // one batch at a time, so that the order holds
	wake     chan struct{}
}

const (
	maxAuditTool  = 256 // characters
	trailLimit    = 4096
	trailBatch    = 256
	trailInterval = 400 * time.Millisecond // entries are to be readable within 1 s
	trailPatience = 5 * time.Second        // how long an entry waits for room
)

func newTrail() *trail {
	return &trail{room: make(chan struct{}), wake: make(chan struct{}, 1)}
}

// Record takes a call or decision entry for the next batch (written within
// one second); it blocks while 4096 wait, for 5 s at most, or until ctx ends. Its id and time are
// set when they are empty. Before Run, a full trail is written by the caller;
// after Run, every entry is. Of a token in what the client chose (action, tool,
// client, detail) only the shown part is kept.
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
	e.Action, e.Client, e.Subject = WithoutToken(e.Action), WithoutToken(e.Client), WithoutToken(e.Subject)
	if e.Tool = WithoutToken(e.Tool); utf8.RuneCountInString(e.Tool) > maxAuditTool {
		e.Tool = string([]rune(e.Tool)[:maxAuditTool])
	}
	if len(e.Detail) > 0 {
		e.Detail = []byte(WithoutToken(string(e.Detail)))
	}
	full, ended := s.trail.add(&e)
	switch {
	case full || ended:
		ctx, done := context.WithTimeout(ctx, trailPatience)
		defer done()
		if full {
			return s.recordLate(ctx, &e)
		}
		return s.flushTrail(ctx)
	}
	return nil
}

// add takes an entry when there is room; ended says that nobody will write it.
func (t *trail) add(e *AuditEntry) (full, ended bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.waiting) >= trailLimit {
		return true, t.ended
	}
	t.waiting = append(t.waiting, *e)
	if len(t.waiting) >= trailBatch && !t.ended {
		t.hurry()
	}
	return false, t.ended
}

// recordLate waits for room.
func (s *Service) recordLate(ctx context.Context, e *AuditEntry) error {
	t := s.trail
	for {
		t.mu.Lock()
		room, running := t.room, t.running
		t.mu.Unlock()
		full, ended := t.add(e)
		switch {
		case !full && ended:
			return s.flushTrail(ctx)
		case !full:
			return nil
		case !running:
			if err := s.flushTrail(ctx); err != nil {
				return fmt.Errorf("recording an audit entry: %w", err)
			}
			continue
		}
		select {
		case <-room:
		case <-ctx.Done():
			return fmt.Errorf("recording an audit entry: %w", ctx.Err())
		}
	}
}

// AuditWaiting is how many entries wait to be written, and how many could not
// be written because the store refused them for good.
func (s *Service) AuditWaiting() (waiting int, lost int64) {
	s.trail.mu.Lock()
	defer s.trail.mu.Unlock()
	return len(s.trail.waiting), s.trail.lost
}

func (t *trail) hurry() {
	select {
	case t.wake <- struct{}{}:
	default:
	}
}

func (s *Service) runTrail(ctx context.Context) {
	t := s.trail
	t.setRunning(true)
	ticker := time.NewTicker(trailInterval)
	defer ticker.Stop()
	wake := t.wake
	for {
		select {
		case <-ctx.Done():
			return
		case <-wake:
		case <-ticker.C:
		}
		// While the store can't be reached, only the ticker tries again.
		if wake = t.wake; s.flushTrail(ctx) != nil {
			wake = nil
		}
	}
}

// endTrail writes what is left.
func (s *Service) endTrail(ctx context.Context) error {
	s.trail.setRunning(false)
	err := s.flushTrail(ctx)
	for err != nil && ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case <-time.After(trailInterval):
			err = s.flushTrail(ctx)
		}
	}
	if err != nil {
		waiting, _ := s.AuditWaiting()
		return fmt.Errorf("%d audit entries could not be written: %w", waiting, err)
	}
	return nil
}

func (t *trail) setRunning(on bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.running, t.ended = on, !on
}

// flushTrail writes all that waits, oldest first. On an error the entries stay.
func (s *Service) flushTrail(ctx context.Context) error {
	t := s.trail
	t.flushing.Lock()
	defer t.flushing.Unlock()
	for {
		t.mu.Lock()
		batch := t.waiting[:min(trailBatch, len(t.waiting))]
		t.mu.Unlock()
		if len(batch) == 0 {
			return nil
		}
		begun := time.Now()
		lost, err := s.writeBatch(ctx, batch)
		s.counters.flushed.Observe(time.Since(begun))
		if err != nil {
			return err
		}
		t.leave(len(batch), lost)
	}
}

// writeBatch tells a store that can't be reached (the batch is to be tried
// again, entries already written are skipped by their id) from entries that it
// refuses, which are counted. The entries are this process's from then on,
// whoever recorded them: it continues a chain of its own.
func (s *Service) writeBatch(ctx context.Context, batch []AuditEntry) (lost int64, err error) {
	for i := range batch {
		batch[i].Writer = s.writer
	}
	err = s.cfg.Store.AppendAudit(ctx, batch)
	if err == nil || tryAgain(ctx, err) {
		return 0, err
	}
	for i := range batch {
		err := s.cfg.Store.AppendAudit(ctx, batch[i:i+1])
		if err != nil && tryAgain(ctx, err) {
			return 0, err
		}
		if err != nil {
			lost++
		}
	}
	return lost, nil
}

func tryAgain(ctx context.Context, err error) bool {
	return ctx.Err() != nil || errors.Is(err, ErrUnavailable)
}

func (t *trail) leave(n int, lost int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	left := copy(t.waiting, t.waiting[n:])
	clear(t.waiting[left:]) // the memory stays for later ones, what it holds does not
	t.waiting = t.waiting[:left]
	t.lost += lost
	close(t.room)
	t.room = make(chan struct{})
}
