package mcp

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	mcpgo "github.com/mark3labs/mcp-go/mcp"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/mcp/rawjson"
)

// session is one legacy client's connection, as far as this process serves it. In
// streamable HTTP others may serve it beside or after: what initialize fixed goes
// with the id. The rest stays here: the log level, subscriptions, running
// requests, questions to the client, the stream, and what was listed.
type session struct {
	id        string
	random    [16]byte  // of the id
	issued    time.Time // at initialize
	takenUp   bool      // from its id: it began in another process, or was forgotten by this one
	name      string    // tells it from all others, also where it is taken up again; no secret
	tenantID  string
	owner     string    // the principal's id
	narrowing narrowing // fixed at initialize
	logLevel  atomic.Pointer[mcpgo.LoggingLevel]
	listed    prints // of the last lists
	subs      *subscriptions
	ending    sync.Once // the end of subs with the session is arranged

	// Of the HTTP+SSE transport: where all answers go; nil in streamable HTTP.
	sink sink
	work sync.WaitGroup // messages of it that are being answered
	busy int            // how many of them; mu guards it

	ctx    context.Context // ends with the session
	cancel context.CancelFunc

	inquiries inquiries // that its client has not answered yet

	mu      sync.Mutex
	client  string                        // name/version as it says
	can     abilities                     // that it declared at initialize
	running map[string]context.CancelFunc // by request id, as received
	stream  *stream                       // the open GET stream; nil = none

	place place // in the table of sessions, which guards it
}

func newSession(p keys.Principal, n narrowing, client string) *session {
	s := &session{name: newReference(), tenantID: p.TenantID(), owner: p.ID(), narrowing: n, client: client,
		subs: &subscriptions{}, running: map[string]context.CancelFunc{}}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	return s
}

// track makes a request of this session one that notifications/cancelled can
// end; done must be called. ok is false for an id that is running already: of
// two requests with one id, none could be canceled for sure. One that makes a
// task can't be ended so: its task would go on, and nobody know its id (2025-11-25,
// basic/utilities/cancellation).
func (s *session) track(ctx context.Context, r *request) (_ context.Context, done func(), ok bool) {
	id := string(r.msg.id)
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, running := s.running[id]; running {
		return nil, nil, false
	}
	ctx, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(s.ctx, cancel)
	s.running[id] = cancel
	if r.makesTask() {
		s.running[id] = func() {}
	}
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

// startTime is how soon after initialize a client opens its stream.
const startTime = 10 * time.Second

// listedElsewhere tells whether the client may have listed at another server what it
// has not listed here.
func (s *session) listedElsewhere(now time.Time) bool {
	return s.takenUp || now.Sub(s.issued) > startTime
}

// begin answers a message of the HTTP+SSE transport beside its POST; nothing
// begins in a session that has ended. ok is false while it answers as many as
// it may: their client need not wait for one before it sends the next, and may
// not even read.
func (s *session) begin(answer func()) (ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.busy >= maxParallel {
		return false
	}
	if s.ctx.Err() == nil {
		s.busy++
		s.work.Go(func() {
			defer func() {
				s.mu.Lock()
				s.busy--
				s.mu.Unlock()
			}()
			answer()
		})
	}
	return true
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

// declare notes what the client says at initialize that it can be asked for.
func (s *session) declare(hello *message) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.can = abilitiesOf(rawjson.Field(hello.params, "capabilities"))
}

func (s *session) abilities() abilities {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.can
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
