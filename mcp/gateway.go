package mcp

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"time"

	"go.uber.org/zap"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/policy"
)

// Config of a Gateway. Service and Authenticate are required.
type Config struct {
	Service *keys.Service
	// Authenticate turns the credential of an HTTP request into its principal
	// and the token itself. Errors: keys.ErrUnauthenticated (no credential),
	// keys.ErrBadCredential, *keys.InvalidError (two different credentials),
	// keys.ErrUnavailable.
	Authenticate func(*http.Request) (keys.Principal, keys.Secret, error)

	Version        string   // of this program, told to clients and upstreams
	PublicURL      string   // under which clients reach the server; "" = only by loopback names
	AllowedOrigins []string // of browsers, besides the public URL's own; "*" is not special

	MaxBody  int64         // bytes of one message; default 4 MiB
	ListWait time.Duration // how long a first list waits for instances never seen; default 10 s
	// SessionTTL ends a legacy session that nothing used for so long; default 1 h.
	SessionTTL time.Duration

	Log *zap.Logger      // nil = none
	Now func() time.Time // default time.Now
}

const (
	defaultMaxBody    = 4 << 20
	defaultListWait   = 10 * time.Second
	defaultSessionTTL = time.Hour
	serverName        = "bailiwick"
)

// Gateway is the MCP server of all tenants. New makes it, Run mounts the
// upstreams and follows edits, Handler and ServeStdio serve clients.
type Gateway struct{ cfg Config }

// New checks the config and starts nothing.
func New(cfg Config) (*Gateway, error) { return &Gateway{cfg: cfg}, nil }

// Run reconciles the upstreams with the store, supervises them, and carries
// edits to open streams and running calls; it blocks until ctx ends and
// everything it started has stopped.
func (g *Gateway) Run(ctx context.Context) error { <-ctx.Done(); return nil }

// Handler serves /mcp, /mcp/{instance}, /sse and /message.
func (g *Gateway) Handler() http.Handler { return http.NotFoundHandler() }

// ServeStdio serves one key over lines of JSON, each message decided against
// the Service. It ends when in does, after finishing the running calls, or
// when ctx ends. A token that does not count is keys.ErrBadCredential at once.
func (g *Gateway) ServeStdio(ctx context.Context, token keys.Secret, in io.Reader, out io.Writer) error {
	return errors.New("not built yet")
}

// InstanceStatus is the state of an instance's connection (disabled,
// connecting, ready, down) and, in words, what is wrong with it.
func (g *Gateway) InstanceStatus(id string) (state, problem string) { return "disabled", "" }

// InstanceTools are the tools of an instance as stored or announced, with
// their classes, by upstream name; those that are left out say why.
func (g *Gateway) InstanceTools(ctx context.Context, i keys.Instance) ([]ToolInfo, error) {
	return nil, errors.New("not built yet")
}

// WaitReady waits until every mount was tried once, or ctx ends.
func (g *Gateway) WaitReady(ctx context.Context) {}

// ToolInfo is one tool of an instance, for people.
type ToolInfo struct {
	Name        string          `json:"name"`        // upstream name
	ExposedName string          `json:"exposedName"` // as clients see it
	Category    string          `json:"category"`
	Effect      policy.Effect   `json:"effect"`
	Digest      string          `json:"digest"`
	Quarantined bool            `json:"quarantined"`
	Problem     string          `json:"problem,omitempty"` // why it is not offered
	Definition  json.RawMessage `json:"definition"`
}

// RelayConfig of RelayStdio. URL, In and Out are required.
type RelayConfig struct {
	URL        string // of the remote server's /mcp
	Token      keys.Secret
	In         io.Reader
	Out        io.Writer
	HTTPClient *http.Client // default http.DefaultClient's transport, without a timeout
}

// RelayStdio relays lines of JSON to a remote server over streamable HTTP and
// its answers back, for clients of either protocol era.
func RelayStdio(ctx context.Context, cfg RelayConfig) error { return errors.New("not built yet") }
