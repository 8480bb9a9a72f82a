package keys_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/keys/keystest"
)

// otherReplica is one more process, as the store has it, whose test says what it does.
type otherReplica struct {
	t     *testing.T
	store *keystest.Memory
	row   keys.Replica
}

func (r *otherReplica) must(err error) {
	if err != nil {
		r.t.Error(err)
	}
}

func (r *otherReplica) beat(applied int64) {
	r.row.Applied, r.row.Beat = applied, r.row.Beat+1
	r.must(r.store.Beat(context.Background(), r.row))
}

// beatFor gives signs of life, without having applied anything more.
func (r *otherReplica) beatFor(d time.Duration) {
	for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(r.row.Lease / 5) {
		r.beat(r.row.Applied)
	}
}

func (r *otherReplica) apply() {
	epoch, err := r.store.Epoch(context.Background())
	r.must(err)
	r.beat(epoch)
}

func (r *otherReplica) end() {
	r.must(r.store.EndReplica(context.Background(), r.row.ID, r.row.Beat))
}

// TestReplicasThatEndWhileAnEditWaits: an edit tells of those that may be in
// trouble, not of one that was simply ended.
func TestReplicasThatEndWhileAnEditWaits(t *testing.T) {
	const lease = 10 * time.Second
	for name, c := range map[string]struct {
		meanwhile         func(*otherReplica)
		replicas, applied int
	}{
		"it applies the edit": {func(r *otherReplica) { time.Sleep(time.Second); r.apply() }, 2, 2},
		"it leaves":           {func(r *otherReplica) { r.beatFor(time.Second); r.end() }, 1, 1},
		"it leaves late":      {func(r *otherReplica) { r.beatFor(8 * time.Second); r.end() }, 1, 1},
		"it leaves when the edit is committed, before it is looked at": {func(r *otherReplica) { r.end() }, 1, 1},
		"it falls silent": {func(*otherReplica) {}, 2, 1},
		"it falls silent, and another process sees it first": {func(r *otherReplica) {
			time.Sleep(lease - lease/100)
			r.end()
		}, 2, 1},
		"it falls silent, and comes back as another": {func(r *otherReplica) {
			time.Sleep(lease - lease/100)
			r.end()
			r.row.ID = "again"
			r.must(r.store.Register(context.Background(), r.row))
			r.apply()
		}, 3, 2},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, stop := context.WithCancel(t.Context())
				store := keystest.NewMemory()
				svc, err := keys.New(ctx, keys.Config{Store: store, Root: rootSecret, Decides: true, MaxStaleness: lease})
				if err != nil {
					t.Fatal(err)
				}
				if _, err := svc.Bootstrap(ctx); err != nil {
					t.Fatal(err)
				}
				op, err := svc.Operator(ctx, "default")
				if err != nil {
					t.Fatal(err)
				}
				ended := make(chan struct{})
				go func() { defer close(ended); _ = svc.Run(ctx) }()
				defer func() { stop(); <-ended }()
				other := &otherReplica{t, store, keys.Replica{ID: "other", Lease: lease}}
				other.must(store.Register(ctx, other.row))
				other.apply()
				other.beat(other.row.Applied)
				before := svc.Stats().Edits.Unconfirmed

				done := make(chan struct{})
				begun := epochOf(t, store)
				go func() {
					defer close(done)
					for epochOf(t, store) == begun {
						time.Sleep(time.Microsecond)
					}
					c.meanwhile(other)
				}()
				noted, receipt := keys.WithReceipt(ctx)
				if _, err := svc.CreateProject(noted, op, keys.NewProject{Slug: "p", Name: "p"}); err != nil {
					t.Fatal(err)
				}
				<-done
				got := receipt.Last()
				if want := (keys.Propagation{Epoch: begun + 1, Replicas: c.replicas, Applied: c.applied}); got != want {
					t.Errorf("got %+v, want %+v", got, want)
				}
				if n := svc.Stats().Edits.Unconfirmed - before; n != uint64(c.replicas-c.applied) {
					t.Errorf("%d counted as unconfirmed, want %d", n, c.replicas-c.applied)
				}
			})
		})
	}
}

func epochOf(t *testing.T, store *keystest.Memory) int64 {
	epoch, err := store.Epoch(context.Background())
	if err != nil {
		t.Error(err)
	}
	return epoch
}
