package keystest

import (
	"errors"
	"time"

	"github.com/bailiwick-mcp/bailiwick/keys"
)

var replicaTests = []contractTest{
	{"register, beat and end", func(b *bench) {
		before := b.epoch()
		r := keys.Replica{ID: newID(), Name: "host/1", Lease: 10 * time.Second, StartedAt: begin}
		other := keys.Replica{ID: newID(), Lease: time.Second, StartedAt: begin}
		must(b, b.store.Register(b.ctx, r))
		must(b, b.store.Register(b.ctx, other))
		r.StartedAt, other.StartedAt = begun, begun
		b.equal("registered", b.replicas(), map[string]keys.Replica{r.ID: r, other.ID: other})
		r.Applied, r.Beat = 7, 1
		changed := r
		changed.Name, changed.Lease = "another", time.Minute // which a beat does not write
		must(b, b.store.Beat(b.ctx, changed))
		b.equal("beaten", b.replicas(), map[string]keys.Replica{r.ID: r, other.ID: other})
		if err := b.store.EndReplica(b.ctx, r.ID, 0); !errors.Is(err, keys.ErrVersion) {
			b.Errorf("ended at an older beat: %v", err)
		}
		must(b, b.store.EndReplica(b.ctx, r.ID, 1))
		b.equal("ended", b.replicas(), map[string]keys.Replica{other.ID: other})
		if err := b.store.EndReplica(b.ctx, r.ID, 1); !errors.Is(err, keys.ErrNotFound) {
			b.Errorf("ended twice: %v", err)
		}
		if err := b.store.Beat(b.ctx, r); !errors.Is(err, keys.ErrNotFound) {
			b.Errorf("a beat of one that is gone: %v", err)
		}
		b.equal("after a beat of one that is gone", b.replicas(), map[string]keys.Replica{other.ID: other})
		if after := b.epoch(); after != before {
			b.Errorf("replicas moved the epoch from %d to %d", before, after)
		}
	}},
	{"an id is taken once", func(b *bench) {
		r := keys.Replica{ID: newID(), Name: "first", StartedAt: begin}
		must(b, b.store.Register(b.ctx, r))
		r.Name = "second"
		var conflict *keys.ConflictError
		if err := b.store.Register(b.ctx, r); !errors.As(err, &conflict) {
			b.Errorf("registered twice: %v", err)
		}
		b.equal("name", b.replicas()[r.ID].Name, "first")
	}},
	{"a beat or an end, not both", func(b *bench) {
		const rounds = 30
		for range rounds {
			r := keys.Replica{ID: newID(), StartedAt: begin}
			must(b, b.store.Register(b.ctx, r))
			results := parallel(2, func(n int) error {
				if n == 0 {
					return b.store.EndReplica(b.ctx, r.ID, 0)
				}
				beat := r
				beat.Beat = 1
				return b.store.Beat(b.ctx, beat)
			})
			_, there := b.replicas()[r.ID]
			switch {
			case results[0] == nil && errors.Is(results[1], keys.ErrNotFound) && !there:
			case errors.Is(results[0], keys.ErrVersion) && results[1] == nil && there:
			default:
				b.Errorf("end: %v, beat: %v, there: %v", results[0], results[1], there)
			}
		}
	}},
}

func must(b *bench, err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}

func (b *bench) replicas() map[string]keys.Replica {
	b.Helper()
	rows, err := b.store.Replicas(b.ctx)
	must(b, err)
	byID := map[string]keys.Replica{}
	for _, r := range rows {
		byID[r.ID] = r
	}
	return byID
}
