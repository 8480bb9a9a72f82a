package keys

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Spool keeps audit entries outside of the Store while that can't be reached.
// keys/spool is one. It may be used by several goroutines.
type Spool interface {
	// Append keeps the first of the entries, as many as there is room for, and
	// answers how many; they outlive the process when it returns. ErrSpoolFull
	// where that is not all of them; at any other error none is kept.
	Append(entries []AuditEntry) (kept int, err error)
	// Oldest answers up to limit entries, the oldest first; none = there are none.
	Oldest(limit int) ([]AuditEntry, error)
	// Drop forgets the entries that Oldest has answered last.
	Drop() error
	State() SpoolState
}

// SpoolState is how much a Spool keeps.
type SpoolState struct {
	Entries int
	Bytes   int64 // on disk, which shrinks file by file
	Limit   int64 // of Bytes
	Damaged int64 // lines that could not be read back; each may have been an entry
}

// ErrSpoolFull is a Spool without room.
var ErrSpoolFull = errors.New("the audit spool is full")

// ErrAuditFull is an audit trail that takes no more: the Store can't be reached,
// or is too slow, and what may wait does. What can't be recorded must not be done.
var ErrAuditFull = fmt.Errorf("%w: audit.full", ErrUnavailable)

// AuditState is where the entries of calls and decisions are that are not in the
// Store yet.
type AuditState struct {
	Waiting int   // in memory
	Lost    int64 // refused by the store for good, or beyond what memory takes
	Refused int64 // requests that were refused (ErrAuditFull)
	Full    bool  // requests are refused now, unless the store is back within 5 s
	Spool   SpoolState
	// Problem says why the last batch could not be spooled or read back; nil when
	// it could. It may be ErrSpoolFull.
	Problem error
}

// AuditState tells how much waits and what was lost. It is cheap enough to be
// asked every second.
func (s *Service) AuditState() AuditState {
	t := s.trail
	t.mu.Lock()
	state := AuditState{Waiting: len(t.waiting), Lost: t.lost, Refused: t.refused, Full: t.full(), Problem: t.problem}
	t.mu.Unlock()
	if s.cfg.Spool != nil {
		state.Spool = s.cfg.Spool.State()
	}
	return state
}

// AuditWaiting is how many entries wait in memory to be written, and how many
// could not be written because the store refused them for good; see AuditState.
func (s *Service) AuditWaiting() (waiting int, lost int64) {
	state := s.AuditState()
	return state.Waiting, state.Lost
}

// AuditRoom is nil where a call or decision can be recorded: to be asked before
// it is made. While there is no room it waits, for 5 s at most or until ctx ends;
// then, and at once where it is known that waiting helps nobody, ErrAuditFull. So it
// is for a tenant that has brought more than its share of what waits, once little
// room is left.
func (s *Service) AuditRoom(ctx context.Context, tenantID string) error {
	t := s.trail
	if t.crowded(tenantID, s.cfg.Spool != nil) {
		return t.refuse()
	}
	if t.roomy() {
		return nil
	}
	patience := time.NewTimer(trailPatience)
	defer patience.Stop()
	for {
		t.mu.Lock()
		room, stuck := t.room, t.stuck(s.cfg.Spool)
		t.mu.Unlock()
		switch {
		case t.roomy():
			return nil
		case stuck:
			return t.refuse()
		}
		t.saveNow()
		select {
		case <-room:
		case <-patience.C:
			return t.refuse()
		case <-ctx.Done():
			return errors.Join(t.refuse(), ctx.Err())
		}
	}
}

// roomy tells whether an entry is taken at once, or whoever brings it writes it.
func (t *trail) roomy() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return !t.full() || !t.running
}

func (t *trail) full() bool { return len(t.waiting) >= trailLimit }

// stuck tells that neither the store nor the spool took the last batch.
func (t *trail) stuck(spool Spool) bool { return t.down && (spool == nil || t.problem != nil) }

func (t *trail) refuse() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.refused++
	return ErrAuditFull
}
