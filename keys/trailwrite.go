package keys

import (
	"context"
	"errors"
	"fmt"
	"time"
)

const (
	// trailWriteLimit ends a batch whose connection has gone silent; the next one
	// takes another.
	trailWriteLimit = 10 * time.Second
	// spoolAfter is how long entries wait in memory without any being written
	// until they go to the spool: a crash is to lose those of the last second only.
	spoolAfter    = 500 * time.Millisecond
	spoolInterval = 100 * time.Millisecond
)

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

// runSpool puts what waits onto disk, beside runTrail: that may well hang in a
// batch which the store does not answer.
func (s *Service) runSpool(ctx context.Context) {
	if s.cfg.Spool == nil {
		return
	}
	ticker := time.NewTicker(spoolInterval)
	defer ticker.Stop()
	save := s.trail.save
	for {
		select {
		case <-ctx.Done():
			return
		case <-save:
		case <-ticker.C:
		}
		if save = s.trail.save; s.toSpool() && s.spoolTrail() != nil {
			save = nil
		}
	}
}

// toSpool tells whether what waits is to go to the spool: the store does not take
// it, or older entries are there still and are to be written first.
func (s *Service) toSpool() bool {
	behind := s.cfg.Spool.State().Entries > 0
	t := s.trail
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.waiting) > 0 && (t.down || behind && t.problem == nil || time.Since(t.moved) >= spoolAfter)
}

// spoolTrail puts all that waits into the spool. What a batch under way writes
// meanwhile is there twice; the store skips ids that it knows.
func (s *Service) spoolTrail() error {
	t := s.trail
	t.spooling.Lock()
	defer t.spooling.Unlock()
	for {
		t.mu.Lock()
		batch, since := append([]AuditEntry(nil), t.waiting...), t.left
		t.mu.Unlock()
		if len(batch) == 0 {
			return nil
		}
		kept, err := s.cfg.Spool.Append(batch)
		t.leave(since, kept, false)
		t.measure(s.cfg.Spool.State())
		t.setProblem(err)
		if err != nil {
			return err
		}
	}
}

func (t *trail) setProblem(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.problem = err
}

// endTrail writes what is left, or leaves it in the spool for the next process.
func (s *Service) endTrail(ctx context.Context) error {
	s.trail.setRunning(false)
	err := s.writeNow(ctx)
	for err != nil && ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case <-time.After(trailInterval):
			err = s.writeNow(ctx)
		}
	}
	if err != nil {
		return fmt.Errorf("%d audit entries could not be written: %w", s.AuditState().Waiting, err)
	}
	return nil
}

// flushTrail writes all that waits, oldest first. On an error the entries stay.
func (s *Service) flushTrail(ctx context.Context) error {
	t := s.trail
	t.flushing.Lock()
	defer t.flushing.Unlock()
	for {
		more, err := s.flushSome(ctx)
		if !more || err != nil {
			t.mu.Lock()
			defer t.mu.Unlock()
			t.down = err != nil
			return err
		}
	}
}

// flushSome writes the oldest batch: of the spool, as long as that has any.
func (s *Service) flushSome(ctx context.Context) (more bool, err error) {
	if spool := s.cfg.Spool; spool != nil {
		batch, err := spool.Oldest(trailBatch)
		if err != nil {
			s.trail.setProblem(err) // what is in memory can be written all the same
		}
		if len(batch) > 0 && err == nil {
			return true, s.flushSpooled(ctx, batch)
		}
	}
	t := s.trail
	t.mu.Lock()
	batch, since := append([]AuditEntry(nil), t.waiting[:min(trailBatch, len(t.waiting))]...), t.left
	t.mu.Unlock()
	if len(batch) == 0 {
		return false, nil
	}
	lost, err := s.writeBatch(ctx, batch)
	if err != nil {
		return true, err
	}
	if t.leave(since, len(batch), true) > 0 { // else the spool has them, and counts what is refused
		t.lose(lost)
	}
	return true, nil
}

func (s *Service) flushSpooled(ctx context.Context, batch []AuditEntry) error {
	lost, err := s.writeBatch(ctx, batch)
	if err != nil {
		return err
	}
	t := s.trail
	t.lose(lost)
	t.setProblem(s.cfg.Spool.Drop())
	t.mu.Lock()
	t.shares.written(batch)
	t.mu.Unlock()
	t.measure(s.cfg.Spool.State())
	return nil
}

func (t *trail) lose(n int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.lost += n
}

// writeBatch tells a store that can't be reached (the batch is to be tried
// again, entries already written are skipped by their id) from entries that it
// refuses, which are counted. The entries are this process's from then on,
// whoever recorded them: it continues a chain of its own.
func (s *Service) writeBatch(ctx context.Context, batch []AuditEntry) (lost int64, err error) {
	ctx, done := context.WithTimeout(ctx, trailWriteLimit)
	defer done()
	begun := time.Now()
	defer func() { s.counters.flushed.Observe(time.Since(begun)) }()
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
