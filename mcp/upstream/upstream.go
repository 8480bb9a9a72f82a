package upstream

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/bailiwick-mcp/bailiwick/keys"
)

// Config of one upstream. Name, Transport and one of Command, URL and Handler are
// required.
type Config struct {
	Name      string // the instance's slug; every error names it
	Transport keys.Transport
	Command   string
	Args      []string
	Env       map[string]keys.Secret // added to the scrubbed environment of a child
	URL       string
	Headers   map[string]keys.Secret
	// Handler is an MCP server inside this process (streamable HTTP at /mcp, either
	// era), which is reached in memory and served by Run; of TransportEmbedded only.
	Handler http.Handler
	// AllowPrivate permits loopback, link-local and private addresses; it is
	// checked on every connection, after name resolution.
	AllowPrivate bool
	// ConnectTimeout is the time for connecting, the handshake and the list of
	// tools, each attempt; 0 = 30 s.
	ConnectTimeout time.Duration
	Version        string      // of this program, told to the upstream
	Log            *zap.Logger // nil = none

	// OnLists is called from Run with all lists, each time one was read; never
	// concurrently.
	OnLists func(Lists)
	// OnStatus is called from Run when the status changes; never concurrently.
	OnStatus func(Status)

	// Asks says that the clients behind this connection may be asked: it declares
	// sampling and elicitation to an upstream of the legacy era (questions.go), to
	// which Call.Ask answers. One of the modern era learns what each call's own
	// client can from Call.Capabilities.
	Asks bool
	// OnNotification gets, in their order and never concurrently, the notifications
	// that belong to no call and that this package does not act on itself:
	// resources/updated, elicitation/complete, tasks/status and whatever else. The
	// params are as received, without the modern era's subscription id. They are the
	// whole connection's: who may see one is for the caller to decide. It may block:
	// nothing is read less for it, but one that is 1,000 notifications or 4 MiB behind
	// loses the oldest. nil = none is wanted.
	OnNotification func(method string, params json.RawMessage)
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

// The errors of an Upstream's methods, besides the context's. All are wrapped with the name.
var (
	// ErrDown is an upstream that is not connected now, or that went away
	// during the call.
	ErrDown = errors.New("upstream is down")
	// ErrGarbage is an answer that is not what the protocol says.
	ErrGarbage = errors.New("upstream answered garbage")
	// ErrUnsupported is what this upstream does not offer (Subscribe, SetLogLevel).
	ErrUnsupported = errors.New("upstream does not offer this")
	// ErrNotUTF8 is an ErrGarbage whose text is not valid UTF-8.
	ErrNotUTF8 = errors.New("its text is not valid UTF-8")
	// ErrTooLarge is an ErrGarbage that was not read to its end.
	ErrTooLarge = fmt.Errorf("%w: a message larger than %d MiB", ErrGarbage, maxMessage>>20)
)

// Upstream is one supervised connection.
type Upstream struct {
	cfg    Config
	log    *zap.Logger
	redact *strings.Replacer
	remote *remote // of an HTTP, SSE or embedded upstream
	inside *embedded

	running atomic.Bool
	calls   calls
	wishes  wishes
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
	u := &Upstream{cfg: cfg, log: cfg.Log, renewed: make(chan struct{}), over: make(chan struct{}),
		wishes: wishes{wake: make(chan struct{}, 1)}, status: Status{State: StateConnecting}}
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
	case keys.TransportEmbedded:
		if u.inside, err = newEmbedded(&cfg); err == nil {
			cfg.URL = embeddedURL
			u.remote, err = newRemote(&cfg)
		}
		if err == nil {
			u.remote.transport.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) { return u.inside.dial(ctx) }
		}
	default:
		err = fmt.Errorf("transport %q is not known: use stdio, http or sse", cfg.Transport)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", cfg.Name, err)
	}
	return u, nil
}

// Call passes a request on. It never waits for a connection that is down; only a
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
