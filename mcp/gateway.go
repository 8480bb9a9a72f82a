package mcp

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/bailiwick-mcp/bailiwick/keys"
)

// Config of a Gateway. Service and Authenticate are required.
type Config struct {
	Service *keys.Service
	// Authenticate turns the credential of an HTTP request into its principal
	// and the token itself. Errors: keys.ErrUnauthenticated (no credential),
	// keys.ErrBadCredential, *keys.InvalidError (two different credentials),
	// keys.ErrUnavailable.
	Authenticate func(*http.Request) (keys.Principal, keys.Secret, error)

	// Only names the one key that is served, where it is one: just the instances
	// that it reaches are mounted, as it stands after each edit. nil = every
	// tenant's are.
	Only *keys.Principal

	// Embedded is the one server that is served, where this program has it inside;
	// nil = the instances of the store are, but for embedded ones.
	Embedded *Embedded

	Name           string   // of the server, told to clients; default "bailiwick"
	Version        string   // of this program, told to clients and upstreams
	PublicURL      string   // under which clients reach the server; "" = only by loopback names
	AllowedOrigins []string // of browsers, besides the public URL's own; "*" is not special

	MaxBody  int64         // bytes of one message; default 4 MiB
	ListWait time.Duration // how long a first list waits for instances never seen; default 10 s
	// SessionTTL is how long a legacy session is held that nothing uses; default 1 h.
	// One of streamable HTTP is taken up again when its client comes back, here or
	// at another server with the same root secret, until SessionLife after it began;
	// default 24 h. While a session is held, it may be older.
	SessionTTL, SessionLife time.Duration
	// QuestionLimit is how long an upstream's question waits for the answer of a
	// legacy client; default 10 min.
	QuestionLimit time.Duration

	// WriteLimit ends a connection whose client takes nothing off it for so long
	// while there is something to be written; default 10 s.
	WriteLimit time.Duration

	// AuditSkip is the share of passing calls with outcome ok, from 0 to 1, that is
	// not recorded but only counted (Stats.Unsampled); 0 = each is recorded. Denials,
	// calls that fail or ask first, and changes always are.
	AuditSkip float64

	Log *zap.Logger      // nil = none
	Now func() time.Time // default time.Now
}

const (
	defaultMaxBody    = 4 << 20
	defaultListWait   = 10 * time.Second
	defaultSessionTTL = time.Hour
	defaultLife       = 24 * time.Hour
	defaultWriteLimit = 10 * time.Second
	serverName        = "bailiwick"
)

// Gateway is the MCP server of all tenants. New makes it, Run mounts the
// upstreams and follows edits, Handler and ServeStdio serve clients.
type Gateway struct {
	cfg      Config
	svc      *keys.Service
	log      *zap.Logger
	front    *front
	sessions *sessionTable
	streams  *streamTable
	subs     *subscriptionTable
	calls    *callTable
	parked   *parkedTable
	states   *stateSealer
	mounts   *mountTable
	taskIDs  *taskIDs
	tasks    *taskTable
	elicited *elicitedTable
	builtins []builtin
	counters counters
	edits    atomic.Int64 // batches of edits seen by this process

	mu      sync.Mutex
	tenants map[string]*tenant
}

// New checks the config and starts nothing.
func New(cfg Config) (*Gateway, error) {
	switch {
	case cfg.Service == nil:
		return nil, errors.New("mcp: Config.Service is required")
	case cfg.Authenticate == nil:
		return nil, errors.New("mcp: Config.Authenticate is required")
	case cfg.Embedded != nil && (cfg.Embedded.Instance == "" || cfg.Embedded.Handler == nil):
		return nil, errors.New("mcp: Config.Embedded needs an Instance and a Handler")
	case !(cfg.AuditSkip >= 0 && cfg.AuditSkip <= 1): // not what says it the other way: NaN
		return nil, errors.New("mcp: Config.AuditSkip must be from 0 to 1")
	}
	cfg.Name = cmp.Or(cfg.Name, serverName)
	if cfg.MaxBody <= 0 {
		cfg.MaxBody = defaultMaxBody
	}
	if cfg.ListWait <= 0 {
		cfg.ListWait = defaultListWait
	}
	if cfg.SessionTTL <= 0 {
		cfg.SessionTTL = defaultSessionTTL
	}
	cfg.SessionLife = cmp.Or(max(cfg.SessionLife, 0), defaultLife)
	cfg.QuestionLimit = cmp.Or(max(cfg.QuestionLimit, 0), parkedTTL)
	if cfg.WriteLimit <= 0 {
		cfg.WriteLimit = defaultWriteLimit
	}
	if cfg.Log == nil {
		cfg.Log = zap.NewNop()
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	f, err := newFront(cfg.PublicURL, cfg.AllowedOrigins)
	if err != nil {
		return nil, err
	}
	g := &Gateway{cfg: cfg, svc: cfg.Service, log: cfg.Log, front: f, tenants: map[string]*tenant{}}
	g.sessions = newSessionTable(cfg.Service.MACKey("mcp session id"), cfg.SessionTTL, cfg.SessionLife, cfg.Now)
	g.streams = newStreamTable()
	g.subs = newSubscriptionTable()
	g.calls = newCallTable()
	g.parked = newParkedTable()
	if g.states, err = newStateSealer(cfg.Service.MACKey("mcp request state")); err != nil {
		return nil, err
	}
	g.mounts = newMountTable()
	g.taskIDs = newTaskIDs(cfg.Service)
	g.tasks, g.elicited = newTaskTable(), newElicitedTable()
	if cfg.Embedded == nil {
		g.builtins = g.builtinTools()
	}
	return g, nil
}

// Run reconciles the upstreams with the store, supervises them, and carries
// edits to open streams and running calls; it blocks until ctx ends and
// everything it started has stopped.
func (g *Gateway) Run(ctx context.Context) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	// Before the first reading of the store, so that no edit falls between.
	unwatch := g.svc.Watch(func(changes []keys.Change) { g.edited(ctx, changes) })
	defer unwatch()
	var wg sync.WaitGroup
	wg.Go(func() { g.follow(ctx) })
	wg.Go(func() { g.reconcileLoop(ctx) })
	<-ctx.Done()
	g.calls.cancelAll()
	g.parked.end()
	g.EndStreams()
	g.sessions.endAll()
	wg.Wait()
	return nil
}
