package keys

import (
	"context"
	"errors"
	"sync"
	"time"
)

// Propagation is how far an edit has come when it answers. One that changed
// nothing, since all was so already, answers for the last edit before it: what
// it says is so is so on every replica, too.
type Propagation struct {
	Epoch    int64 // of the edit; 0 = nothing was edited yet
	Replicas int   // processes that decided when it was made, without those that have left since
	Applied  int   // of these, those that have applied it; the others decide no more
}

type receiptKey struct{}

// Receipt collects what the edits of one request came to. Of a request that is
// answered what was answered before (Idempotency), it has what it had then.
type Receipt struct {
	mu   sync.Mutex
	last Propagation
}

// WithReceipt has the edits under ctx noted in the receipt.
func WithReceipt(ctx context.Context) (context.Context, *Receipt) {
	r := &Receipt{}
	return context.WithValue(ctx, receiptKey{}, r), r
}

// Last is the propagation of the last edit; its zero value says that there was none.
func (r *Receipt) Last() Propagation {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.last
}

func note(ctx context.Context, p Propagation) {
	if r, ok := ctx.Value(receiptKey{}).(*Receipt); ok {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.last = p
	}
}

// sightings are the last beats of other replicas and when this process first
// saw each of them.
type sightings struct {
	mu      sync.Mutex
	byID    map[string]sighting // nil = nobody has looked yet
	longest time.Duration       // of their leases
}

type sighting struct {
	beat  int64
	first time.Time
}

// note takes what the store says now, and forgets replicas that are gone.
func (s *sightings) note(rows []Replica, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	fresh := make(map[string]sighting, len(rows))
	s.longest = 0
	for _, r := range rows {
		s.longest = max(s.longest, r.Lease)
		was, known := s.byID[r.ID]
		if !known || was.beat != r.Beat {
			was = sighting{r.Beat, now}
		}
		fresh[r.ID] = was
	}
	s.byID = fresh
}

// lease is the longest that a replica was seen to have; looked is false before the
// first look.
func (s *sightings) lease() (longest time.Duration, looked bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.longest, s.byID != nil
}

// lapsed tells whether a replica has shown no sign of life for its lease.
func (s *sightings) lapsed(r Replica, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	seen, known := s.byID[r.ID]
	return known && seen.beat == r.Beat && now.Sub(seen.first) > margin(r.Lease)
}

// seenFirst is since when a replica's last beat is known here.
func (s *sightings) seenFirst(id string) time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.byID[id].first
}

// observe looks at the other replicas, so that the end of one is seen before
// somebody waits for it, and removes those that have ended.
func (s *Service) observe(ctx context.Context) error {
	_, err := s.lagging(ctx, 0)
	return err
}

// survey sees to it that the replicas were looked at, and their leases with them,
// before the first edit of this process: after it, the store may not say any more
// how long it is to be waited.
func (s *Service) survey(ctx context.Context) error {
	if _, looked := s.replica.seen.lease(); looked {
		return nil
	}
	return s.observe(ctx)
}

// standing is how far the replicas are with an edit.
type standing struct {
	applied []Replica // decide, and have applied it
	late    []Replica // may still decide without it
	lapsed  []Replica // decide no more: no sign of life came for their lease
}

// lagging looks at how far the replicas are, and removes those that have lapsed.
func (s *Service) lagging(ctx context.Context, epoch int64) (now standing, err error) {
	rows, err := s.cfg.Store.Replicas(ctx)
	if err != nil {
		return now, err
	}
	// Before the store was read would be too early: the beat may be later.
	clock := s.cfg.Now()
	seen := &s.replica.seen
	seen.note(rows, clock)
	s.counters.replicas.Store(int64(len(rows)))
	for _, r := range rows {
		switch {
		case r.Applied >= epoch && !seen.lapsed(r, clock):
			now.applied = append(now.applied, r)
		case !seen.lapsed(r, clock):
			now.late = append(now.late, r)
		default:
			err := s.cfg.Store.EndReplica(ctx, r.ID, r.Beat)
			if errors.Is(err, ErrVersion) { // a sign of life after all
				now.late = append(now.late, r)
				continue
			}
			if err != nil && !errors.Is(err, ErrNotFound) {
				return now, err
			}
			now.lapsed = append(now.lapsed, r)
			if err == nil {
				s.counters.lapsed.Add(1)
			}
		}
	}
	return now, nil
}

const (
	confirmFirst = time.Millisecond
	confirmLast  = 20 * time.Millisecond
)

// confirm waits until no replica decides without the edit: until each has
// applied it or is gone, or, at the latest, for a lease: the longest of all. What a
// replica is granted without having read this edit was asked for before it was
// committed, so that it has ended by then, even if nobody could be asked.
func (s *Service) confirm(ctx context.Context, epoch int64) Propagation {
	begun := time.Now() // of the machine: it is only to measure how long this took
	ctx = context.WithoutCancel(ctx)
	known, _ := s.replica.seen.lease()
	lease := max(s.cfg.MaxStaleness, known)
	all := newTally()
	for wait := confirmFirst; ; wait = min(2*wait, confirmLast) {
		asking, cancel := context.WithTimeout(ctx, max(margin(lease)-time.Since(begun), confirmLast))
		now, err := s.lagging(asking, epoch)
		cancel()
		if err == nil {
			all.add(now, &s.replica.seen, s.cfg.Now())
			if len(now.late) == 0 {
				return all.propagation(epoch)
			}
			for _, r := range now.late {
				lease = max(lease, r.Lease)
			}
		}
		if time.Since(begun) > margin(lease) {
			return all.propagation(epoch)
		}
		time.Sleep(wait)
	}
}

// tally counts the replicas while an edit waits for them. One that leaves is
// counted out: it decides no more, and nothing is wrong with it.
type tally struct {
	now    standing
	late   map[string]awaited // of now
	lapsed map[string]bool    // so far
}

type awaited struct {
	lease time.Duration
	since time.Time // when its last sign of life was first seen
}

func newTally() *tally { return &tally{late: map[string]awaited{}, lapsed: map[string]bool{}} }

func (t *tally) add(now standing, seen *sightings, clock time.Time) {
	gone := t.late
	t.now, t.late = now, make(map[string]awaited, len(now.late))
	for _, r := range now.applied {
		delete(gone, r.ID)
	}
	for _, r := range now.late {
		delete(gone, r.ID)
		t.late[r.ID] = awaited{r.Lease, seen.seenFirst(r.ID)}
	}
	for _, r := range now.lapsed {
		delete(gone, r.ID)
		t.lapsed[r.ID] = true
	}
	// Who leaves has given a sign of life shortly before. Of one that had been
	// silent for long, another process was first to see that it had lapsed.
	for id, was := range gone {
		if clock.Sub(was.since) > was.lease/2 {
			t.lapsed[id] = true
		}
	}
}

// propagation is what the edit has come to.
func (t *tally) propagation(epoch int64) Propagation {
	applied := len(t.now.applied)
	return Propagation{Epoch: epoch, Replicas: applied + len(t.now.late) + len(t.lapsed), Applied: applied}
}

// margin is a lease as others count it: longer by a little than the replica
// does, for clocks that do not run alike.
func margin(lease time.Duration) time.Duration { return lease + lease/100 }
