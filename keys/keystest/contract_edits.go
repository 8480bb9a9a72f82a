package keystest

import (
	"context"
	"errors"

	"github.com/bailiwick-mcp/bailiwick/keys"
)

var errOurs = errors.New("the function's own error")

var editTests = []contractTest{
	{"each takes the next epoch", func(b *bench) {
		for range 3 {
			before := b.epoch()
			var inside int64
			p := keys.Project{ID: newID(), TenantID: b.acme, Slug: newID()}
			got := b.edit(func(w keys.Writer) error {
				inside = w.Epoch()
				return w.InsertProject(b.ctx, &p)
			})
			b.equal("epoch", []int64{got, inside, p.Version, b.epoch()}, []int64{before + 1, before + 1, before + 1, before + 1})
		}
	}},
	{"without a write uses none", func(b *bench) {
		before := b.epoch()
		got, err := b.store.Edit(b.ctx, func(w keys.Writer) error {
			_, err := w.Tenant(b.ctx, "acme")
			return err
		})
		if err != nil || got != before || b.epoch() != before {
			b.Errorf("got %d, %v, then %d, want %d", got, err, b.epoch(), before)
		}
	}},
	{"an error undoes everything", func(b *bench) {
		before := b.epoch()
		_, err := b.store.Edit(b.ctx, func(w keys.Writer) error { return errors.Join(b.writeAll(w), errOurs) })
		if !errors.Is(err, errOurs) {
			b.Errorf("got %v, want the function's error", err)
		}
		b.untouched(before)
	}},
	{"a panic undoes everything", func(b *bench) {
		before := b.epoch()
		func() {
			defer func() { _ = recover() }()
			_, _ = b.store.Edit(b.ctx, func(w keys.Writer) error {
				if err := b.writeAll(w); err != nil {
					b.Error(err)
				}
				panic("ours")
			})
			b.Error("the panic did not come through")
		}()
		b.untouched(before)
		b.project(b.acme, "still-works")
	}},
	{"a change without its audit entry is refused", func(b *bench) {
		before := b.epoch()
		for kind, entry := range map[string]bool{"": false, kindCall: true, kindDecision: true} {
			_, err := b.store.Edit(b.ctx, func(w keys.Writer) error {
				p := keys.Project{ID: newID(), TenantID: b.acme, Slug: "p"}
				if err := w.InsertProject(b.ctx, &p); err != nil || !entry {
					return err
				}
				e := b.changeEntry()
				e.Kind = kind
				return w.Record(b.ctx, e)
			})
			if err == nil {
				b.Errorf("accepted with an entry of kind %q", kind)
			}
		}
		b.untouched(before)
	}},
	{"an audit entry without its change is refused", func(b *bench) {
		before := b.epoch()
		if _, err := b.store.Edit(b.ctx, func(w keys.Writer) error { return w.Record(b.ctx, b.changeEntry()) }); err == nil {
			b.Error("accepted")
		}
		b.untouched(before)
	}},
	{"a denial may be recorded alone", func(b *bench) {
		e := b.changeEntry()
		e.Kind = kindDecision
		before := b.epoch()
		got, err := b.store.Edit(b.ctx, func(w keys.Writer) error { return w.Record(b.ctx, e) })
		if err != nil || got != before+1 {
			b.Errorf("got %d, %v, want %d", got, err, before+1)
		}
	}},
	{"meta needs no audit entry and makes no change", func(b *bench) {
		before := b.epoch()
		put := func(value string) int64 {
			epoch, err := b.store.Edit(b.ctx, func(w keys.Writer) error { return w.PutMeta(b.ctx, "name", value) })
			if err != nil {
				b.Fatal(err)
			}
			return epoch
		}
		if first, second := put("one"), put("two"); first != before+1 || second != before+2 {
			b.Errorf("epochs %d and %d after %d", first, second, before)
		}
		b.equal("changes", b.changed(before), []string{})
		b.read(func(r keys.Reader) error {
			value, err := r.Meta(b.ctx, "name")
			b.equal("value", value, "two")
			return err
		})
		b.edit(func(w keys.Writer) error { return w.PutMeta(b.ctx, "name", "with an entry") })
	}},
	{"reads see the edit's own writes", func(b *bench) {
		b.edit(func(w keys.Writer) error {
			p := keys.Project{ID: newID(), TenantID: b.acme, Slug: "p"}
			if err := w.InsertProject(b.ctx, &p); err != nil {
				return err
			}
			got, err := w.Project(b.ctx, b.acme, p.ID)
			b.equal("project", got, p)
			return err
		})
	}},
	{"goes on after a conflict", func(b *bench) {
		b.key(b.acme, "taken")
		before := b.epoch()
		second := someKey(b.acme, "taken-2")
		b.edit(func(w keys.Writer) error {
			first := someKey(b.acme, "taken")
			var conflict *keys.ConflictError
			if err := w.InsertKey(b.ctx, &first); !errors.As(err, &conflict) {
				b.Errorf("got %v, want a conflict", err)
			}
			return w.InsertKey(b.ctx, &second)
		})
		b.equal("changes", b.changed(before), []string{"key " + second.ID})
	}},
	{"a swallowed conflict uses no epoch", func(b *bench) {
		k := b.key(b.acme, "taken")
		before := b.epoch()
		got, err := b.store.Edit(b.ctx, func(w keys.Writer) error {
			_ = w.InsertKey(b.ctx, &k)
			_ = w.UpdateProject(b.ctx, &keys.Project{ID: newID(), TenantID: b.acme})
			return nil
		})
		if err != nil || got != before {
			b.Errorf("got %d, %v, want %d", got, err, before)
		}
		b.untouched(before)
	}},
	{"reader and writer end with their function", func(b *bench) {
		var r keys.Reader
		var w keys.Writer
		b.read(func(inside keys.Reader) error { r = inside; return nil })
		b.edit(func(inside keys.Writer) error {
			w = inside
			p := keys.Project{ID: newID(), TenantID: b.acme, Slug: "p"}
			return w.InsertProject(b.ctx, &p)
		})
		if _, err := r.Tenants(b.ctx); err == nil {
			b.Error("the reader still reads")
		}
		if err := w.PutMeta(b.ctx, "late", "x"); err == nil {
			b.Error("the writer still writes")
		}
	}},
	{"a canceled context stops every method", func(b *bench) {
		ctx, cancel := context.WithCancel(b.ctx)
		before := b.epoch()
		_, err := b.store.Edit(ctx, func(w keys.Writer) error {
			if err := b.writeAll(w); err != nil {
				return err
			}
			cancel()
			_, err := w.Tenants(ctx)
			return err
		})
		b.canceled("in an edit", err)
		b.untouched(before)
		b.canceled("Read", b.store.Read(ctx, func(r keys.Reader) error { return nil }))
		_, err = b.store.Edit(ctx, func(w keys.Writer) error { return nil })
		b.canceled("Edit", err)
		_, err = b.store.Epoch(ctx)
		b.canceled("Epoch", err)
		_, err = b.store.Changes(ctx, 0, 1)
		b.canceled("Changes", err)
		b.canceled("TouchKeys", b.store.TouchKeys(ctx, nil))
		_, err = b.store.SaveDefinitions(ctx, b.acme, newID(), nil)
		b.canceled("SaveDefinitions", err)
		b.canceled("AppendAudit", b.store.AppendAudit(ctx, nil))
	}},
}

func (b *bench) canceled(what string, err error) {
	b.Helper()
	if !errors.Is(err, context.Canceled) {
		b.Errorf("%s: got %v, want context.Canceled", what, err)
	}
}

// writeAll writes something of every kind, with its audit entry.
func (b *bench) writeAll(w keys.Writer) error {
	p := keys.Project{ID: newID(), TenantID: b.acme, Slug: "undone"}
	i := keys.Instance{ID: newID(), TenantID: b.acme, ProjectID: p.ID, Slug: "undone"}
	k := someKey(b.acme, "undone")
	return errors.Join(
		w.InsertTenant(b.ctx, &keys.Tenant{ID: newID(), Slug: "undone"}),
		w.InsertProject(b.ctx, &p),
		w.InsertInstance(b.ctx, &i),
		w.InsertPreset(b.ctx, &keys.Preset{TenantID: b.acme, Name: "undone"}),
		w.InsertKey(b.ctx, &k, keys.KeySecret{Hash: [32]byte{1}}),
		w.PutMeta(b.ctx, "undone", "x"),
		w.Record(b.ctx, b.changeEntry()),
	)
}

// untouched checks that nothing of writeAll is there.
func (b *bench) untouched(epoch int64) {
	b.Helper()
	b.untouchedBut(epoch, 0, 0)
}

// untouchedBut also tells how many projects and instances were there before.
func (b *bench) untouchedBut(epoch int64, projectsBefore, instancesBefore int) {
	b.Helper()
	b.equal("epoch", b.epoch(), epoch)
	b.equal("changes", b.changed(epoch), []string{})
	b.read(func(r keys.Reader) error {
		tenants, err1 := r.Tenants(b.ctx)
		projects, err2 := r.Projects(b.ctx, b.acme)
		instances, err3 := r.Instances(b.ctx, b.acme)
		presets, err4 := r.Presets(b.ctx, b.acme)
		_, _, err5 := r.KeyByHash(b.ctx, [32]byte{1})
		_, err6 := r.KeyByHandle(b.ctx, b.acme, "undone")
		_, err7 := r.Meta(b.ctx, "undone")
		entries, err8 := r.Audit(b.ctx, b.acme, keys.AuditQuery{Limit: 1000})
		for _, err := range []error{err5, err6, err7} {
			if !errors.Is(err, keys.ErrNotFound) {
				b.Errorf("got %v, want ErrNotFound", err)
			}
		}
		for _, e := range entries {
			if e.Epoch > epoch {
				b.Errorf("audit entry %s of epoch %d is left", e.ID, e.Epoch)
			}
		}
		b.equal("left", []int{len(tenants), len(projects), len(instances), len(presets)}, []int{2, projectsBefore, instancesBefore, 0})
		return errors.Join(err1, err2, err3, err4, err8)
	})
}
