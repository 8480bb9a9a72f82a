package upstream

import (
	"context"
	"math/rand/v2"
	"time"
)

const (
	firstWait  = 100 * time.Millisecond
	lastWait   = 30 * time.Second
	stableTime = 10 * time.Second // after which the waiting begins anew
)

// backoff is the waiting between attempts: doubled each time from 100 ms to
// 30 s, each between half and all of it, so that many do not return at once.
type backoff struct{ next time.Duration }

// wait is how long to wait after an attempt that held for lived; random is in [0,1).
func (b *backoff) wait(lived time.Duration, random float64) time.Duration {
	if b.next == 0 || lived >= stableTime {
		b.next = firstWait
	}
	d := b.next/2 + time.Duration(random*float64(b.next/2))
	b.next = min(2*b.next, lastWait)
	return d
}

// sleep waits, and reports false when ctx or lost ended it.
func (b *backoff) sleep(ctx context.Context, lived time.Duration, lost <-chan struct{}) bool {
	t := time.NewTimer(b.wait(lived, rand.Float64()))
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
	case <-lost:
	}
	return false
}
