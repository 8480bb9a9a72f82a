package mcp

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/keys/wire"
	"github.com/bailiwick-mcp/bailiwick/mcp/upstream"
)

// followTick is how often running calls and open streams are held against the
// clock: an expiry is no edit.
const followTick = 250 * time.Millisecond

// follow carries edits, new catalogs and expiries to open streams and running
// calls until ctx ends.
func (g *Gateway) follow(ctx context.Context) {
	tick := time.NewTicker(followTick)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-g.streams.wake:
			g.lookAgain()
		case <-tick.C:
			g.sessions.expire()
			g.parked.expire(g.cfg.Now())
			g.dropEnded()
			g.lookAgain()
		}
	}
}

// edited applies what changed; it runs on the editor's goroutine, before its
// edit answers, so that from the answer on nothing passes that was taken away.
func (g *Gateway) edited(ctx context.Context, changes []keys.Change) {
	g.edits.Add(1)
	if len(changes) == 0 || slices.ContainsFunc(changes, g.ofMounts) {
		g.applyEdits(ctx, changes)
	}
	for _, c := range changes {
		g.streams.later(c.TenantID)
	}
	if len(changes) == 0 { // the store can't be asked: not here, where others wait
		for _, tenantID := range g.tenantIDs() {
			g.streams.poke(tenantID)
		}
		return
	}
	g.lookAgain() // here, so that open streams and running calls are cut, too
}

// ofMounts tells whether a change may be one of what is mounted.
func (g *Gateway) ofMounts(c keys.Change) bool {
	if only := g.cfg.Only; only != nil && c.Kind == keys.ChangeKey {
		return c.TenantID == only.TenantID() // its own, or an ancestor's
	}
	return c.Kind == keys.ChangeInstance || c.Kind == keys.ChangeProject || c.Kind == keys.ChangeTenant
}

// lookAgain reviews everything open of the tenants that something changed in.
func (g *Gateway) lookAgain() {
	dirty := g.streams.takeDirty()
	if len(dirty) == 0 {
		return
	}
	for _, c := range g.calls.all() {
		if dirty[c.principal.TenantID()] && g.ended(c.principal) != nil {
			c.cancel()
		}
	}
	for _, s := range g.streams.all() {
		if dirty[s.tenant.id] {
			g.review(s)
		}
	}
	for _, p := range g.parked.waiting() {
		if dirty[p.first.tenant.id] {
			g.reviewParked(p)
		}
	}
}

// review cuts a stream whose key no longer counts, and tells one whose visible
// tools changed.
func (g *Gateway) review(s *stream) {
	p, err := g.svc.Refresh(s.ctx, s.current())
	switch {
	case errors.Is(err, keys.ErrBadCredential):
		s.cut()
		return
	case err != nil:
		// The store can't be asked: nothing new is known. Each request asks
		// by itself, and the next edit or the next attempt looks again.
		g.streams.later(s.tenant.id)
		return
	case !p.Grant().DecideKey(g.cfg.Now()).Allowed():
		s.cut()
		return
	}
	s.update(p, g.fingerprint(s, p))
	if s.subs != nil {
		s.moved.Store(true)
		s.signal()
	}
}

// fingerprint sums up what a stream's client sees, kind by kind.
func (g *Gateway) fingerprint(s *stream, p keys.Principal) (sums [upstream.Kinds]uint64) {
	c := s.tenant.catalog.Load()
	q := question{principal: p, session: s.narrowing.session, catalog: c, now: g.cfg.Now()}
	for k := range sums {
		sums[k] = c.offers[k].fingerprint(listed(q, kind(k)))
	}
	return sums
}

// ended says why a principal may not go on with what it began; nil when it may.
func (g *Gateway) ended(p keys.Principal) *wire.Problem {
	fresh, err := g.svc.Refresh(context.Background(), p)
	if err != nil {
		if !errors.Is(err, keys.ErrBadCredential) {
			return nil
		}
		problem := wire.Unauthenticated()
		return &problem
	}
	return keyProblem(fresh, fresh.Grant().DecideKey(g.cfg.Now()))
}

// dropEnded ends what belongs to keys that have expired.
func (g *Gateway) dropEnded() {
	now := g.cfg.Now()
	for _, s := range g.streams.all() {
		if !s.current().Grant().DecideKey(now).Allowed() {
			s.cut()
		}
	}
	for _, c := range g.calls.all() {
		if !c.principal.Grant().DecideKey(now).Allowed() {
			c.cancel()
		}
	}
}
