package mcp

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"hash"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	mcpgo "github.com/mark3labs/mcp-go/mcp"

	"github.com/bailiwick-mcp/bailiwick/keys"
)

// maxSessions is how many legacy sessions one principal may have open; the one that
// was unused longest gives way.
const maxSessions = 512

// session is one legacy client's connection. It lives in this process only: a
// client whose session is gone gets 404 and initializes again.
type session struct {
	id        string
	tenantID  string
	owner     string    // the principal's id
	narrowing narrowing // fixed at initialize
	logLevel  atomic.Pointer[mcpgo.LoggingLevel]
	used      atomic.Int64  // Unix nanoseconds
	listed    atomic.Uint64 // fingerprint of the last tools/list; 0 = none yet

	// Of the HTTP+SSE transport: where all answers go; nil in streamable HTTP.
	sink sink
	work sync.WaitGroup // messages of it that are being answered

	ctx    context.Context // ends with the session
	cancel context.CancelFunc

	mu      sync.Mutex
	client  string                        // name/version as it says
	running map[string]context.CancelFunc // by request id, as received
	stream  *stream                       // the open GET stream; nil = none
}

func newSession(p keys.Principal, n narrowing, client string) *session {
	s := &session{tenantID: p.TenantID(), owner: p.ID(), narrowing: n, client: client,
		running: map[string]context.CancelFunc{}}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	return s
}

// track makes a request of this session one that notifications/cancelled can
// end; done must be called. ok is false for an id that is running already: of
// two requests with one id, none could be canceled for sure.
func (s *session) track(ctx context.Context, id string) (_ context.Context, done func(), ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, running := s.running[id]; running {
		return nil, nil, false
	}
	ctx, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(s.ctx, cancel)
	s.running[id] = cancel
	return ctx, func() {
		stop()
		s.mu.Lock()
		delete(s.running, id)
		s.mu.Unlock()
		cancel()
	}, true
}

// idRunning refuses a request whose id track refused.
func idRunning(r *request) reply {
	return refusal(r.era, r.msg.id, mcpgo.INVALID_REQUEST, "a request with this id is still running in this session", nil)
}

// begin answers a message of the HTTP+SSE transport beside its POST; nothing
// begins in a session that has ended.
func (s *session) begin(answer func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ctx.Err() == nil {
		s.work.Go(answer)
	}
}

// finish ends the session's own context and waits for what it began.
func (s *session) finish() {
	s.mu.Lock()
	s.cancel()
	s.mu.Unlock()
	s.work.Wait()
}

func (s *session) setClient(client string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.client = client
}

func (s *session) clientName() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.client
}

// cancelRequest ends a request of this session; of no other.
func (s *session) cancelRequest(id string) {
	s.mu.Lock()
	cancel := s.running[id]
	s.mu.Unlock()
	if cancel != nil {
		cancel()
	}
}

// attach makes st the session's one stream; an older one ends.
func (s *session) attach(st *stream) {
	s.mu.Lock()
	old := s.stream
	s.stream = st
	s.mu.Unlock()
	if old != nil {
		old.cut()
	}
}

// sessionTable holds the legacy sessions. An id is a random part and a MAC
// over it and the principal's id, so that it is worth nothing to any other one.
type sessionTable struct {
	macs sync.Pool // of hash.Hash under the key: making one costs more than using it
	ttl  time.Duration
	now  func() time.Time

	mu   sync.Mutex
	byID map[string]*session
}

func newSessionTable(mac []byte, ttl time.Duration, now func() time.Time) *sessionTable {
	return &sessionTable{macs: sync.Pool{New: func() any { return hmac.New(sha256.New, mac) }},
		ttl: ttl, now: now, byID: map[string]*session{}}
}

func (t *sessionTable) sign(random, owner string) string {
	h := t.macs.Get().(hash.Hash)
	defer t.macs.Put(h)
	h.Reset()
	_, _ = h.Write([]byte(random + "\x00" + owner))
	return base64.RawURLEncoding.EncodeToString(h.Sum(nil)[:24])
}

// add gives the session its id and keeps it.
func (t *sessionTable) add(s *session) {
	random := uuid.NewString()
	s.id = random + "." + t.sign(random, s.owner)
	s.used.Store(t.now().UnixNano())
	t.mu.Lock()
	defer t.mu.Unlock()
	t.makeRoom(s.owner)
	t.byID[s.id] = s
}

func (t *sessionTable) makeRoom(owner string) {
	var oldest *session
	count := 0
	for _, s := range t.byID {
		if s.owner != owner {
			continue
		}
		count++
		if oldest == nil || s.used.Load() < oldest.used.Load() {
			oldest = s
		}
	}
	if count >= maxSessions {
		delete(t.byID, oldest.id)
		oldest.cancel()
	}
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
	s.used.Store(t.now().UnixNano())
	return s
}

// end ends a session: its requests and its stream.
func (t *sessionTable) end(s *session) {
	t.mu.Lock()
	delete(t.byID, s.id)
	t.mu.Unlock()
	s.cancel()
}

// expire ends the sessions that nothing used for the time to live.
func (t *sessionTable) expire() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for id, s := range t.byID {
		if t.idle(s) {
			delete(t.byID, id)
			s.cancel()
		}
	}
}

func (t *sessionTable) idle(s *session) bool {
	return s.used.Load() < t.now().Add(-t.ttl).UnixNano()
}

func (t *sessionTable) endAll() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for id, s := range t.byID {
		delete(t.byID, id)
		s.cancel()
	}
}
