package bench_test

import (
	"slices"
	"sync"
	"testing"
	"time"
)

// lane is one target under one kind of load, over all its slices.
type lane struct {
	name     string
	callers  []*caller
	gateway  *process // nil = the callers reach the upstream itself
	upstream *process

	took    []time.Duration // each request
	elapsed time.Duration
	own     time.Duration // CPU of the gateway
	behind  time.Duration // CPU of the upstream
}

// dial opens the lane's connections.
func (l *lane) dial(t testing.TB, conns int, to *process, m message) {
	t.Helper()
	for range conns {
		l.callers = append(l.callers, dial(t, to, m))
	}
}

// race drives the lanes in turn, *rounds times. The first turn warms them up
// and does not count.
func race(t testing.TB, lanes ...*lane) {
	t.Helper()
	for _, l := range lanes {
		l.turn(t, *slice/4)
		*l = lane{name: l.name, callers: l.callers, gateway: l.gateway, upstream: l.upstream}
	}
	for round := range *rounds {
		for i := range lanes { // none is always the first
			lanes[(i+round)%len(lanes)].turn(t, *slice)
		}
	}
}

// turn is one slice.
func (l *lane) turn(t testing.TB, length time.Duration) {
	t.Helper()
	own, behind := l.cpu(t)
	took := make([][]time.Duration, len(l.callers))
	failed := make(chan error, len(l.callers))
	var running sync.WaitGroup
	began := time.Now()
	for i, c := range l.callers {
		running.Go(func() {
			for now := time.Now(); now.Sub(began) < length || took[i] == nil; {
				if err := c.again(); err != nil {
					failed <- err
					return
				}
				after := time.Now()
				took[i] = append(took[i], after.Sub(now))
				now = after
			}
		})
	}
	running.Wait()
	l.elapsed += time.Since(began)
	select {
	case err := <-failed:
		t.Fatalf("%s: %v", l.name, err)
	default:
	}
	time.Sleep(*settle)
	ownAfter, behindAfter := l.cpu(t)
	l.own, l.behind = l.own+ownAfter-own, l.behind+behindAfter-behind
	l.took = append(l.took, slices.Concat(took...)...)
}

func (l *lane) cpu(t testing.TB) (own, behind time.Duration) {
	t.Helper()
	if l.gateway != nil {
		own = l.gateway.cpu(t)
	}
	return own, l.upstream.cpu(t)
}

// at is the latency that percent of the requests did not exceed.
func (l *lane) at(percent int) time.Duration {
	slices.Sort(l.took)
	return l.took[(len(l.took)-1)*percent/100]
}

func (l *lane) rate() float64 { return float64(len(l.took)) / l.elapsed.Seconds() }

// each is a sum over the requests, for one of them, in microseconds.
func (l *lane) each(sum time.Duration) float64 {
	return float64(sum.Nanoseconds()) / 1000 / float64(len(l.took))
}

func microseconds(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1000 }
