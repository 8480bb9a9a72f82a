package keystest

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/bailiwick-mcp/bailiwick/keys"
)

// aMoment is how long a test lets others run where nothing tells it whether
// they have; what it then checks holds either way.
const aMoment = 100 * time.Millisecond

var concurrencyTests = []contractTest{
	{"edits are serialized", func(b *bench) {
		const workers, each = 8, 10
		before := b.epoch()
		epochs := parallel(workers, func(int) []int64 {
			got := []int64{}
			for range each {
				epoch, err := b.store.Edit(b.ctx, func(w keys.Writer) error { return b.count(w) })
				if err != nil {
					b.Error(err)
				}
				got = append(got, epoch)
			}
			return got
		})
		all := slices.Concat(epochs...)
		slices.Sort(all)
		want := []int64{}
		for n := range int64(workers * each) {
			want = append(want, before+n+1)
		}
		b.equal("epochs", all, want)
		for _, mine := range epochs {
			if !slices.IsSorted(mine) {
				b.Errorf("one worker's epochs went backwards: %v", mine)
			}
		}
		b.read(func(r keys.Reader) error {
			value, err := r.Meta(b.ctx, "counter")
			b.equal("counter", value, strconv.Itoa(workers*each)) // else an update was lost
			return err
		})
		b.feedInOrder(before, workers*each)
	}},
	{"one of several wins a handle", func(b *bench) {
		results := parallel(8, func(int) error {
			k := someKey(b.acme, "wanted")
			_, err := b.tryEdit(func(w keys.Writer) error { return w.InsertKey(b.ctx, &k) })
			return err
		})
		won := 0
		for _, err := range results {
			var conflict *keys.ConflictError
			if err == nil {
				won++
			} else if !errors.As(err, &conflict) || conflict.Field != "handle" {
				b.Errorf("got %v, want a conflict of handle", err)
			}
		}
		b.equal("winners", won, 1)
	}},
	{"a read is one snapshot", func(b *bench) {
		done := make(chan struct{})
		b.read(func(r keys.Reader) error {
			first, err1 := r.Projects(b.ctx, b.acme)
			go func() { // a store with one connection lets it in only afterwards
				defer close(done)
				b.edit(func(w keys.Writer) error {
					p := keys.Project{ID: newID(), TenantID: b.acme, Slug: "between"}
					return w.InsertProject(b.ctx, &p)
				})
			}()
			select {
			case <-done:
			case <-time.After(aMoment):
			}
			second, err2 := r.Projects(b.ctx, b.acme)
			b.equal("projects", second, first)
			return errors.Join(err1, err2)
		})
		<-done
	}},
	{"an uncommitted edit is not seen", func(b *bench) {
		var early []keys.Project
		done := make(chan error, 1)
		b.edit(func(w keys.Writer) error {
			p := keys.Project{ID: newID(), TenantID: b.acme, Slug: "early"}
			if err := w.InsertProject(b.ctx, &p); err != nil {
				return err
			}
			ctx, cancel := context.WithTimeout(b.ctx, aMoment) // with one connection it can't be read
			defer cancel()
			done <- b.store.Read(ctx, func(r keys.Reader) (err error) {
				early, err = r.Projects(ctx, b.acme)
				return err
			})
			return nil
		})
		if err := <-done; err != nil && !errors.Is(err, context.DeadlineExceeded) {
			b.Error(err)
		}
		b.equal("seen early", len(early), 0)
	}},
	{"waiting for another edit ends with the context", func(b *bench) {
		b.edit(func(w keys.Writer) error {
			ctx, cancel := context.WithTimeout(b.ctx, aMoment)
			defer cancel()
			_, err := b.store.Edit(ctx, func(keys.Writer) error { return nil })
			if !errors.Is(err, context.DeadlineExceeded) {
				b.Errorf("got %v, want context.DeadlineExceeded", err)
			}
			p := keys.Project{ID: newID(), TenantID: b.acme, Slug: "p"}
			return w.InsertProject(b.ctx, &p)
		})
	}},
	{"definitions of one instance are saved one after the other", func(b *bench) {
		p := b.project(b.acme, "p")
		i := b.instance(b.acme, p.ID, "i")
		defs := []keys.Definition{{Kind: "tool", Name: "a"}, {Kind: "tool", Name: "b"}}
		for _, err := range parallel(8, func(int) (err error) {
			for range 5 {
				err = errors.Join(err, b.save(i.ID, defs...))
			}
			return err
		}) {
			if err != nil {
				b.Error(err)
			}
		}
	}},
	{"an edit and the writes beside it", func(b *bench) {
		p := b.project(b.acme, "p")
		i := b.instance(b.acme, p.ID, "i")
		k := b.key(b.acme, "k")
		for _, err := range parallel(8, func(n int) error {
			switch n % 4 {
			case 0:
				return b.store.TouchKeys(b.ctx, map[string]time.Time{k.ID: begin})
			case 1:
				return b.save(i.ID, keys.Definition{Kind: "tool", Name: "a"}, keys.Definition{Kind: "tool", Name: "b"})
			case 2:
				return b.store.AppendAudit(b.ctx, []keys.AuditEntry{{ID: newID(), TenantID: b.acme, Kind: kindCall}})
			default:
				_, err := b.store.Edit(b.ctx, func(w keys.Writer) error { return b.count(w) })
				return err
			}
		}) {
			if err != nil {
				b.Error(err)
			}
		}
		b.read(func(r keys.Reader) error {
			defs, err := r.Definitions(b.ctx, b.acme, i.ID)
			b.equal("definitions", len(defs), 2)
			return err
		})
	}},
}

// count adds one to a counter, by reading and writing it, and changes something.
func (b *bench) count(w keys.Writer) error {
	value, err := w.Meta(b.ctx, "counter")
	if err != nil && !errors.Is(err, keys.ErrNotFound) {
		return err
	}
	n, _ := strconv.Atoi(value)
	if err := w.PutMeta(b.ctx, "counter", strconv.Itoa(n+1)); err != nil {
		return err
	}
	p := keys.Project{ID: newID(), TenantID: b.acme, Slug: newID()}
	if err := w.InsertProject(b.ctx, &p); err != nil {
		return err
	}
	return w.Record(b.ctx, b.changeEntry())
}

func (b *bench) feedInOrder(after int64, want int) {
	changes, err := b.store.Changes(b.ctx, after, 1000)
	if err != nil {
		b.Fatal(err)
	}
	b.equal("changes", len(changes), want)
	for n, c := range changes {
		if c.Epoch != after+int64(n)+1 {
			b.Errorf("change %d is of epoch %d", n, c.Epoch)
		}
	}
}

// parallel runs fn n times at once and answers what each said.
func parallel[R any](n int, fn func(int) R) []R {
	results := make([]R, n)
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() { results[i] = fn(i) })
	}
	all.Wait()
	return results
}
