package keys

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/bailiwick-mcp/bailiwick/policy"
)

// CallLimit is one limit of calls as it stands after a call was counted.
type CallLimit struct {
	policy.AppliedLimit
	Remaining int64         // calls left in this period, as far as this process knows
	Reset     time.Duration // until the period ends
}

// LimitError is a call beyond a limit. It was not counted, by any limit.
type LimitError struct{ Limit CallLimit }

func (e *LimitError) Error() string {
	return fmt.Sprintf("the limit of %s is used up", e.Limit.RateLimit)
}

const (
	// leaseShare of what is left in a period is what a process takes from the
	// store at once: the longer the period is used, the fewer. So never more than
	// the limit is let through, and a process finds a period used up too early by
	// at most this share for each other process.
	leaseShare = 16
	maxLease   = 1000
	// askAgain is how long a period that is used up is taken to be: another
	// process may give back what it took in vain.
	askAgain = time.Second
)

// callCounts are the periods that this process takes calls from.
type callCounts struct {
	mu  sync.Mutex
	all map[CallWindow]*callCount
}

// callCount is one period as this process knows it. Calls that were taken from the
// store and not made yet are in hand.
type callCount struct {
	mu     sync.Mutex
	most   int64 // the limit's number, when it was asked last
	known  bool  // left is what the store said
	left   int64
	hand   int64
	usedUp time.Time // when the store had none; zero = it had some
}

func (c *callCounts) of(w CallWindow) *callCount {
	c.mu.Lock()
	defer c.mu.Unlock()
	one := c.all[w]
	if one == nil {
		one = &callCount{}
		c.all[w] = one
	}
	return one
}

// over forgets the periods that have ended by then, and answers the others.
func (c *callCounts) over(now time.Time) map[CallWindow]*callCount {
	c.mu.Lock()
	defer c.mu.Unlock()
	running := map[CallWindow]*callCount{}
	for w, one := range c.all {
		if w.Ends <= now.Unix() {
			delete(c.all, w)
			continue
		}
		running[w] = one
	}
	return running
}

// CountCall counts a call against all limits of the principal's key and of its
// ancestors that name any of the tools, which are what the call may be taken for;
// each once, or against none of them. It answers how each stands; nil
// without limits. Errors: *LimitError, of the limit that lasts longest, and those
// of the store, which let no call through.
func (s *Service) CountCall(ctx context.Context, p Principal, tools ...*policy.Tool) ([]CallLimit, error) {
	var applied []policy.AppliedLimit
	for _, t := range tools {
		for _, l := range p.Grant().Limits(t) {
			if !slices.Contains(applied, l) {
				applied = append(applied, l)
			}
		}
	}
	if len(applied) == 0 {
		return nil, nil
	}
	// A call that is counted is counted, though its client goes.
	ctx = context.WithoutCancel(ctx)
	now := s.cfg.Now()
	var (
		taken []*callCount
		out   []CallLimit
		full  *LimitError
	)
	giveBack := func() {
		for _, c := range taken {
			c.mu.Lock()
			c.hand++
			c.mu.Unlock()
		}
	}
	for w, l := range s.windows(p, applied, now) {
		c := s.calls.of(w)
		ok, remaining, err := c.take(ctx, s.cfg.Store, w, l.Requests, now)
		if err != nil {
			giveBack()
			return nil, err
		}
		one := CallLimit{AppliedLimit: l, Remaining: remaining, Reset: time.Unix(w.Ends, 0).Sub(now)}
		if ok {
			taken, out = append(taken, c), append(out, one)
		} else if full == nil || full.Limit.Reset < one.Reset {
			full = &LimitError{one}
		}
	}
	if full != nil {
		giveBack()
		return nil, full
	}
	return out, nil
}

// windows are the periods that a call counts in, each once: of two limits of the
// same tools and period the lower one holds.
func (s *Service) windows(p Principal, applied []policy.AppliedLimit, now time.Time) map[CallWindow]policy.AppliedLimit {
	out := make(map[CallWindow]policy.AppliedLimit, len(applied))
	for _, l := range applied {
		id := p.ID()
		if chain := p.Chain(); l.Layer < len(chain) {
			id = chain[l.Layer]
		}
		w := windowOf(p.TenantID(), id, l.RateLimit, now)
		if l.Per.Seconds() == 0 {
			l.Requests = 0 // nobody knows for how long
		}
		if lower, there := out[w]; !there || l.Requests < lower.Requests {
			out[w] = l
		}
	}
	return out
}

// take takes one call; remaining is what is left then.
func (c *callCount) take(ctx context.Context, store Store, w CallWindow, most int64, now time.Time) (ok bool, remaining int64, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.known && c.most != most { // an edit came: what is in hand was taken under another number
		if _, c.left, err = store.TakeCalls(ctx, w, -c.hand, most); err != nil {
			return false, 0, err
		}
		c.hand, c.usedUp = 0, time.Time{}
	}
	if !c.known || c.most != most {
		c.known, c.most = true, most
		c.left = max(most, 0)
	}
	if c.hand == 0 {
		if !c.usedUp.IsZero() && now.Sub(c.usedUp).Abs() < askAgain {
			return false, 0, nil
		}
		want := min(max(c.left/leaseShare, 1), maxLease)
		if c.hand, c.left, err = store.TakeCalls(ctx, w, want, most); err != nil {
			c.hand = 0
			return false, 0, err
		}
		if c.usedUp = (time.Time{}); c.hand == 0 {
			c.usedUp = now
			return false, 0, nil
		}
	}
	c.hand--
	return true, c.left + c.hand, nil
}

// sweepCalls forgets periods that are over, here and in the store.
func (s *Service) sweepCalls(ctx context.Context) error {
	now := s.cfg.Now()
	s.calls.over(now)
	return s.cfg.Store.DropCalls(ctx, now.Unix())
}

// returnCalls gives back what was taken from the store and not used.
func (s *Service) returnCalls(ctx context.Context) error {
	var first error
	for w, c := range s.calls.over(s.cfg.Now()) {
		c.mu.Lock()
		if c.hand > 0 {
			_, left, err := s.cfg.Store.TakeCalls(ctx, w, -c.hand, c.most)
			if err == nil {
				c.hand, c.left = 0, left
			} else if first == nil {
				first = err
			}
		}
		c.mu.Unlock()
	}
	return first
}
