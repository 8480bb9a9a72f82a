package mcp

import (
	"container/list"
	"sync"
	"time"

	"github.com/bailiwick-mcp/bailiwick/keys"
)

// maxSessions is how many legacy sessions of one principal are held; the one that
// was unused longest gives way.
const maxSessions = 512

// sessionTable holds the legacy sessions that this process serves. One of
// streamable HTTP that it does not hold is taken up from its id: because another
// server that shares the root secret made it, or because this one forgot it while
// nothing used it.
//
// It is asked on every request of every tenant, so nothing in it takes longer
// the more sessions there are: they stand in the order of their last use, all
// together and each owner's by themselves.
type sessionTable struct {
	ids  *sessionIDs
	ttl  time.Duration // an unused one is held for
	life time.Duration // from initialize on: one that is not held can be taken up for
	now  func() time.Time

	mu     sync.Mutex
	byID   map[string]*session
	all    *list.List           // of *session, the longest unused first
	owners map[owner]*list.List // the same, by owner
	ended  endedSessions
}

// owner is a principal among those of all tenants.
type owner struct{ tenantID, id string }

func asOwner(p keys.Principal) owner { return owner{p.TenantID(), p.ID()} }

// place is where a session stands.
type place struct {
	used         time.Time
	inAll, inOwn *list.Element
}

func newSessionTable(mac []byte, ttl, life time.Duration, now func() time.Time) *sessionTable {
	return &sessionTable{ids: newSessionIDs(mac), ttl: ttl, life: life, now: now,
		byID: map[string]*session{}, all: list.New(), owners: map[owner]*list.List{}}
}

// add gives a new session its id and keeps it.
func (t *sessionTable) add(s *session) {
	said := sessionID{issued: t.now(), bound: s.sink != nil, can: s.abilities(), client: s.clientName()}
	if s.narrowing.source != unnarrowed.source {
		said.narrowing = s.narrowing.source
	}
	s.id = t.ids.issue(s.whose(), &said)
	s.issued, s.random = said.issued, said.random
	t.mu.Lock()
	defer t.mu.Unlock()
	t.hold(s)
}

func (t *sessionTable) hold(s *session) {
	own := t.owners[s.whose()]
	if own == nil {
		own = list.New()
		t.owners[s.whose()] = own
	}
	if own.Len() >= maxSessions {
		t.drop(own.Front().Value.(*session))
	}
	t.byID[s.id] = s
	s.place = place{t.now(), t.all.PushBack(s), own.PushBack(s)}
}

// held finds the principal's own session where this process holds it; nil for an
// unknown one, an ended one and a foreign one, which look alike.
func (t *sessionTable) held(id string, p keys.Principal) *session {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.byID[id]
	if s == nil || s.whose() != asOwner(p) {
		return nil
	}
	if t.idle(s) {
		t.drop(s) // the next sweep would
		return nil
	}
	t.use(s)
	return s
}

// get finds the principal's own session, and takes it up from its id where this
// process does not hold it; nil as with held. Such a session has what initialize
// fixed, and no more than a new one besides.
//
// One that was ended at another server can be taken up here, for nobody tells. That
// is harmless: an id gives no right, the key is checked on every request, and only
// who ended the session has the id.
func (t *sessionTable) get(id string, p keys.Principal) *session {
	if s := t.held(id, p); s != nil {
		return s
	}
	said, ok := t.ids.read(asOwner(p), id)
	if !ok || said.bound || t.now().Sub(said.issued) >= t.life {
		return nil
	}
	n, err := narrowingFrom(said.narrowing)
	if err != nil { // another release's: no guess could not be wider
		return nil
	}
	s := newSession(p, n, said.client)
	s.id, s.issued, s.random, s.takenUp, s.can = id, said.issued, said.random, true, said.can
	t.mu.Lock()
	defer t.mu.Unlock()
	if other := t.byID[id]; other != nil { // another request was here first
		s.cancel()
		t.use(other)
		return other
	}
	if t.ended.has(s.random) {
		s.cancel()
		return nil
	}
	t.hold(s)
	return s
}

// touch says that a session is in use.
func (t *sessionTable) touch(s *session) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.byID[s.id] == s {
		t.use(s)
	}
}

func (t *sessionTable) use(s *session) {
	s.place.used = t.now()
	t.all.MoveToBack(s.place.inAll)
	t.owners[s.whose()].MoveToBack(s.place.inOwn)
}

// end ends a session for good: its requests and its stream.
func (t *sessionTable) end(s *session) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.drop(s)
	if s.sink == nil { // nothing takes another up
		t.ended.add(s.random)
	}
}

// expire forgets the sessions that nothing used for the time to live.
func (t *sessionTable) expire() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for e := t.all.Front(); e != nil && t.idle(e.Value.(*session)); e = t.all.Front() {
		t.drop(e.Value.(*session))
	}
}

func (t *sessionTable) idle(s *session) bool { return s.place.used.Before(t.now().Add(-t.ttl)) }

func (t *sessionTable) endAll() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, s := range t.byID {
		t.drop(s)
	}
}

// drop ends what a session does here and forgets it, if it is still there.
func (t *sessionTable) drop(s *session) {
	s.cancel()
	if t.byID[s.id] != s {
		return
	}
	delete(t.byID, s.id)
	t.all.Remove(s.place.inAll)
	own := t.owners[s.whose()]
	if own.Remove(s.place.inOwn); own.Len() == 0 {
		delete(t.owners, s.whose())
	}
}

func (s *session) whose() owner { return owner{s.tenantID, s.owner} }

// maxEnded is how many ended sessions are remembered. When more end, the first are
// forgotten, and who has the id of one can take it up again; see get.
const maxEnded = 4096

// endedSessions remembers sessions that their clients ended.
type endedSessions struct {
	known map[[16]byte]struct{}
	order [][16]byte // a ring, once it is full
	next  int
}

func (e *endedSessions) add(random [16]byte) {
	if e.has(random) {
		return
	}
	if e.known == nil {
		e.known = map[[16]byte]struct{}{}
	}
	if len(e.order) < maxEnded {
		e.order = append(e.order, random)
	} else {
		delete(e.known, e.order[e.next])
		e.order[e.next] = random
		e.next = (e.next + 1) % maxEnded
	}
	e.known[random] = struct{}{}
}

func (e *endedSessions) has(random [16]byte) bool {
	_, ok := e.known[random]
	return ok
}
