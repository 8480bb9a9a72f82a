package mcp

import (
	"context"
	"sync"
	"sync/atomic"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/mcp/upstream"
)

// stream is one open stream of notifications: a GET stream, a
// subscriptions/listen, an SSE connection or a stdio client. The transport
// writes; this only says when what is visible changed and when it is over.
type stream struct {
	tenant    *tenant
	narrowing narrowing
	session   *session       // of the legacy era; nil in the modern one
	changed   chan struct{}  // a list_changed or an update is due
	said      chan []byte    // messages for the client besides; one too many is dropped
	subs      *subscriptions // whose updates it tells of; nil = none
	moved     atomic.Bool    // an edit may have taken some of them away
	ctx       context.Context
	cut       context.CancelFunc

	mu        sync.Mutex
	principal keys.Principal
	shown     [upstream.Kinds]uint64 // fingerprints of what the client knows or was told of
	due       groupSet               // whose list_changed is due
}

// prints are fingerprints of what a client listed, kind by kind; 0 = not yet.
type prints [upstream.Kinds]atomic.Uint64

func (p *prints) load() (sums [upstream.Kinds]uint64) {
	for k := range p {
		sums[k] = p[k].Load()
	}
	return sums
}

// openStream registers a stream; the caller closes it. What the client listed
// before (0 = nothing) tells whether it missed a change. ok is false when the
// key has as many as it may.
func (g *Gateway) openStream(ctx context.Context, r *request, listed [upstream.Kinds]uint64) (_ *stream, done func(), ok bool) {
	release, ok := g.streams.quota.take(r.principal)
	if !ok {
		return nil, nil, false
	}
	s := &stream{tenant: r.tenant, narrowing: r.narrowing, principal: r.principal, session: r.session,
		changed: make(chan struct{}, 1), said: make(chan []byte, maxSaid)}
	s.ctx, s.cut = context.WithCancel(ctx)
	s.shown = g.fingerprint(s, r.principal)
	for k, sum := range listed {
		if sum != 0 {
			s.shown[k] = sum
		}
	}
	if s.subs = r.subs; s.subs == nil && r.session != nil {
		s.subs = r.session.subs
	}
	if s.subs != nil {
		s.subs.stream.Store(s)
	}
	g.streams.add(s)
	g.review(s) // an edit may have come between authentication and add
	return s, func() {
		g.streams.remove(s)
		if s.subs != nil {
			s.subs.stream.CompareAndSwap(s, nil)
		}
		s.cut()
		release()
	}, true
}

func (s *stream) current() keys.Principal {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.principal
}

// update notes what is shown now and tells the client when it differs.
func (s *stream) update(p keys.Principal, shown [upstream.Kinds]uint64) {
	s.mu.Lock()
	differs := s.shown != shown
	for k := range shown {
		if s.shown[k] != shown[k] {
			s.due |= 1 << groupOf[k]
		}
	}
	s.principal, s.shown = p, shown
	s.mu.Unlock()
	if differs {
		s.signal()
	}
}

// owe has the list_changed of all kinds sent of which it is not known what the
// client listed: something may have changed that nobody told it of.
func (s *stream) owe(listed [upstream.Kinds]uint64) {
	s.mu.Lock()
	for k, sum := range listed {
		if sum == 0 {
			s.due |= 1 << groupOf[k]
		}
	}
	s.mu.Unlock()
	s.signal()
}

// signal has what is due taken.
func (s *stream) signal() {
	select {
	case s.changed <- struct{}{}:
	default: // it will be
	}
}

// takeDue answers whose list_changed is due, once.
func (s *stream) takeDue() groupSet {
	s.mu.Lock()
	defer s.mu.Unlock()
	due := s.due
	s.due = 0
	return due
}

// streamTable holds the open streams.
type streamTable struct {
	quota *quota

	mu   sync.Mutex
	open map[*stream]struct{}
	over bool // new streams end at once

	dirtyMu sync.Mutex
	dirty   map[string]bool // tenants whose streams must be looked at again
	wake    chan struct{}
}

func newStreamTable() *streamTable {
	return &streamTable{quota: newQuota(maxStreams), open: map[*stream]struct{}{}, dirty: map[string]bool{}, wake: make(chan struct{}, 1)}
}

func (t *streamTable) add(s *stream) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.open[s] = struct{}{}
	if t.over {
		s.cut()
	}
}

func (t *streamTable) remove(s *stream) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.open, s)
}

func (t *streamTable) all() []*stream {
	t.mu.Lock()
	defer t.mu.Unlock()
	out := make([]*stream, 0, len(t.open))
	for s := range t.open {
		out = append(out, s)
	}
	return out
}

// EndStreams ends every open stream of notifications, and each new one at
// once, so that a server that shuts down waits only for calls, and for none that
// waits for a person's approval.
func (g *Gateway) EndStreams() {
	g.leaving.leave()
	g.streams.mu.Lock()
	g.streams.over = true
	g.streams.mu.Unlock()
	g.streams.cutAll()
}

func (t *streamTable) cutAll() {
	for _, s := range t.all() {
		s.cut()
	}
}

// poke asks for a look at the streams of a tenant.
func (t *streamTable) poke(tenantID string) {
	t.later(tenantID)
	select {
	case t.wake <- struct{}{}:
	default:
	}
}

// later asks for a look with the next tick.
func (t *streamTable) later(tenantID string) {
	t.dirtyMu.Lock()
	defer t.dirtyMu.Unlock()
	t.dirty[tenantID] = true
}

func (t *streamTable) takeDirty() map[string]bool {
	t.dirtyMu.Lock()
	defer t.dirtyMu.Unlock()
	out := t.dirty
	t.dirty = map[string]bool{}
	return out
}
