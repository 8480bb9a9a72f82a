package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/keys/wire"
)

// lateTrail is a trail that is written out of the order of its ids.
type lateTrail struct {
	keyring
	ids  []string // in order
	page int
	away bool
	gone error
}

func (l *lateTrail) write(id string) {
	at, _ := slices.BinarySearch(l.ids, id)
	l.ids = slices.Insert(l.ids, at, id)
}

func (l *lateTrail) Events(_ context.Context, q keys.AuditQuery) (page wire.AuditPage, err error) {
	if l.away {
		return page, &awayError{errors.New("away")}
	}
	for _, id := range slices.Backward(l.ids) {
		if q.Before != "" && id >= q.Before {
			continue
		}
		if len(page.Events) == l.page {
			page.Next = &page.Events[l.page-1].ID
			return page, l.gone
		}
		page.Events = append(page.Events, wire.AuditEvent{ID: id})
	}
	return page, l.gone
}

// idAt is an event's id, made so long after the test's beginning.
func idAt(after time.Duration, n int) string {
	ms := begun.Add(after).UnixMilli()
	text := fmt.Sprintf("%012x", ms)
	return fmt.Sprintf("%s-%s-7000-8000-%012d", text[:8], text[8:], n)
}

var begun = time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)

// followed runs a follower over a trail; step is called at each wait with the
// time since the beginning, and ends it by false.
func followed(t *testing.T, l *lateTrail, last int, skew time.Duration, step func(time.Duration) bool) (shown, said []string, err error) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var passed time.Duration
	f := newFollower(l, keys.AuditQuery{Limit: l.page}, time.Minute)
	f.now = func() time.Time { return begun.Add(passed + skew) }
	f.wait = func(_ context.Context, d time.Duration) {
		if passed += d; !step(passed) {
			cancel()
		}
	}
	err = f.run(ctx, last, func(events []wire.AuditEvent) error {
		for _, e := range events {
			shown = append(shown, e.ID)
		}
		return nil
	}, func(text string) { said = append(said, text) })
	return shown, said, err
}

// Each event is shown once, however late it is written, clocks ahead and behind.
func TestFollowOutOfOrder(t *testing.T) {
	for _, skew := range []time.Duration{0, time.Hour, -time.Hour} {
		for seed := range uint64(20) {
			random := rand.New(rand.NewPCG(seed, 1))
			l := &lateTrail{page: 7}
			var all []string
			for n := range 30 { // there before
				l.write(idAt(-time.Duration(random.IntN(200))*time.Second, n))
			}
			all = append(all, l.ids[27:]...)
			due := map[time.Duration][]string{}
			for n := range 300 {
				made := time.Duration(random.IntN(60_000)) * time.Millisecond
				late := time.Duration(random.IntN(3000)) * time.Millisecond
				if n%20 == 0 {
					late = time.Duration(random.IntN(40)) * time.Second
				}
				ahead := time.Duration(0)
				if n%3 == 0 {
					ahead = 2 * time.Second // a server's clock
				}
				written := (made + late).Truncate(lookEvery) + lookEvery
				due[written] = append(due[written], idAt(made+ahead, 100+n))
			}
			if skew <= 0 { // a clock that is wrong by much
				due[20*time.Second] = append(due[20*time.Second], idAt(time.Hour, 999))
			} else {
				due[20*time.Second] = append(due[20*time.Second], idAt(20*time.Second, 999))
			}
			shown, said, err := followed(t, l, 3, skew, func(passed time.Duration) bool {
				for _, id := range due[passed] {
					l.write(id)
					all = append(all, id)
				}
				return passed < 3*time.Minute
			})
			if err != nil || len(said) > 0 {
				t.Fatalf("%v, said %q", err, said)
			}
			if !slices.Equal(shown[:3], all[:3]) {
				t.Errorf("skew %s, seed %d: began with %v, want %v", skew, seed, shown[:3], all[:3])
			}
			slices.Sort(all)
			slices.Sort(shown)
			if len(all) != 304 || !slices.Equal(shown, all) {
				t.Fatalf("skew %s, seed %d: %d shown, %d of them different, of %d", skew, seed, len(shown), len(slices.Compact(slices.Clone(shown))), len(all))
			}
		}
	}
}

// In one look events are in order.
func TestFollowInOrder(t *testing.T) {
	l := &lateTrail{page: 2}
	shown, _, err := followed(t, l, 10, 0, func(passed time.Duration) bool {
		for n := range 5 {
			l.write(idAt(passed-time.Duration(n)*time.Millisecond, n))
		}
		return passed < 5*lookEvery
	})
	if err != nil || len(shown) != 20 || !slices.IsSorted(shown) {
		t.Errorf("%d shown, %v: %v", len(shown), err, shown)
	}
}

// A trail that is away for a while is waited for; what was written late because
// of it is shown, and it is said once.
func TestFollowAway(t *testing.T) {
	l := &lateTrail{page: 50, ids: []string{idAt(0, 1)}}
	shown, said, err := followed(t, l, 1, 0, func(passed time.Duration) bool {
		l.away = passed > time.Second && passed < 30*time.Second
		if passed >= 30*time.Second && len(l.ids) == 1 {
			l.write(idAt(2*time.Second, 2))
			l.write(idAt(29*time.Second, 3))
		}
		return passed < time.Minute
	})
	if err != nil || len(shown) != 3 || len(said) != 2 || !strings.HasPrefix(said[0], "waiting: ") || said[1] != "going on" {
		t.Errorf("shown %v, said %q, %v", shown, said, err)
	}
	l.gone = keys.ErrBadCredential
	if _, _, err := followed(t, l, 1, 0, func(time.Duration) bool { return true }); !errors.Is(err, keys.ErrBadCredential) {
		t.Errorf("a key that counts no more: %v", err)
	}
}

// What is old enough is forgotten, and never shown again.
func TestFollowForgets(t *testing.T) {
	l := &lateTrail{page: 50}
	ctx := t.Context()
	var passed time.Duration
	f := newFollower(l, keys.AuditQuery{Limit: 50}, time.Minute)
	f.now = func() time.Time { return begun.Add(passed) }
	seen := 0
	for n := range 600 {
		passed = time.Duration(n) * time.Second
		l.write(idAt(passed, n))
		events, err := f.look(ctx, f.lookback)
		if err != nil {
			t.Fatal(err)
		}
		seen += len(events)
	}
	passed = 0 // the clock was set back
	again, err := f.look(ctx, f.lookback)
	if err != nil || seen != 600 || len(again) != 0 {
		t.Errorf("%d seen, %d again, %v", seen, len(again), err)
	}
	if len(f.seen) > 70 {
		t.Errorf("%d ids are kept for a minute of one a second", len(f.seen))
	}
}
