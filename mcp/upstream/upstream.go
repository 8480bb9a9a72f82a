package upstream

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

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
	Version      string      // of this program, told to the upstream
	Log          *zap.Logger // nil = none

	// OnTools is called from Run with the whole list, each time it was read;
	// never concurrently.
	OnTools func([]Tool)
	// OnStatus is called from Run when the status changes; never concurrently.
	OnStatus func(Status)
}

// Tool is a tool as announced: its name and its whole definition as received.
type Tool struct {
	Name string
	Raw  json.RawMessage
}

// State of a connection.
type State string

// The states.
const (
	StateConnecting State = "connecting" // also between attempts
	StateReady      State = "ready"
	StateDown       State = "down" // the last attempt failed; another follows
)

// Status of a connection, for people.
type Status struct {
	State    State
	Problem  string   // why it is down, in one line, without secrets
	Skipped  []string // tools left out of the list and why: "name: reason"
	Protocol string   // negotiated protocol version
	Server   string   // name/version as the server says
}

// Call is one tools/call.
type Call struct {
	Tool      string          // upstream name
	Arguments json.RawMessage // as received; nil = absent
	Meta      json.RawMessage // the client's params._meta, without the protocol's own keys and the progress token; nil = absent
	// Progress, when not nil, asks the upstream for progress; each notification's
	// params come without progressToken. Called in order, never after Call returned.
	Progress func(params json.RawMessage)
	// Log, when not nil, gets the params of notifications/message that arrive
	// on this call's own stream.
	Log func(params json.RawMessage)
}

// Reply is what the upstream answered: a result as received (without the
// modern era's resultType and serverInfo), or its JSON-RPC error.
type Reply struct {
	Result json.RawMessage
	Error  *Error
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
	cfg Config
}

// New checks the config and starts nothing.
func New(cfg Config) (*Upstream, error) { return &Upstream{cfg: cfg}, nil }

// Run connects, lists the tools, follows list_changed, and connects again with
// back-off (100 ms to 30 s, with jitter) until ctx ends. It waits for its child
// process to be gone.
func (u *Upstream) Run(ctx context.Context) error { <-ctx.Done(); return nil }

// Call calls a tool. It never waits for a connection that is down. When ctx
// ends, the upstream is told (notifications/cancelled, or the closed request).
func (u *Upstream) Call(ctx context.Context, c Call) (Reply, error) {
	return Reply{}, fmt.Errorf("%s: %w", u.cfg.Name, ErrDown)
}

// Status is the connection's state now.
func (u *Upstream) Status() Status { return Status{State: StateConnecting} }
