package keys

import (
	"sync/atomic"
	"time"
)

// DurationBounds are the upper bounds of what Durations counts apart, in seconds.
var DurationBounds = [...]float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60}

// Durations is a histogram of how long something took. Observing costs two
// atomic additions and no memory. Its zero value is ready.
type Durations struct {
	counts [len(DurationBounds) + 1]atomic.Uint64
	sum    atomic.Int64 // nanoseconds
}

// Observe counts one.
func (d *Durations) Observe(took time.Duration) {
	took = max(took, 0)
	i, seconds := 0, took.Seconds()
	for i < len(DurationBounds) && seconds > DurationBounds[i] {
		i++
	}
	d.counts[i].Add(1)
	d.sum.Add(int64(took))
}

// DurationsSnapshot is what was counted up to a moment.
type DurationsSnapshot struct {
	Count      uint64
	Sum        time.Duration
	Cumulative [len(DurationBounds)]uint64 // at most as long as each of DurationBounds
}

// Snapshot reads it; what is observed meanwhile is in it or is not.
func (d *Durations) Snapshot() (s DurationsSnapshot) {
	for i := range d.counts {
		s.Count += d.counts[i].Load()
		if i < len(s.Cumulative) {
			s.Cumulative[i] = s.Count
		}
	}
	s.Sum = time.Duration(d.sum.Load())
	return s
}
