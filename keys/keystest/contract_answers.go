package keystest

import (
	"errors"
	"time"

	"github.com/bailiwick-mcp/bailiwick/keys"
)

func (b *bench) someAnswer(key string) keys.Answer {
	return keys.Answer{TenantID: b.acme, Principal: "key k", Key: key, Digest: [32]byte{0, '\'', 0xff},
		Sealed: []byte{0, 1, '\'', 0xff}, ExpiresAt: begin}
}

// answers are the keys, of those given, that an answer is there for.
func (b *bench) answers(names ...string) []string {
	b.Helper()
	there := []string{}
	b.read(func(r keys.Reader) error {
		for _, name := range names {
			switch _, err := r.Answer(b.ctx, b.acme, "key k", name); {
			case err == nil:
				there = append(there, name)
			case !errors.Is(err, keys.ErrNotFound):
				return err
			}
		}
		return nil
	})
	return there
}

// aside is an edit that must succeed, use no epoch and make no change.
func (b *bench) aside(fn func(w keys.Writer) error) {
	b.Helper()
	before := b.epoch()
	epoch, err := b.store.Edit(b.ctx, fn)
	if err != nil || epoch != before || b.epoch() != before {
		b.Errorf("epoch %d and then %d after %d, %v", epoch, b.epoch(), before, err)
	}
	b.equal("changes", b.changed(before), []string{})
}

var answerTests = []contractTest{
	{"round trip, in the edit that it answers for", func(b *bench) {
		a := b.someAnswer("one")
		b.complete(a)
		want := a
		want.ExpiresAt = begun
		k := someKey(b.acme, "k")
		epoch := b.edit(func(w keys.Writer) error {
			return errors.Join(w.InsertKey(b.ctx, &k), w.PutAnswer(b.ctx, &a))
		})
		b.equal("what the writer gives back", a, want)
		b.equal("changes", b.changed(epoch-1), []string{"key " + k.ID})
		b.read(func(r keys.Reader) error {
			got, err := r.Answer(b.ctx, b.acme, "key k", "one")
			b.equal("answer", got, want)
			return err
		})
	}},
	{"alone uses no epoch and needs no audit entry", func(b *bench) {
		a := b.someAnswer("one")
		b.aside(func(w keys.Writer) error { return w.PutAnswer(b.ctx, &a) })
		b.equal("there", b.answers("one"), []string{"one"})
	}},
	{"undone with its edit", func(b *bench) {
		a := b.someAnswer("one")
		_, err := b.tryEdit(func(w keys.Writer) error { return errors.Join(w.PutAnswer(b.ctx, &a), errOurs) })
		if !errors.Is(err, errOurs) {
			b.Error(err)
		}
		b.equal("there", b.answers("one"), []string{})
	}},
	{"the same again replaces", func(b *bench) {
		a := b.someAnswer("one")
		b.aside(func(w keys.Writer) error { return w.PutAnswer(b.ctx, &a) })
		a.Digest, a.Sealed, a.ExpiresAt = [32]byte{2}, []byte{2}, *kept(time.Hour)
		b.aside(func(w keys.Writer) error { return w.PutAnswer(b.ctx, &a) })
		b.read(func(r keys.Reader) error {
			got, err := r.Answer(b.ctx, b.acme, "key k", "one")
			b.equal("answer", got, a)
			return err
		})
	}},
	{"of one tenant, one principal and one key", func(b *bench) {
		a := b.someAnswer("one")
		b.aside(func(w keys.Writer) error { return w.PutAnswer(b.ctx, &a) })
		b.read(func(r keys.Reader) error {
			for _, odd := range append(nowhere(), b.other) {
				_, err := r.Answer(b.ctx, odd, "key k", "one")
				b.notFound("of tenant "+odd, err)
				_, err = r.Answer(b.ctx, b.acme, odd, "one")
				b.notFound("of principal "+odd, err)
				_, err = r.Answer(b.ctx, b.acme, "key k", odd)
				b.notFound("of key "+odd, err)
			}
			return nil
		})
		a.TenantID = newID()
		b.missing("PutAnswer", func(w keys.Writer) error { return w.PutAnswer(b.ctx, &a) })
		for _, bad := range []string{"a\x00", "\xff"} {
			a := b.someAnswer(bad)
			b.invalid("key", b.failed(func(w keys.Writer) error { return w.PutAnswer(b.ctx, &a) }))
		}
	}},
	{"dropped when they have expired", func(b *bench) {
		b.aside(func(w keys.Writer) (err error) {
			for name, d := range map[string]time.Duration{"past": -time.Hour, "now": 0, "soon": time.Microsecond, "later": time.Hour} {
				a := b.someAnswer(name)
				a.ExpiresAt = *at(d)
				err = errors.Join(err, w.PutAnswer(b.ctx, &a))
			}
			return err
		})
		for _, want := range []int{2, 0} {
			b.aside(func(w keys.Writer) error {
				n, err := w.DropAnswers(b.ctx, begin)
				b.equal("dropped", n, want)
				return err
			})
			b.equal("left", b.answers("past", "now", "soon", "later"), []string{"soon", "later"})
		}
	}},
}
