package keystest

import (
	"errors"
	"sync"
	"time"

	"github.com/bailiwick-mcp/bailiwick/keys"
)

// someApproval has a value in every field; at tells its times.
func someApproval(tenantID string, at func(time.Duration) *time.Time) keys.CallApprovalRecord {
	return keys.CallApprovalRecord{
		CallApproval: keys.CallApproval{
			ID: newID(), TenantID: tenantID, Status: keys.ApprovalApproved, Actor: "a", KeyID: newID(), KeyHandle: "h",
			KeyVersion: 3, Action: "tools/call", Subject: "i/t'", Tool: "i__t'", ArgsDigest: "d", Client: "c/1", Epoch: 4,
			CreatedAt: *at(0), ExpiresAt: *at(time.Minute), DecidedBy: "b", DecidedAt: at(time.Second), Reason: "r", UsedAt: at(time.Second),
		},
		Binding: [32]byte{0, '\'', 0xff}, Uses: 2, Sealed: []byte{0, 1, '\'', 0xff},
	}
}

// approval inserts one.
func (b *bench) approval(tenantID string, change func(*keys.CallApprovalRecord)) keys.CallApprovalRecord {
	b.Helper()
	a := keys.CallApprovalRecord{CallApproval: keys.CallApproval{ID: newID(), TenantID: tenantID, Status: keys.ApprovalPending,
		Actor: "a", CreatedAt: begin, ExpiresAt: *at(time.Hour)}}
	change(&a)
	b.aside(func(w keys.Writer) error { return w.InsertCallApproval(b.ctx, &a) })
	return a
}

func (b *bench) storedApproval(id string) keys.CallApprovalRecord {
	b.Helper()
	var a keys.CallApprovalRecord
	b.read(func(r keys.Reader) (err error) {
		a, err = r.CallApproval(b.ctx, b.acme, id)
		return err
	})
	return a
}

func asIs(*keys.CallApprovalRecord) {}

var approvalTests = []contractTest{
	{"round trip, without an epoch", func(b *bench) {
		a, want := someApproval(b.acme, at), someApproval(b.acme, kept)
		want.ID, want.KeyID = a.ID, a.KeyID
		b.complete(a)
		b.complete(a.CallApproval)
		b.aside(func(w keys.Writer) error { return w.InsertCallApproval(b.ctx, &a) })
		b.equal("what the writer gives back", a, want)
		b.equal("approval", b.storedApproval(a.ID), want)
		bare := b.approval(b.acme, asIs)
		b.equal("a bare one", b.storedApproval(bare.ID), keys.CallApprovalRecord{CallApproval: keys.CallApproval{ID: bare.ID,
			TenantID: b.acme, Status: keys.ApprovalPending, Actor: "a", CreatedAt: begun, ExpiresAt: *kept(time.Hour)}})
		b.refused("id", func(w keys.Writer) error { return w.InsertCallApproval(b.ctx, &a) })
	}},
	{"update writes what is decided, of what is as it was", func(b *bench) {
		a := b.approval(b.acme, asIs)
		next := someApproval(b.acme, at)
		next.ID = a.ID
		asked := next
		b.aside(func(w keys.Writer) error { return w.UpdateCallApproval(b.ctx, &next, a) })
		got := b.storedApproval(a.ID)
		b.equal("what the writer gives back", next, got)
		want := a
		want.Status, want.DecidedBy, want.DecidedAt, want.Reason = asked.Status, asked.DecidedBy, kept(time.Second), asked.Reason
		want.UsedAt, want.Uses = kept(time.Second), asked.Uses
		b.equal("decided", got, want)
		for what, was := range map[string]keys.CallApprovalRecord{
			"status": {CallApproval: keys.CallApproval{Status: keys.ApprovalPending}, Uses: got.Uses},
			"uses":   {CallApproval: keys.CallApproval{Status: got.Status}, Uses: got.Uses - 1},
		} {
			late := got
			late.Reason = "late"
			if _, err := b.tryEdit(func(w keys.Writer) error { return w.UpdateCallApproval(b.ctx, &late, was) }); !errors.Is(err, keys.ErrVersion) {
				b.Errorf("another %s: got %v, want ErrVersion", what, err)
			}
			b.equal("after another "+what, b.storedApproval(a.ID), got)
		}
	}},
	{"one of several takes it", func(b *bench) {
		a := b.approval(b.acme, func(a *keys.CallApprovalRecord) { a.Status = keys.ApprovalApproved })
		var wg sync.WaitGroup
		errs := make([]error, 8)
		for i := range errs {
			wg.Go(func() {
				next := a
				next.Status, next.Uses = keys.ApprovalUsed, 1
				_, errs[i] = b.store.Edit(b.ctx, func(w keys.Writer) error { return w.UpdateCallApproval(b.ctx, &next, a) })
			})
		}
		wg.Wait()
		taken := 0
		for _, err := range errs {
			switch {
			case err == nil:
				taken++
			case !errors.Is(err, keys.ErrVersion):
				b.Error(err)
			}
		}
		b.equal("taken", taken, 1)
	}},
	{"a change may be recorded with it alone", func(b *bench) {
		before := b.epoch()
		a := someApproval(b.acme, at)
		epoch := b.edit(func(w keys.Writer) error { return w.InsertCallApproval(b.ctx, &a) })
		b.equal("epoch", epoch, before+1)
		b.equal("changes", b.changed(before), []string{})
	}},
	{"undone with its edit", func(b *bench) {
		a := someApproval(b.acme, at)
		_, err := b.tryEdit(func(w keys.Writer) error { return errors.Join(w.InsertCallApproval(b.ctx, &a), errOurs) })
		if !errors.Is(err, errOurs) {
			b.Error(err)
		}
		b.read(func(r keys.Reader) error {
			_, err := r.CallApproval(b.ctx, b.acme, a.ID)
			b.notFound("CallApproval", err)
			return nil
		})
	}},
	{"absent, and another tenant's", func(b *bench) {
		a := b.approval(b.acme, func(a *keys.CallApprovalRecord) { a.Binding = [32]byte{1} })
		for _, tenantID := range append(nowhere(), b.other) {
			b.read(func(r keys.Reader) error {
				_, err := r.CallApproval(b.ctx, tenantID, a.ID)
				b.notFound("CallApproval", err)
				list, err1 := r.CallApprovals(b.ctx, tenantID, keys.CallApprovalQuery{Binding: a.Binding})
				own, all, err2 := r.PendingCalls(b.ctx, tenantID, "a", begin)
				b.equal("another's", []int{len(list), own, all}, []int{0, 0, 0})
				return errors.Join(err1, err2)
			})
			foreign := a
			foreign.TenantID = tenantID
			b.missing("UpdateCallApproval", func(w keys.Writer) error { return w.UpdateCallApproval(b.ctx, &foreign, a) })
		}
		for _, id := range nowhere() {
			b.read(func(r keys.Reader) error {
				_, err := r.CallApproval(b.ctx, b.acme, id)
				b.notFound("CallApproval", err)
				_, err = r.CallApprovals(b.ctx, b.acme, keys.CallApprovalQuery{Before: id, Status: keys.ApprovalStatus(id)})
				own, _, err1 := r.PendingCalls(b.ctx, b.acme, id, begin)
				b.equal("of nobody", own, 0)
				return errors.Join(err, err1)
			})
			gone := a
			gone.ID = id
			b.missing("UpdateCallApproval", func(w keys.Writer) error { return w.UpdateCallApproval(b.ctx, &gone, a) })
		}
		lost := someApproval(newID(), at)
		b.missing("no tenant", func(w keys.Writer) error { return w.InsertCallApproval(b.ctx, &lost) })
		bad := someApproval(b.acme, at)
		bad.Client = "nul\x00"
		b.invalid("client", b.failed(func(w keys.Writer) error { return w.InsertCallApproval(b.ctx, &bad) }))
	}},
	{"lists and counts", func(b *bench) {
		made := map[string]string{}
		add := func(name, tenantID, actor string, status keys.ApprovalStatus, expires time.Duration, binding byte) {
			a := b.approval(tenantID, func(a *keys.CallApprovalRecord) {
				a.Actor, a.Status, a.ExpiresAt, a.Binding = actor, status, *at(expires), [32]byte{binding}
			})
			made[a.ID] = name
		}
		add("past", b.acme, "a", keys.ApprovalPending, 0, 1)
		add("stale", b.acme, "a", keys.ApprovalApproved, -time.Minute, 1)
		add("one", b.acme, "a", keys.ApprovalPending, time.Microsecond, 1)
		add("two", b.acme, "b", keys.ApprovalPending, time.Hour, 2)
		add("foreign", b.other, "a", keys.ApprovalPending, time.Hour, 1)
		add("granted", b.acme, "a", keys.ApprovalApproved, time.Hour, 2)
		add("denied", b.acme, "a", keys.ApprovalDenied, -time.Hour, 1)
		add("used", b.acme, "a", keys.ApprovalUsed, -time.Hour, 1)
		add("taken back", b.acme, "a", keys.ApprovalWithdrawn, time.Microsecond, 3)
		add("taken back long ago", b.acme, "a", keys.ApprovalWithdrawn, 0, 3)
		var names []string
		last := ""
		list := func(q keys.CallApprovalQuery) []string {
			q.At, names = begin, []string{}
			b.read(func(r keys.Reader) error {
				all, err := r.CallApprovals(b.ctx, b.acme, q)
				for _, a := range all {
					names, last = append(names, made[a.ID]), a.ID
				}
				return err
			})
			return names
		}
		b.equal("all", list(keys.CallApprovalQuery{}), []string{"taken back long ago", "taken back", "used", "denied", "granted", "two", "one", "stale", "past"})
		b.equal("pending", list(keys.CallApprovalQuery{Status: keys.ApprovalPending}), []string{"two", "one"})
		b.equal("approved", list(keys.CallApprovalQuery{Status: keys.ApprovalApproved}), []string{"granted"})
		b.equal("expired", list(keys.CallApprovalQuery{Status: keys.ApprovalExpired}), []string{"stale", "past"})
		b.equal("denied", list(keys.CallApprovalQuery{Status: keys.ApprovalDenied}), []string{"denied"})
		b.equal("bound", list(keys.CallApprovalQuery{Binding: [32]byte{1}}), []string{"used", "denied", "one", "stale", "past"})
		b.equal("first page", list(keys.CallApprovalQuery{Limit: 5}), []string{"taken back long ago", "taken back", "used", "denied", "granted"})
		b.equal("second page", list(keys.CallApprovalQuery{Limit: 3, Before: last}), []string{"two", "one", "stale"})
		b.read(func(r keys.Reader) error {
			own, all, err := r.PendingCalls(b.ctx, b.acme, "a", begin)
			b.equal("pending or withdrawn", []int{own, all}, []int{2, 3})
			return err
		})
		for _, want := range []int{5, 0} {
			b.aside(func(w keys.Writer) error {
				n, err := w.DropCallApprovals(b.ctx, begin)
				b.equal("dropped", n, want)
				return err
			})
		}
		b.equal("left", list(keys.CallApprovalQuery{}), []string{"taken back", "granted", "two", "one"})
	}},
	{"no more than a page where none is said", func(b *bench) {
		for range keys.DefaultApprovalLimit + 1 {
			b.approval(b.acme, asIs)
		}
		b.read(func(r keys.Reader) error {
			all, err := r.CallApprovals(b.ctx, b.acme, keys.CallApprovalQuery{At: begin})
			b.equal("listed", len(all), keys.DefaultApprovalLimit)
			return err
		})
	}},
}
