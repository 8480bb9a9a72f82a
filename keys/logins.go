package keys

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"time"
)

// StartLogin begins a device's sign-in; nobody needs to be known for it. The
// poll token is answered this once. 1,000 can be pending: *BusyError.
func (s *Service) StartLogin(ctx context.Context, n NewLogin) (Login, Secret, error) {
	draft, err := draftLogin(&n, s.now())
	if err != nil {
		return Login{}, "", err
	}
	poll, err := NewToken(s.cfg.Rand, loginPrefix)
	if err != nil {
		return Login{}, "", err
	}
	if draft.ID, err = s.ids.next(); err != nil {
		return Login{}, "", err
	}
	l := LoginRecord{Login: draft, Poll: s.derived.hashes(digest(poll))[0]}
	// Who comes when all is full must not keep edits waiting, so it is looked first.
	err = s.cfg.Store.Read(ctx, func(r Reader) error { return loginsFree(ctx, r, draft.CreatedAt) })
	if err != nil {
		return Login{}, "", err
	}
	_, err = s.cfg.Store.Edit(ctx, func(w Writer) error {
		if err := loginsFree(ctx, w, draft.CreatedAt); err != nil {
			return err
		}
		return w.InsertLogin(ctx, &l)
	})
	if err != nil {
		return Login{}, "", err
	}
	return l.Login, poll, nil
}

func loginsFree(ctx context.Context, r Reader, now time.Time) error {
	n, err := r.PendingLogins(ctx, now)
	if err == nil && n >= maxLogins {
		err = &BusyError{RetryAfter: loginsFullAfter}
	}
	return err
}

// PollLogin answers how far a sign-in has come and, once it is approved, its key
// to exactly one poll. An unknown id, a wrong poll token and an expired sign-in
// are all ErrNotFound.
func (s *Service) PollLogin(ctx context.Context, id string, poll Secret) (Login, *Issued, error) {
	seen, err := s.PeekLogin(ctx, id, poll)
	if err != nil || seen.State != LoginApproved {
		return seen, nil, err
	}
	var l LoginRecord
	var issued *Issued
	epoch, err := s.cfg.Store.Edit(ctx, func(w Writer) (err error) {
		issued = nil
		if l, err = s.polled(ctx, w, id, poll); err != nil || l.State != LoginApproved {
			return err
		}
		issued, err = s.newEdit(w, "login.collect").handOut(ctx, &l)
		return err
	})
	if err != nil {
		return Login{}, nil, err
	}
	if issued != nil {
		l.State = LoginApproved
	}
	s.settle(ctx, epoch)
	return l.Login, issued, nil
}

// PeekLogin is PollLogin for who only wants to know how far a sign-in has come:
// the key is not handed out.
func (s *Service) PeekLogin(ctx context.Context, id string, poll Secret) (Login, error) {
	var l LoginRecord
	err := s.cfg.Store.Read(ctx, func(r Reader) (err error) {
		l, err = s.polled(ctx, r, id, poll)
		return err
	})
	if err != nil {
		return Login{}, err
	}
	return l.Login, nil
}

// polled is the sign-in that the poll token belongs to.
func (s *Service) polled(ctx context.Context, r Reader, id string, poll Secret) (LoginRecord, error) {
	l, err := r.Login(ctx, id)
	if err != nil {
		return LoginRecord{}, err
	}
	fits := 0
	for _, hash := range s.derived.hashes(digest(poll)) {
		fits |= subtle.ConstantTimeCompare(hash[:], l.Poll[:])
	}
	if fits != 1 || !s.now().Before(l.ExpiresAt) {
		return LoginRecord{}, ErrNotFound
	}
	return l, nil
}

// handOut opens the sealed token and forgets it. A key that was revoked, or has
// expired, is not handed out.
func (e *edit) handOut(ctx context.Context, l *LoginRecord) (*Issued, error) {
	key, err := e.Key(ctx, l.TenantID, l.KeyID)
	if isNotFound(err) || err == nil && !key.Live(e.now) {
		l.State, l.Sealed = LoginDenied, nil
		return nil, e.UpdateLogin(ctx, l)
	}
	if err != nil {
		return nil, err
	}
	var token string
	if err := e.svc.unseal(l.row(), l.Sealed, &token); err != nil {
		return nil, fmt.Errorf("opening what sign-in %s is to collect: %w", l.ID, err)
	}
	l.State, l.Sealed = LoginConsumed, nil
	if err := e.UpdateLogin(ctx, l); err != nil {
		return nil, err
	}
	// Who polls is the holder of the key from now on.
	e.who = Principal{&identity{kind: principalKey, tenant: &Tenant{ID: l.TenantID}, key: key}}
	err = e.logDetail(ctx, key.ID, map[string]fields{"after": {"login": l.ID, "state": l.State}})
	return &Issued{Key: key, Secret: Secret(token)}, err
}

// row is what the sealed token is bound to.
func (l *Login) row() string { return "login " + l.ID }

// LoginForApproval shows what a sign-in asks for. It needs manage:api-keys; one
// that another tenant has decided is ErrNotFound.
func (s *Service) LoginForApproval(ctx context.Context, p Principal, id string) (l Login, err error) {
	err = s.read(ctx, p, operation{"login.get", manageKeys}, func(r Reader) error {
		found, err := visibleLogin(ctx, r, p, id, s.now())
		l = found.Login
		return err
	})
	return l, err
}

func visibleLogin(ctx context.Context, r Reader, p Principal, id string, now time.Time) (LoginRecord, error) {
	l, err := r.Login(ctx, id)
	if err == nil && (!now.Before(l.ExpiresAt) || l.TenantID != "" && l.TenantID != p.TenantID()) {
		err = ErrNotFound
	}
	if err != nil {
		return LoginRecord{}, err
	}
	return l, nil
}

// ApproveLogin makes the key that a sign-in asks for, in the principal's tenant
// and within the principal's rights as CreateKey does; the device collects it.
// It needs manage:api-keys. One that is decided already is a *ConflictError.
func (s *Service) ApproveLogin(ctx context.Context, p Principal, id string, a Approval) (Login, Key, error) {
	token, err := NewToken(s.cfg.Rand, s.cfg.TokenPrefix)
	if err != nil {
		return Login{}, Key{}, err
	}
	var l LoginRecord
	var key Key
	err = s.edit(ctx, p, operation{"login.approve", manageKeys}, func(e *edit) (err error) {
		if l, err = e.undecided(ctx, id); err != nil {
			return err
		}
		if key, err = e.approvedKey(ctx, &l, a, token); err != nil {
			return err
		}
		l.KeyID = key.ID
		if l.Sealed, err = s.seal(l.row(), token.Reveal()); err != nil {
			return err
		}
		return e.decide(ctx, &l, LoginApproved)
	})
	if err != nil {
		return Login{}, Key{}, err
	}
	return l.Login, key, nil
}

func (e *edit) approvedKey(ctx context.Context, l *LoginRecord, a Approval, token Secret) (Key, error) {
	n, err := l.newKey(a)
	if err != nil {
		return Key{}, err
	}
	key, err := e.newKey(ctx, &n)
	if err != nil {
		return Key{}, err
	}
	in := *e
	in.action = "key.create"
	err = in.insertKey(ctx, &key, token)
	return key, err
}

// DenyLogin refuses a sign-in. Again: no change, no error; one that was approved
// is a *ConflictError (revoke its key instead). It needs manage:api-keys.
func (s *Service) DenyLogin(ctx context.Context, p Principal, id string) error {
	return s.edit(ctx, p, operation{"login.deny", manageKeys}, func(e *edit) error {
		l, err := e.undecided(ctx, id)
		if l.State == LoginDenied {
			return nil
		}
		if err != nil {
			return err
		}
		return e.decide(ctx, &l, LoginDenied)
	})
}

// undecided is a sign-in to be decided; with the conflict, the decided one.
func (e *edit) undecided(ctx context.Context, id string) (LoginRecord, error) {
	l, err := visibleLogin(ctx, e, e.who, id, e.now)
	if err == nil && l.State != LoginPending {
		err = &ConflictError{Problem: "the sign-in is decided already"}
	}
	return l, err
}

// decide writes the decision with its audit entry.
func (e *edit) decide(ctx context.Context, l *LoginRecord, state LoginState) error {
	l.State, l.TenantID = state, e.who.TenantID()
	if err := e.UpdateLogin(ctx, l); err != nil {
		return err
	}
	return e.logDetail(ctx, l.ID, map[string]fields{"after": {
		"state": l.State, "keyId": l.KeyID, "name": l.Name, "deviceName": l.DeviceName, "scopes": l.Scopes,
	}})
}

// sweep forgets answers and sign-ins that have expired, and revokes the keys
// that nobody came to collect. Any number of processes may do so at once.
func (s *Service) sweep(ctx context.Context) error {
	epoch, err := s.cfg.Store.Edit(ctx, func(w Writer) error {
		e := s.newEdit(w, "key.revoke")
		e.who = Principal{&identity{kind: principalOperator, tenant: &Tenant{}}}
		expired, err := e.ExpiredLogins(ctx, e.now)
		if err != nil {
			return err
		}
		for i := range expired {
			if err := e.uncollected(ctx, &expired[i]); err != nil {
				return err
			}
		}
		_, err1 := e.DropLogins(ctx, e.now)
		_, err2 := e.DropAnswers(ctx, e.now)
		return errors.Join(err1, err2)
	})
	if err != nil {
		return err
	}
	s.settle(ctx, epoch)
	return nil
}

func (e *edit) uncollected(ctx context.Context, l *LoginRecord) error {
	if l.State != LoginApproved {
		return nil
	}
	key, err := e.Key(ctx, l.TenantID, l.KeyID)
	if isNotFound(err) {
		return nil // purged
	}
	if err != nil {
		return err
	}
	return e.in(Tenant{ID: l.TenantID}).revoke(ctx, &key, Revocation{Reason: "sign-in was never collected"})
}
