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
	Replicas int   // processes that decided when it was made
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

// observe looks at the other replicas, so that the end of one is seen before
// somebody waits for it, and removes those that have ended.
func (s *Service) observe(ctx context.Context) error {
	_, _, err := s.lagging(ctx, 0)
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

// lagging are the replicas that may still decide without an edit, and how far
// the others are.
func (s *Service) lagging(ctx context.Context, epoch int64) (late []Replica, p Propagation, err error) {
	p.Epoch = epoch
	rows, err := s.cfg.Store.Replicas(ctx)
	if err != nil {
		return nil, p, err
	}
	// Before the store was read would be too early: the beat may be later.
	now := s.cfg.Now()
	seen := &s.replica.seen
	seen.note(rows, now)
	s.counters.replicas.Store(int64(len(rows)))
	for _, r := range rows {
		p.Replicas++
		switch {
		case r.Applied >= epoch && !seen.lapsed(r, now):
			p.Applied++
		case !seen.lapsed(r, now):
			late = append(late, r)
		default:
			err := s.cfg.Store.EndReplica(ctx, r.ID, r.Beat)
			if errors.Is(err, ErrVersion) { // a sign of life after all
				late = append(late, r)
			} else if err != nil && !errors.Is(err, ErrNotFound) {
				return nil, p, err
			} else if err == nil {
				s.counters.lapsed.Add(1)
			}
		}
	}
	return late, p, nil
}

const (
	confirmFirst = time.Millisecond
	confirmLast  = 20 * time.Millisecond
)

// confirm waits until no replica decides without the edit: until each has
// applied it or is gone, or, at the latest, for a lease: the longest of all. What a
// replica is granted without having read this edit was asked for before it was
// committed, so that it has ended by then, even if nobody could be asked.
func (s *Service) confirm(ctx context.Context, epoch int64) (p Propagation) {
	begun := time.Now() // of the machine: it is only to measure how long this took
	ctx = context.WithoutCancel(ctx)
	known, _ := s.replica.seen.lease()
	lease := max(s.cfg.MaxStaleness, known)
	for wait := confirmFirst; ; wait = min(2*wait, confirmLast) {
		asking, cancel := context.WithTimeout(ctx, max(margin(lease)-time.Since(begun), confirmLast))
		late, now, err := s.lagging(asking, epoch)
		cancel()
		if err == nil {
			now.Replicas = max(now.Replicas, p.Replicas) // those that ended meanwhile count
			if p = now; len(late) == 0 {
				return p
			}
			for _, r := range late {
				lease = max(lease, r.Lease)
			}
		}
		if time.Since(begun) > margin(lease) {
			p.Epoch = epoch
			return p
		}
		time.Sleep(wait)
	}
}

// margin is a lease as others count it: longer by a little than the replica
// does, for clocks that do not run alike.
func margin(lease time.Duration) time.Duration { return lease + lease/100 }
