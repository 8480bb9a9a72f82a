package upstream

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/bailiwick-mcp/bailiwick/keys"
)

// Config of one upstream. Name, Transport and either Command or URL are required.
type Config struct {
	Name      string // the instance's slug; every error names it
	Transport keys.Transport
	Command   string
	Args      []string
	Env       map[string]keys.Secret // added to the scrubbed environment of a child
	URL       string
	Headers   map[string]keys.Secret
	// AllowPrivate permits loopback, link-local and private addresses; it is
	// checked on every connection, after name resolution.
	AllowPrivate bool
	// ConnectTimeout is the time for connecting, the handshake and the list of
	// tools, each attempt; 0 = 30 s.
	ConnectTimeout time.Duration
	Version        string      // of this program, told to the upstream
	Log            *zap.Logger // nil = none

	// OnTools is called from Run with the whole list, each time it was read;
	// never concurrently.
	OnTools func([]Tool)
	// OnStatus is called from Run when the status changes; never concurrently.
	OnStatus func(Status)
}

// Tool is a tool as announced: its name and its whole definition as received,
// except that line breaks between its tokens became spaces.
type Tool struct {
	Name string
	Raw  json.RawMessage
}

// State of a connection.
type State string

// The states.
const (
	StateConnecting State = "connecting" // the first attempt, or a session being renewed
	StateReady      State = "ready"
	StateDown       State = "down" // the last attempt failed; another follows
)

// Status of a connection, for people.
type Status struct {
	State    State
	Problem  string   // why it is down, in one line, without secrets; when ready: why the list is old
	Skipped  []string // tools left out of the list and why: "name: reason"
	Protocol string   // negotiated protocol version
	Server   string   // name/version as the server says
}

// Call is one tools/call.
type Call struct {
	Tool      string          // upstream name
	Arguments json.RawMessage // an object, as received; nil = absent
	Meta      json.RawMessage // the client's params._meta, without the protocol's own keys and the progress token; nil = absent
	// Progress, when not nil, asks the upstream for progress; each notification's
	// params come without progressToken. Called in order, from the goroutine of
	// Call, never after Call returned. A caller that is 1,000 notifications or
	// 4 MiB behind loses the oldest.
	Progress func(params json.RawMessage)
	// Log, when not nil, gets the params of notifications/message that arrive
	// on this call's own stream, in the same way.
	Log func(params json.RawMessage)
	// LogLevel is the level asked of a modern upstream when Log is not nil;
	// empty = info.
	LogLevel string
}

// Reply is what the upstream answered: a result as received (without what the
// modern era's resultType and serverInfo say, in either era), or its JSON-RPC error. There are no
// line breaks in its JSON: those between tokens became spaces.
type Reply struct {
	Result  json.RawMessage
	Error   *Error
	IsError bool // Result says isError: true
	Meta    bool // Result has a _meta
}

// Error is an upstream's own JSON-RPC error.
type Error struct {
	Code    int
	Message string
	Data    json.RawMessage
}

func (e *Error) Error() string { return fmt.Sprintf("upstream error %d: %s", e.Code, e.Message) }

// The errors of Call, besides the context's. All are wrapped with the name.
var (
	// ErrDown is an upstream that is not connected now, or that went away
	// during the call.
	ErrDown = errors.New("upstream is down")
	// ErrGarbage is an answer that is not what the protocol says.
	ErrGarbage = errors.New("upstream answered garbage")
)

// Upstream is one supervised connection.
type Upstream struct {
	cfg    Config
	log    *zap.Logger
	redact *strings.Replacer
	remote *remote // of an HTTP or SSE upstream

	running atomic.Bool
	calls   calls
	live    atomic.Pointer[session]
	era     era // only Run uses it

	mu      sync.Mutex
	status  Status
	renewed chan struct{} // closed and replaced when the status changes
	over    chan struct{} // closed when Run ends
}

// New checks the config and starts nothing.
func New(cfg Config) (*Upstream, error) {
	if cfg.Name == "" {
		return nil, errors.New("upstream: name is missing")
	}
	if cfg.ConnectTimeout <= 0 {
		cfg.ConnectTimeout = 30 * time.Second
	}
	u := &Upstream{cfg: cfg, log: cfg.Log, renewed: make(chan struct{}), over: make(chan struct{}), status: Status{State: StateConnecting}}
	if u.log == nil {
		u.log = zap.NewNop()
	}
	u.log = u.log.With(zap.String("upstream", cfg.Name))
	u.redact = redactor(&cfg)
	var err error
	switch cfg.Transport {
	case keys.TransportStdio:
		err = checkCommand(&cfg)
	case keys.TransportHTTP, keys.TransportSSE:
		u.remote, err = newRemote(&cfg)
	default:
		err = fmt.Errorf("transport %q is not known: use stdio, http or sse", cfg.Transport)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", cfg.Name, err)
	}
	return u, nil
}

// Call calls a tool. It never waits for a connection that is down; only a
// session that the upstream forgot is renewed first. When ctx ends, the
// upstream is told (notifications/cancelled, or the closed request).
func (u *Upstream) Call(ctx context.Context, c Call) (Reply, error) {
	if ctx.Err() != nil {
		return Reply{}, fmt.Errorf("%s: %w", u.cfg.Name, context.Cause(ctx))
	}
	if !u.calls.begin() {
		return Reply{}, u.down()
	}
	defer u.calls.end()
	s := u.live.Load()
	if s == nil {
		return Reply{}, u.down()
	}
	reply, err := s.call(ctx, &c)
	if errors.Is(err, errSessionEnded) {
		// The upstream did not take the call, so it is safe to repeat it, once.
		if s, err = u.successor(ctx, s); err == nil {
			reply, err = s.call(ctx, &c)
		}
	}
	if err != nil {
		return Reply{}, fmt.Errorf("%s: %w", u.cfg.Name, err)
	}
	return reply, nil
}

// down is the error of a call without a connection.
func (u *Upstream) down() error {
	if p := u.Status().Problem; p != "" {
		return fmt.Errorf("%s: %w: %s", u.cfg.Name, ErrDown, p)
	}
	return fmt.Errorf("%s: %w", u.cfg.Name, ErrDown)
}

// successor waits until Run has replaced the session old, or failed to.
func (u *Upstream) successor(ctx context.Context, old *session) (*session, error) {
	for {
		u.mu.Lock()
		state, renewed := u.status.State, u.renewed
		u.mu.Unlock()
		if s := u.live.Load(); s != nil && s != old {
			return s, nil
		}
		if state == StateDown {
			return nil, ErrDown
		}
		select {
		case <-renewed:
		case <-u.over:
			return nil, ErrDown
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// Status is the connection's state now.
func (u *Upstream) Status() Status {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.status
}

// calls counts the calls that run, so that Run can wait for them.
type calls struct {
	mu     sync.Mutex
	closed bool
	wg     sync.WaitGroup
}

func (c *calls) begin() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.closed {
		c.wg.Add(1)
	}
	return !c.closed
}

func (c *calls) end() { c.wg.Done() }

// close refuses new calls and waits for the others.
func (c *calls) close() {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	c.wg.Wait()
}

var errSessionEnded = fmt.Errorf("%w: it ended the session (HTTP %d)", ErrDown, http.StatusNotFound)
