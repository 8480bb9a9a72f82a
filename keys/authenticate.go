package keys

import (
	"context"
	"errors"
	"sync"
	"time"
)

// loadTries bounds how often a load is repeated because of edits beside it.
const loadTries = 8

// errUnknown is a token that no key of the store has. Its text does not tell.
var errUnknown error = badCredential(RefusedUnknown)

// Authenticate turns a token into a Principal. Any reason why the token does
// not count is ErrBadCredential; a process that must not decide now, ErrStale.
// A wrong checksum never reaches the store, unless keys of another system were
// imported. What else is in no cache is looked up a bounded number of times for
// each host (WithRemote) and for all; beyond that it is a *BusyError, which says
// nothing of the token, until it is sent again.
// A paused key, a closed scope or the tenant's switch are not its matter: the
// grant denies them.
func (s *Service) Authenticate(ctx context.Context, token Secret) (Principal, error) {
	if _, ok := ShownPrefix(token); !ok && !(s.imports.Load() && foreignToken(token)) {
		return Principal{}, badCredential(RefusedChecksum)
	}
	d := digest(token)
	// As nearly always: under the current root secret, and known.
	p, ok, err := s.cached(s.derived.byAge[0].hash(d))
	switch {
	case err != nil:
	case !ok:
		p, err = s.lookUp(ctx, s.derived.hashes(d))
	case p.is.draftUnread():
		p, err = s.reread(ctx, p)
	}
	if err != nil {
		return Principal{}, err
	}
	s.used.note(p.of().key.ID, s.now())
	return p, nil
}

// cached is the one way to what is kept of a credential: ErrBadCredential for one
// that is known not to count, ErrStale while this process must not decide.
func (s *Service) cached(hash [32]byte) (p Principal, ok bool, err error) {
	// First: what is found after it has all edits that have answered by now.
	if err := s.Fresh(); err != nil {
		return Principal{}, false, err
	}
	p, ok, bad := s.cache.find(hash, s.cfg.Now())
	if ok || bad {
		s.counters.hits.Add(1)
	}
	if bad {
		return Principal{}, false, badCredential(RefusedKnown)
	}
	return p, ok, nil
}

// Refresh answers the principal as it stands now, with the rights of the
// latest edit known here; ErrBadCredential when its key or JWT no longer counts. It is
// not a use of the key.
func (s *Service) Refresh(ctx context.Context, p Principal) (Principal, error) {
	switch p.of().kind {
	case principalKey:
		return s.principal(ctx, p.of().hash)
	case principalSubject:
		fresh, err := s.Subject(ctx, p.Claims())
		return fresh, credentialError(err)
	case principalOperator:
		return s.Operator(ctx, p.of().tenant.ID)
	}
	return Principal{}, ErrUnauthenticated
}

// Operator is the local operator in one tenant (id or slug): who can read the
// store owns it. The command line uses it on the server's own machine.
func (s *Service) Operator(ctx context.Context, tenant string) (Principal, error) {
	p := Principal{&identity{kind: principalOperator, tenant: &Tenant{}}}
	p.is.epoch, _ = s.Confirmed()
	err := s.cfg.Store.Read(ctx, func(r Reader) (err error) {
		*p.is.tenant, err = r.Tenant(ctx, tenant)
		return err
	})
	if err != nil {
		return Principal{}, err
	}
	return p, nil
}

// PlatformOperator is the local operator in no tenant: it may do what takes
// view:tenants and manage:tenants, and nothing else within a tenant.
func (s *Service) PlatformOperator() Principal {
	p := Principal{&identity{kind: principalPlatform, tenant: &Tenant{}}}
	p.is.epoch, _ = s.Confirmed()
	return p
}

// lookUp is principal for a token that may be anybody's.
func (s *Service) lookUp(ctx context.Context, hashes [][32]byte) (Principal, error) {
	leave, err := s.unknown.enter(ctx)
	if err != nil {
		return Principal{}, err
	}
	defer leave()
	for _, hash := range hashes { // it may have come while this waited, which then costs nothing
		if p, ok, err := s.cached(hash); ok || err != nil {
			return p, err
		}
	}
	charge, ok := s.unknown.admit(ctx, hashes[0], s.cfg.Now())
	if !ok {
		return Principal{}, &BusyError{RetryAfter: refusedFor}
	}
	p, err := s.principal(ctx, hashes...)
	switch {
	case errors.Is(err, errUnknown):
		charge()
	case err == nil || errors.Is(err, ErrBadCredential):
		s.unknown.found.put(hashes[0])
	}
	return p, err
}

// principal looks a secret up by its hash under each version of the root secret.
func (s *Service) principal(ctx context.Context, hashes ...[32]byte) (Principal, error) {
	for _, hash := range hashes {
		if p, ok, err := s.cached(hash); ok || err != nil {
			return p, err
		}
	}
	s.counters.misses.Add(1)
	for range loadTries {
		s.counters.loads.Add(1)
		mark := s.cache.mark()
		p, err := s.loadPrincipal(ctx, hashes)
		if errors.Is(err, ErrBadCredential) {
			s.cache.putUnknown(mark, hashes[0])
		}
		if err != nil {
			return Principal{}, err
		}
		// An edit that was applied during the load may have taken rights away
		// that the load still saw, so it is read again.
		if s.cache.put(mark, p) {
			return p, nil
		}
	}
	return Principal{}, ErrUnavailable
}

func (s *Service) loadPrincipal(ctx context.Context, hashes [][32]byte) (p Principal, err error) {
	now := s.cfg.Now()
	var c chain
	err = s.cfg.Store.Read(ctx, func(r Reader) error {
		for _, hash := range hashes {
			key, secret, err := r.KeyByHash(ctx, hash)
			if errors.Is(err, ErrNotFound) {
				continue
			}
			if err != nil {
				return err
			}
			c, err = loadChain(ctx, r, key)
			if err != nil {
				return credentialError(err)
			}
			if !secretLive(&secret, now) || !c.live(now) {
				return badCredential(RefusedEnded)
			}
			// Of the same snapshot: what is decided with it can be decided again later.
			epoch, err := r.AsOf(ctx)
			if err != nil {
				return err
			}
			p = c.principal(hash, epoch)
			p.is.until = earlier(p.is.until, secret.ExpiresAt)
			return nil
		}
		return errUnknown
	})
	if err == nil {
		s.compileDraft(ctx, c, p.is)
	}
	return p, err
}

const touchInterval = time.Second

// lastUsed collects when keys were used, between two flushes.
type lastUsed struct {
	mu sync.Mutex
	at map[string]time.Time
}

func (u *lastUsed) note(keyID string, at time.Time) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.at == nil {
		u.at = map[string]time.Time{}
	}
	if at.After(u.at[keyID]) {
		u.at[keyID] = at
	}
}

func (s *Service) flushUsed(ctx context.Context) error {
	s.used.mu.Lock()
	used := s.used.at
	s.used.at = nil
	s.used.mu.Unlock()
	if len(used) == 0 {
		return nil
	}
	err := s.cfg.Store.TouchKeys(ctx, used)
	if err != nil {
		for id, at := range used {
			s.used.note(id, at)
		}
	}
	return err
}
