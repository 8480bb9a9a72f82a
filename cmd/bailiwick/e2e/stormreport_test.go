package e2e_test

import (
	"fmt"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"
)

// outage is a time in which the database did not answer.
type downtime struct{ from, to time.Time }

// recovery is how long after the database was back each server had read it
// anew, and the first edit was acknowledged, which is after all servers have
// applied it.
type recovery struct{ read, edit time.Duration }

// recover waits until all is well after an outage.
func (s *storm) recover(t *testing.T, o downtime) recovery {
	t.Helper()
	var r recovery
	var mu sync.Mutex
	var all sync.WaitGroup
	for i := range s.servers {
		all.Go(func() {
			for time.Since(o.to) < patience {
				ready, _, err1 := (rest{s.servers[i].url, ""}).try(http.MethodGet, "/readyz", nil)
				read, _, err2 := (rest{s.servers[i].url, s.token}).try(http.MethodGet, "/api/api-keys/"+s.keys[0].id, nil)
				if err1 == nil && err2 == nil && ready == 200 && read == 200 {
					mu.Lock()
					defer mu.Unlock()
					r.read = max(r.read, time.Since(o.to))
					return
				}
				time.Sleep(5 * time.Millisecond)
			}
			t.Errorf("server %d is not ready again within %s", i, patience)
		})
	}
	all.Wait()
	eventually(t, "an edit is acknowledged again", func() string {
		var first time.Time
		s.mu.Lock()
		defer s.mu.Unlock()
		for _, k := range s.keys {
			for _, e := range k.edits {
				if e.acknowledged() && e.ended.After(o.to) && (first.IsZero() || e.ended.Before(first)) {
					first = e.ended
				}
			}
		}
		if first.IsZero() {
			return "none yet"
		}
		r.edit = first.Sub(o.to)
		return ""
	})
	return r
}

// report tells what was done, and how long it took: of what ended outside of the
// outages, and of what was under way in one.
func (s *storm) report(t *testing.T, outages []downtime) (servedMeanwhile int) {
	t.Helper()
	took := map[string][]time.Duration{}
	count := map[string]int{}
	note := func(what string, status int, from, to time.Time) {
		for _, o := range outages {
			if to.After(o.from) && from.Before(o.to) {
				what += " (outage)"
				break
			}
		}
		took[what] = append(took[what], to.Sub(from))
		count[fmt.Sprintf("%s %d", what, status)]++
	}
	for i := range s.calls {
		c := &s.calls[i]
		note("call", c.status, c.began, c.ended)
		for _, o := range outages {
			if c.allowed && c.began.After(o.from) && c.ended.Before(o.to) {
				servedMeanwhile++
			}
		}
	}
	for _, k := range s.keys {
		for _, e := range k.edits {
			note("edit", e.status, e.began, e.ended)
		}
	}
	for _, d := range s.unmade {
		note("edit", d.status, d.began, d.ended)
	}
	for _, what := range []string{"call", "call (outage)", "edit", "edit (outage)"} {
		all := took[what]
		if len(all) == 0 {
			continue
		}
		slices.Sort(all)
		at := func(percent int) time.Duration { return all[(len(all)-1)*percent/100].Round(100 * time.Microsecond) }
		t.Logf("%-14s %6d  p50 %9s  p99 %9s  longest %9s", what, len(all), at(50), at(99), at(100))
	}
	statuses := []string{}
	for what, n := range count {
		statuses = append(statuses, fmt.Sprintf("%s: %d", what, n))
	}
	slices.Sort(statuses)
	t.Logf("%q", statuses)
	t.Logf("%d calls began and were allowed within the outages", servedMeanwhile)
	return servedMeanwhile
}

// longest is how long the slowest call or edit took.
func (s *storm) longest() (longest time.Duration) {
	for i := range s.calls {
		longest = max(longest, s.calls[i].ended.Sub(s.calls[i].began))
	}
	for _, k := range s.keys {
		for _, e := range k.edits {
			longest = max(longest, e.ended.Sub(e.began))
		}
	}
	for _, e := range s.unmade {
		longest = max(longest, e.ended.Sub(e.began))
	}
	return longest
}
