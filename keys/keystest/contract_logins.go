package keystest

import (
	"errors"
	"time"

	"github.com/bailiwick-mcp/bailiwick/keys"
)

// someLogin has a value in every field; at tells its times.
func someLogin(at func(time.Duration) *time.Time) keys.LoginRecord {
	return keys.LoginRecord{
		Login: keys.Login{
			ID: newID(), State: keys.LoginApproved, Name: "n", DeviceName: "d'", Scopes: []string{"b", "a"}, Source: "cli",
			KeyExpiresAt: at(time.Hour), TenantID: newID(), KeyID: newID(), CreatedAt: *at(0), ExpiresAt: *at(time.Minute),
		},
		Poll: [32]byte{0, '\'', 0xff}, Sealed: []byte{0, 1, '\'', 0xff},
	}
}

func (b *bench) login(state keys.LoginState, expires time.Duration) keys.LoginRecord {
	b.Helper()
	l := keys.LoginRecord{Login: keys.Login{ID: newID(), State: state, CreatedAt: begin, ExpiresAt: *at(expires)}}
	b.aside(func(w keys.Writer) error { return w.InsertLogin(b.ctx, &l) })
	return l
}

func (b *bench) storedLogin(id string) keys.LoginRecord {
	b.Helper()
	var l keys.LoginRecord
	b.read(func(r keys.Reader) (err error) {
		l, err = r.Login(b.ctx, id)
		return err
	})
	return l
}

var loginTests = []contractTest{
	{"round trip, without an epoch", func(b *bench) {
		l, want := someLogin(at), someLogin(kept)
		want.ID, want.TenantID, want.KeyID = l.ID, l.TenantID, l.KeyID
		b.complete(l)
		b.complete(l.Login)
		b.aside(func(w keys.Writer) error { return w.InsertLogin(b.ctx, &l) })
		b.equal("what the writer gives back", l, want)
		b.equal("login", b.storedLogin(l.ID), want)
		bare := b.login(keys.LoginPending, 0)
		b.equal("a bare one", b.storedLogin(bare.ID), keys.LoginRecord{Login: keys.Login{
			ID: bare.ID, State: keys.LoginPending, Scopes: []string{}, CreatedAt: begun, ExpiresAt: begun}})
		b.refused("id", func(w keys.Writer) error { return w.InsertLogin(b.ctx, &l) })
	}},
	{"update writes what is decided", func(b *bench) {
		l := b.login(keys.LoginPending, time.Minute)
		next := someLogin(at)
		next.ID = l.ID
		asked := next
		b.aside(func(w keys.Writer) error { return w.UpdateLogin(b.ctx, &next) })
		want := b.storedLogin(l.ID)
		b.equal("decided", []any{want.State, want.TenantID, want.KeyID, want.Sealed}, []any{asked.State, asked.TenantID, asked.KeyID, asked.Sealed})
		b.equal("left", []any{want.Name, want.Poll, want.ExpiresAt}, []any{"", [32]byte{}, *kept(time.Minute)})
		b.equal("what the writer gives back", next, want)
		next.Sealed = nil
		b.aside(func(w keys.Writer) error { return w.UpdateLogin(b.ctx, &next) })
		b.equal("sealed", b.storedLogin(l.ID).Sealed, []byte(nil))
	}},
	{"a change may be recorded with it alone", func(b *bench) {
		before := b.epoch()
		l := someLogin(at)
		epoch := b.edit(func(w keys.Writer) error { return w.InsertLogin(b.ctx, &l) })
		b.equal("epoch", epoch, before+1)
		b.equal("changes", b.changed(before), []string{})
	}},
	{"undone with its edit", func(b *bench) {
		l := someLogin(at)
		_, err := b.tryEdit(func(w keys.Writer) error { return errors.Join(w.InsertLogin(b.ctx, &l), errOurs) })
		if !errors.Is(err, errOurs) {
			b.Error(err)
		}
		b.read(func(r keys.Reader) error {
			_, err := r.Login(b.ctx, l.ID)
			b.notFound("Login", err)
			return nil
		})
	}},
	{"absent", func(b *bench) {
		b.login(keys.LoginPending, 0)
		for _, id := range nowhere() {
			b.read(func(r keys.Reader) error {
				_, err := r.Login(b.ctx, id)
				b.notFound("Login", err)
				return nil
			})
			l := keys.LoginRecord{Login: keys.Login{ID: id}}
			b.missing("UpdateLogin", func(w keys.Writer) error { return w.UpdateLogin(b.ctx, &l) })
		}
		bad := someLogin(at)
		bad.DeviceName = "nul\x00"
		b.invalid("deviceName", b.failed(func(w keys.Writer) error { return w.InsertLogin(b.ctx, &bad) }))
	}},
	{"pending, expired, dropped", func(b *bench) {
		pending := func(at time.Time, want int) {
			b.Helper()
			b.read(func(r keys.Reader) error {
				n, err := r.PendingLogins(b.ctx, at)
				b.equal("pending", n, want)
				return err
			})
		}
		past, now := b.login(keys.LoginApproved, -time.Hour), b.login(keys.LoginPending, 0)
		b.login(keys.LoginPending, time.Microsecond)
		b.login(keys.LoginDenied, time.Hour)
		b.login(keys.LoginConsumed, time.Hour)
		later := b.login(keys.LoginPending, time.Hour)
		pending(*at(-time.Second), 3)
		pending(begin, 2)
		pending(*at(time.Hour), 0)
		b.read(func(r keys.Reader) error {
			list, err := r.ExpiredLogins(b.ctx, begin)
			b.equal("expired", list, []keys.LoginRecord{past, now})
			return err
		})
		for _, want := range []int{2, 0} {
			b.aside(func(w keys.Writer) error {
				n, err := w.DropLogins(b.ctx, begin)
				b.equal("dropped", n, want)
				return err
			})
		}
		b.read(func(r keys.Reader) error {
			list, err := r.ExpiredLogins(b.ctx, *at(2 * time.Hour))
			b.equal("left", len(list), 4)
			return err
		})
		b.equal("a later one", b.storedLogin(later.ID), later)
	}},
}
