package mcp

import (
	"container/list"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"hash"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/bailiwick-mcp/bailiwick/keys"
)

// maxSessions is how many legacy sessions one principal may have open; the one that
// was unused longest gives way.
const maxSessions = 512

// sessionTable holds the legacy sessions. An id is a random part and a MAC
// over it and the principal's id, so that it is worth nothing to any other one.
//
// It is asked on every request of every tenant, so nothing in it takes longer
// the more sessions there are: they stand in the order of their last use, all
// together and each owner's by themselves.
type sessionTable struct {
	macs sync.Pool // of hash.Hash under the key: making one costs more than using it
	ttl  time.Duration
	now  func() time.Time

	mu     sync.Mutex
	byID   map[string]*session
	all    *list.List           // of *session, the longest unused first
	owners map[owner]*list.List // the same, by owner
}

// owner is a principal among those of all tenants.
type owner struct{ tenantID, id string }

// place is where a session stands.
type place struct {
	used         time.Time
	inAll, inOwn *list.Element
}

func newSessionTable(mac []byte, ttl time.Duration, now func() time.Time) *sessionTable {
	return &sessionTable{macs: sync.Pool{New: func() any { return hmac.New(sha256.New, mac) }}, ttl: ttl, now: now,
		byID: map[string]*session{}, all: list.New(), owners: map[owner]*list.List{}}
}

func (t *sessionTable) sign(random, id string) string {
	h := t.macs.Get().(hash.Hash)
	defer t.macs.Put(h)
	h.Reset()
	_, _ = h.Write([]byte(random + "\x00" + id))
	return base64.RawURLEncoding.EncodeToString(h.Sum(nil)[:24])
}

// add gives the session its id and keeps it.
func (t *sessionTable) add(s *session) {
	random := uuid.NewString()
	s.id = random + "." + t.sign(random, s.owner)
	t.mu.Lock()
	defer t.mu.Unlock()
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

// get finds the principal's own session; nil for an unknown one, an ended one
// and a foreign one, which look alike.
func (t *sessionTable) get(id string, p keys.Principal) *session {
	random, mac, ok := strings.Cut(id, ".")
	if !ok || !hmac.Equal([]byte(mac), []byte(t.sign(random, p.ID()))) {
		return nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.byID[id]
	if s == nil || s.owner != p.ID() || s.tenantID != p.TenantID() || t.idle(s) {
		return nil // an idle one is swept soon
	}
	t.use(s)
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

// end ends a session: its requests and its stream.
func (t *sessionTable) end(s *session) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.drop(s)
}

// expire ends the sessions that nothing used for the time to live.
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

// drop ends a session and forgets it, if it is still there.
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
