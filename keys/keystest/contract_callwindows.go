package keystest

import (
	"sync"
	"sync/atomic"

	"github.com/bailiwick-mcp/bailiwick/keys"
)

var callWindowTests = []contractTest{
	{"calls are taken up to the most", func(b *bench) {
		w := keys.CallWindow{TenantID: b.acme, KeyID: "k", Rule: "r", Begins: 60, Ends: 120}
		other := func(change func(*keys.CallWindow)) keys.CallWindow {
			o := w
			change(&o)
			return o
		}
		for i, step := range []struct {
			window                    keys.CallWindow
			want, most, granted, left int64
		}{
			{w, 4, 10, 4, 6},
			{w, 4, 10, 4, 2},
			{w, 4, 10, 2, 0},
			{w, 1, 10, 0, 0},
			{w, 1, 12, 1, 1}, // raised meanwhile
			{w, 1, 5, 0, 0},  // lowered
			{w, -3, 12, -3, 4},
			{w, -100, 12, -8, 12}, // never below none
			{w, 0, 12, 0, 12},
			{other(func(o *keys.CallWindow) { o.KeyID = "jwt:issuer|it's" }), 9, 10, 9, 1},
			{other(func(o *keys.CallWindow) { o.Rule = "R" }), 9, 10, 9, 1},
			{other(func(o *keys.CallWindow) { o.TenantID = b.other }), 9, 10, 9, 1},
			{other(func(o *keys.CallWindow) { o.Begins, o.Ends = 120, 180 }), 9, 10, 9, 1},
		} {
			granted, left, err := b.store.TakeCalls(b.ctx, step.window, step.want, step.most)
			if err != nil || granted != step.granted || left != step.left {
				b.Errorf("step %d: granted %d, left %d, %v; want %d and %d", i, granted, left, err, step.granted, step.left)
			}
		}
		epoch, err := b.store.Epoch(b.ctx)
		if err != nil || len(b.changed(epoch)) != 0 {
			b.Errorf("taking calls is an edit: %v", err)
		}
	}},
	{"calls taken at once", func(b *bench) {
		const callers, each, most = 8, 5, 23
		w := keys.CallWindow{TenantID: b.acme, KeyID: "k", Rule: "r", Begins: 0, Ends: 86400}
		var sum atomic.Int64
		var all sync.WaitGroup
		for range callers {
			all.Go(func() {
				for range each {
					granted, _, err := b.store.TakeCalls(b.ctx, w, 1, most)
					if err != nil {
						b.Errorf("%v", err)
					}
					sum.Add(granted)
				}
			})
		}
		all.Wait()
		b.equal("granted", sum.Load(), int64(most))
	}},
	{"periods that are over are forgotten", func(b *bench) {
		over := keys.CallWindow{TenantID: b.acme, KeyID: "k", Rule: "r", Begins: 0, Ends: 60}
		running := keys.CallWindow{TenantID: b.acme, KeyID: "k", Rule: "r", Begins: 60, Ends: 120}
		for _, w := range []keys.CallWindow{over, running} {
			if _, _, err := b.store.TakeCalls(b.ctx, w, 3, 5); err != nil {
				b.Fatal(err)
			}
		}
		if err := b.store.DropCalls(b.ctx, 60); err != nil {
			b.Fatal(err)
		}
		_, fresh, err1 := b.store.TakeCalls(b.ctx, over, 0, 5)
		_, left, err2 := b.store.TakeCalls(b.ctx, running, 0, 5)
		if fresh != 5 || left != 2 || err1 != nil || err2 != nil {
			b.Errorf("left %d and %d, %v, %v", fresh, left, err1, err2)
		}
	}},
}
