package keys

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// Replica is a process that decides, as the others see it in the store.
type Replica struct {
	ID      string // made anew each time it registers
	Name    string // host and process, for people
	Applied int64  // the edit that it has applied
	Beat    int64  // counts its signs of life
	// Lease is how long it goes on deciding without another sign of life.
	Lease     time.Duration
	StartedAt time.Time
}

// ErrStale is a process that decides and has not confirmed for longer than
// Config.MaxStaleness that it knows all edits: a key may have been revoked since.
var ErrStale = fmt.Errorf("%w: state.stale", ErrUnavailable)

// replica is this process's own part of the protocol by which an edit answers
// once no replica accepts any more what it took away:
//
//   - a replica registers, then reads the epoch, applies what is new, and beats:
//     its row says what it has applied. It decides until a lease after the
//     moment before that reading, and no longer;
//   - whoever edits waits, for each row, until it says that the edit is applied,
//     or until no beat has come for a lease since its last one was seen, and the
//     row could be removed as it was. A beat of a row that is gone fails, and
//     renews no lease: the replica registers and reads again.
//
// No two clocks are compared: each side measures with its own how long ago
// something was, and the replica begins to count before the others can.
type replica struct {
	// Under feed.turn:
	row    Replica // ID "" = not registered
	beaten time.Time

	state  sync.RWMutex
	leased time.Time // zero = it must not decide
	ended  bool

	seen sightings
}

const beatsPerLease = 5

// Fresh is ErrStale while this process must not decide. One that was not made
// to decide (Config.Decides) is always fresh.
func (s *Service) Fresh() error {
	if !s.cfg.Decides {
		return nil
	}
	s.replica.state.RLock()
	defer s.replica.state.RUnlock()
	if leased := s.replica.leased; leased.IsZero() || since(leased, s.cfg.Now()) > s.cfg.MaxStaleness {
		return ErrStale
	}
	return nil
}

// since is how long ago a time was, by whichever of the two clocks says more:
// the monotonic one may stop while a machine sleeps, the wall clock may be set
// back.
func since(then, now time.Time) time.Duration {
	return max(now.Sub(then), now.Round(0).Sub(then.Round(0)))
}

// register makes the replica's row, unless it is there. Called with the feed's turn.
func (s *Service) register(ctx context.Context) error {
	r := &s.replica
	if r.row.ID != "" {
		return nil
	}
	id, err := s.ids.next()
	if err != nil {
		return err
	}
	row := Replica{ID: id, Name: s.cfg.ReplicaName, Lease: s.cfg.MaxStaleness, StartedAt: s.now()}
	if err := s.cfg.Store.Register(ctx, row); err != nil {
		return err
	}
	r.row, r.beaten = row, time.Time{}
	return nil
}

// beat says what is applied, when that is news or a sign of life is due, and
// renews the lease from asked on: the moment before the epoch was read. Called
// with the feed's turn.
func (s *Service) beat(ctx context.Context, asked time.Time) error {
	r := &s.replica
	if r.row.Applied == s.feed.applied && !r.beaten.IsZero() && since(r.beaten, asked) < s.cfg.MaxStaleness/beatsPerLease {
		return nil
	}
	// Each attempt has a number of its own: one that seemed to fail may have been
	// written, and the next must be seen as a sign of life of its own.
	r.row.Beat++
	next := r.row
	next.Applied = s.feed.applied
	err := s.cfg.Store.Beat(ctx, next)
	if errors.Is(err, ErrNotFound) {
		r.row.ID = "" // somebody saw no sign of life for too long
		return fmt.Errorf("%w: this replica's lease was ended", ErrUnavailable)
	}
	if err != nil {
		return err
	}
	r.row, r.beaten = next, asked
	r.state.Lock()
	defer r.state.Unlock()
	if !r.ended {
		r.leased = asked
	}
	return nil
}

// leave ends the replica: it decides no more, and nobody waits for it.
func (s *Service) leave(ctx context.Context) error {
	if !s.cfg.Decides {
		return nil
	}
	r := &s.replica
	r.state.Lock()
	r.leased, r.ended = time.Time{}, true
	r.state.Unlock()
	if err := s.feed.take(ctx); err != nil {
		return err
	}
	defer s.feed.give()
	if r.row.ID == "" {
		return nil
	}
	err := s.cfg.Store.EndReplica(ctx, r.row.ID, r.row.Beat)
	if errors.Is(err, ErrVersion) { // the last beat did not arrive, or an earlier one
		err = s.endWhatever(ctx, r.row.ID)
	}
	if errors.Is(err, ErrNotFound) {
		err = nil
	}
	return err
}

// endWhatever removes this process's own row, whichever beat it has.
func (s *Service) endWhatever(ctx context.Context, id string) error {
	rows, err := s.cfg.Store.Replicas(ctx)
	if err != nil {
		return err
	}
	for _, r := range rows {
		if r.ID == id {
			return s.cfg.Store.EndReplica(ctx, id, r.Beat)
		}
	}
	return nil
}
