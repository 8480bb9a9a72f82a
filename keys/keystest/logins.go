package keystest

import (
	"bytes"
	"cmp"
	"context"
	"maps"
	"strings"
	"time"

	"github.com/bailiwick-mcp/bailiwick/keys"
)

func cloneLogin(l keys.LoginRecord) keys.LoginRecord {
	l.Scopes, l.KeyExpiresAt = cloneStrings(l.Scopes), stampOrNil(l.KeyExpiresAt)
	l.CreatedAt, l.ExpiresAt = stamp(l.CreatedAt), stamp(l.ExpiresAt)
	if l.Sealed = bytes.Clone(l.Sealed); len(l.Sealed) == 0 {
		l.Sealed = nil
	}
	return l
}

func (r *reader) Login(ctx context.Context, id string) (keys.LoginRecord, error) {
	l, ok := r.state.logins[id]
	return found(ctx, r, l, ok, cloneLogin)
}

func (r *reader) PendingLogins(ctx context.Context, at time.Time) (n int, err error) {
	for _, l := range r.state.logins {
		if l.State == keys.LoginPending && l.ExpiresAt.After(stamp(at)) {
			n++
		}
	}
	return n, r.check(ctx)
}

func (r *reader) ExpiredLogins(ctx context.Context, at time.Time) ([]keys.LoginRecord, error) {
	expired := func(l keys.LoginRecord) bool { return !l.ExpiresAt.After(stamp(at)) }
	return sorted(r.state.logins, expired, cloneLogin, func(a, b keys.LoginRecord) int {
		return cmp.Or(a.ExpiresAt.Compare(b.ExpiresAt), strings.Compare(a.ID, b.ID))
	}), r.check(ctx)
}

func (w *writer) InsertLogin(ctx context.Context, l *keys.LoginRecord) error {
	_, taken := w.state.logins[l.ID]
	if err := w.insertable(ctx, true, taken); err != nil {
		return err
	}
	return w.putLogin(l)
}

func (w *writer) UpdateLogin(ctx context.Context, l *keys.LoginRecord) error {
	next, err := w.Login(ctx, l.ID)
	if err != nil {
		return err
	}
	next.State, next.TenantID, next.KeyID, next.Sealed = l.State, l.TenantID, l.KeyID, l.Sealed
	*l = next
	return w.putLogin(l)
}

func (w *writer) putLogin(l *keys.LoginRecord) error {
	if err := checkTexts(&l.Login); err != nil {
		return err
	}
	*l = cloneLogin(*l)
	w.state.logins[l.ID] = cloneLogin(*l)
	w.beside = true
	return nil
}

func (w *writer) DropLogins(ctx context.Context, expired time.Time) (int, error) {
	if err := w.check(ctx); err != nil {
		return 0, err
	}
	before := len(w.state.logins)
	maps.DeleteFunc(w.state.logins, func(_ string, l keys.LoginRecord) bool { return !l.ExpiresAt.After(stamp(expired)) })
	n := before - len(w.state.logins)
	w.beside = w.beside || n > 0
	return n, nil
}
