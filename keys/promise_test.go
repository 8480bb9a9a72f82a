package keys_test

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/keys/keystest"
)

var schedules = flag.Int("schedules", 1500, "how many random schedules TestPromise runs")

// TestPromise holds the promise of the replicas (invariant 4) over random
// schedules of edits, loads, polls, lost hints, slow and cut connections and the
// clock: of the calls that began after a revoke had answered, no replica accepts
// one. Time is the schedule's own, so that seconds of it take none.
func TestPromise(t *testing.T) {
	var total schedule
	for n := range *schedules {
		synctest.Test(t, func(t *testing.T) {
			s := schedule{t: t, rng: rand.New(rand.NewPCG(uint64(n), 1))}
			s.run()
			total.accepted.Add(s.accepted.Load())
			total.refused.Add(s.refused.Load())
			total.stale.Add(s.stale.Load())
			total.revokes += s.revokes
		})
		if t.Failed() {
			t.Fatalf("schedule %d", n)
		}
	}
	t.Logf("%d schedules: %d revokes, %d calls accepted, %d refused, %d of these stale", *schedules,
		total.revokes, total.accepted.Load(), total.refused.Load(), total.stale.Load())
	if total.revokes == 0 || total.accepted.Load() == 0 || total.refused.Load() == 0 || *schedules >= 100 && total.stale.Load() == 0 {
		t.Error("one side was never tried")
	}
}

// schedule is one run: some replicas over one store, each behind a link of its
// own that delays and cuts, an editor, and callers.
type schedule struct {
	t     *testing.T
	rngMu sync.Mutex
	rng   *rand.Rand

	accepted, refused, stale atomic.Int64
	revokes                  int
}

const promisedStaleness = 2 * time.Second

func (s *schedule) draw(n int) int {
	s.rngMu.Lock()
	defer s.rngMu.Unlock()
	return s.rng.IntN(n)
}

// link is one process's way to the store.
type link struct {
	*keystest.Memory
	s   *schedule
	cut atomic.Bool
	lag atomic.Int64 // milliseconds at most, before and after
}

func (l *link) pause() {
	if most := int(l.lag.Load()); most > 0 {
		time.Sleep(time.Duration(l.s.draw(most*1000)) * time.Microsecond)
	}
}

// through is one use of the store: what it reads is of the moment between the
// two pauses, and a connection that is cut afterwards leaves what was written.
func (l *link) through(use func() error) error {
	l.pause()
	if l.cut.Load() {
		return keys.ErrUnavailable
	}
	err := use()
	l.pause()
	if l.cut.Load() {
		return keys.ErrUnavailable
	}
	return err
}

func (l *link) Read(ctx context.Context, fn func(keys.Reader) error) error {
	return l.Memory.Read(ctx, func(r keys.Reader) error { return l.through(func() error { return fn(r) }) })
}

func (l *link) Epoch(ctx context.Context) (epoch int64, err error) {
	err = l.through(func() error { epoch, err = l.Memory.Epoch(ctx); return err })
	return epoch, err
}

func (l *link) Changes(ctx context.Context, after int64, limit int) (list []keys.Change, err error) {
	err = l.through(func() error { list, err = l.Memory.Changes(ctx, after, limit); return err })
	return list, err
}

func (l *link) Register(ctx context.Context, r keys.Replica) error {
	return l.through(func() error { return l.Memory.Register(ctx, r) })
}

func (l *link) Beat(ctx context.Context, r keys.Replica) error {
	return l.through(func() error { return l.Memory.Beat(ctx, r) })
}

func (l *link) EndReplica(ctx context.Context, id string, beat int64) error {
	return l.through(func() error { return l.Memory.EndReplica(ctx, id, beat) })
}

func (l *link) Replicas(ctx context.Context) (list []keys.Replica, err error) {
	err = l.through(func() error { list, err = l.Memory.Replicas(ctx); return err })
	return list, err
}

func (s *schedule) service(l *link, decides bool) *keys.Service {
	svc, err := keys.New(context.Background(), keys.Config{Store: l, Root: rootSecret, Decides: decides,
		MaxStaleness: promisedStaleness, PollInterval: time.Duration(50+s.draw(400)) * time.Millisecond})
	if err != nil {
		s.t.Fatal(err)
	}
	return svc
}

func (s *schedule) run() {
	ctx, stop := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	defer wg.Wait()
	defer stop()
	store := keystest.NewMemory()
	editor := s.service(&link{Memory: store, s: s}, s.draw(2) == 0)
	if _, err := editor.Bootstrap(ctx); err != nil {
		s.t.Fatal(err)
	}
	op, err := editor.Operator(ctx, "default")
	if err != nil {
		s.t.Fatal(err)
	}
	wg.Go(func() { _ = editor.Run(ctx) })
	victims := make([]victim, 1+s.draw(3))
	for i := range victims {
		issued, err := editor.CreateKey(ctx, op, keys.NewKey{Name: fmt.Sprint("k", i)})
		if err != nil {
			s.t.Fatal(err)
		}
		victims[i] = victim{id: issued.Key.ID, token: issued.Secret}
	}
	links := make([]*link, 1+s.draw(3))
	for i := range links {
		links[i] = &link{Memory: store, s: s}
		svc := s.service(links[i], true)
		wg.Go(func() { _ = svc.Run(ctx) })
		wg.Go(func() { s.call(ctx, svc, victims) })
		wg.Go(func() { s.disturb(ctx, links[i], svc) })
	}
	for i := range victims {
		time.Sleep(time.Duration(s.draw(3000)) * time.Millisecond)
		if _, err := editor.RevokeKey(ctx, op, victims[i].id, keys.Revocation{}); err != nil {
			s.t.Fatal(err)
		}
		victims[i].over.Store(true) // from here on, nobody may accept it
		s.revokes++
	}
	time.Sleep(2 * promisedStaleness)
}

type victim struct {
	id    string
	token keys.Secret
	over  atomic.Bool
}

// call asks for the keys again and again, each call with the knowledge of
// whether its revoke had answered before it began.
func (s *schedule) call(ctx context.Context, svc *keys.Service, victims []victim) {
	for ctx.Err() == nil {
		v := &victims[s.draw(len(victims))]
		late := v.over.Load()
		_, err := svc.Authenticate(context.WithoutCancel(ctx), v.token)
		switch {
		case err == nil && late:
			s.t.Errorf("a revoked key was accepted")
		case err == nil:
			s.accepted.Add(1)
		default:
			s.refused.Add(1)
			if svc.Fresh() != nil {
				s.stale.Add(1)
			}
		}
		time.Sleep(time.Duration(1+s.draw(100)) * time.Millisecond)
	}
}

// disturb delays and cuts a replica's connection, and lets some hints come.
func (s *schedule) disturb(ctx context.Context, l *link, svc *keys.Service) {
	for ctx.Err() == nil {
		switch s.draw(6) {
		case 0:
			l.cut.Store(true)
		case 1:
			l.lag.Store(int64(s.draw(3000)))
		case 2:
			svc.Nudge()
		default:
			l.cut.Store(false)
			l.lag.Store(int64(s.draw(30)))
		}
		time.Sleep(time.Duration(1+s.draw(1500)) * time.Millisecond)
	}
	l.cut.Store(false)
	l.lag.Store(0)
}
