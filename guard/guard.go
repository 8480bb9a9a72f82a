package guard

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync/atomic"

	mcpserver "github.com/mark3labs/mcp-go/server"
	"go.uber.org/zap"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/keys/bearer"
	"github.com/bailiwick-mcp/bailiwick/mcp"
	"github.com/bailiwick-mcp/bailiwick/mcp/upstream"
	"github.com/bailiwick-mcp/bailiwick/store"
)

// Guard is a server behind keys. Open makes it; exactly one of Serve, Run and
// ServeStdio is to be called, once, and Close after it has returned.
type Guard struct {
	store   *store.Store
	gateway *mcp.Gateway
	first   keys.Secret
	ran     atomic.Bool
}

// Open opens the store, makes what is missing of it (tables, root secret, the tenant
// "default" and the first key), brings the server's instance up to date in it, and
// puts the server behind the gate. It serves nothing yet. Tools may be added to the
// server and taken from it at any time; it must be served in no other way.
//
// Errors name what is wrong: with the Config, the store (see store.Open; a tenant
// that is not there: keys.ErrNotFound), or the slug, which must not be that of
// another kind of instance (*keys.ConflictError).
func Open(ctx context.Context, server *mcpserver.MCPServer, cfg Config) (_ *Guard, err error) {
	cfg = cfg.withDefaults()
	if err := cfg.check(server); err != nil {
		return nil, err
	}
	where := cfg.store()
	if err := where.MakeFolder(); err != nil {
		return nil, err
	}
	g := &Guard{}
	g.store, err = store.Open(ctx, where, keys.Config{
		Decides: true, MaxStaleness: cfg.MaxStaleness, ReplicaName: fmt.Sprintf("%s/%d", cfg.Slug, os.Getpid()),
		Complain: func(err error) { cfg.Log.Warn("beside the requests", zap.Error(err)) },
	})
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, g.Close())
		}
	}()
	svc := g.store.Service
	if g.first, err = svc.Bootstrap(ctx); err != nil {
		return nil, fmt.Errorf("preparing the store: %w", err)
	}
	operator, err := svc.Operator(ctx, cfg.Tenant)
	if err != nil {
		return nil, fmt.Errorf("tenant %q: %w", cfg.Tenant, err)
	}
	instance, err := svc.Embed(ctx, operator, cfg.spec())
	if err != nil {
		return nil, fmt.Errorf("instance %q: %w", cfg.Slug, err)
	}
	g.gateway, err = mcp.New(mcp.Config{
		Service: svc, Authenticate: bearer.Authenticator{APIKeys: svc}.Authenticate,
		Embedded: &mcp.Embedded{Instance: instance.ID, Handler: handlerOf(server, cfg.HTTP)},
		Name:     cfg.Name, Version: cfg.Version, PublicURL: cfg.PublicURL, AllowedOrigins: cfg.AllowedOrigins, Log: cfg.Log,
	})
	return g, err
}

// handlerOf is what the gateway talks to. The name by which it does is no concern of
// the protection against DNS rebinding, which the gateway has of its own.
func handlerOf(server *mcpserver.MCPServer, options []mcpserver.StreamableHTTPOption) http.Handler {
	options = append([]mcpserver.StreamableHTTPOption{mcpserver.WithDisableLocalhostProtection(true)}, options...)
	return mcpserver.NewStreamableHTTPServer(server, options...)
}

// FirstKey is the plaintext of the key that Open made with a new store; else "". It
// may do everything in its tenant, and is shown nowhere else, ever: a program prints
// it (Reveal). Others are made by bailiwick keys create.
func (g *Guard) FirstKey() keys.Secret { return g.first }

// Handler serves clients at /mcp, /mcp/{slug}, /sse and /message, where a program
// has an HTTP server of its own. But while Run runs, it lists and calls nothing.
func (g *Guard) Handler() http.Handler { return g.gateway.Handler() }

// KeyID tells a tool, prompt or resource of the server, by its request's Header, the
// id of the key that calls it; "" where the gate did not call it.
func KeyID(header http.Header) string {
	_, id, _ := strings.Cut(header.Get(upstream.HeaderPrincipal), "/")
	return id
}

// Close closes the store. A guard that served nothing takes its leave first, for
// edits by others would wait for it until its lease lapses.
func (g *Guard) Close() error {
	var err error
	if g.ran.CompareAndSwap(false, true) {
		ended, cancel := context.WithCancel(context.Background())
		cancel()
		err = g.store.Service.Run(ended)
	}
	return errors.Join(err, g.store.Close())
}
