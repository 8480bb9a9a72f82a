package upstream

import (
	"context"
	"errors"
	"net"
	"net/http"
	"sync"
	"time"

	"go.uber.org/zap"
)

// embeddedURL is where a server inside this process is; its name is looked up nowhere.
const embeddedURL = "http://embedded/mcp"

// HeaderPrincipal tells an embedded server on whose behalf a call is
// (Call.Principal). No other upstream gets it, and no client can write it.
const HeaderPrincipal = "Bailiwick-Principal"

// embedded serves an http.Handler of this process over pipes in memory: the
// protocol is the one of any other upstream over streamable HTTP, and nobody
// outside of the process can connect. Pipes keep what HTTP says about a request
// that is given up: its context ends.
type embedded struct {
	server *http.Server
	conns  chan net.Conn
	over   chan struct{}
	end    sync.Once
	open   calls // requests that the handler has
}

func newEmbedded(cfg *Config) (*embedded, error) {
	if cfg.Handler == nil {
		return nil, errors.New("handler is missing")
	}
	e := &embedded{conns: make(chan net.Conn), over: make(chan struct{})}
	e.server = &http.Server{
		ReadHeaderTimeout: time.Minute,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if !e.open.begin() {
				return // it came with the end, and so did its connection's
			}
			defer e.open.end()
			cfg.Handler.ServeHTTP(w, r)
		}),
	}
	if cfg.Log != nil {
		e.server.ErrorLog = zap.NewStdLog(cfg.Log.With(zap.String("upstream", cfg.Name)))
	}
	return e, nil
}

// dial makes one connection.
func (e *embedded) dial(ctx context.Context) (net.Conn, error) {
	ours, theirs := net.Pipe()
	select {
	case e.conns <- theirs:
		return ours, nil
	case <-e.over:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Accept, Close and Addr make it a net.Listener.
func (e *embedded) Accept() (net.Conn, error) {
	select {
	case c := <-e.conns:
		return c, nil
	case <-e.over:
		return nil, net.ErrClosed
	}
}

// Close is called by the server's own Close as well.
func (e *embedded) Close() error {
	e.end.Do(func() { close(e.over) })
	return nil
}

// Addr is not an address of any network.
func (e *embedded) Addr() net.Addr { return embeddedAddr{} }

type embeddedAddr struct{}

func (embeddedAddr) Network() string { return "embedded" }
func (embeddedAddr) String() string  { return "embedded" }

// run serves until stop is called, which ends what the handler still does, as far
// as it heeds its contexts: one that does not is waited for no longer than a child
// process is.
func (e *embedded) run() (stop func()) {
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = e.server.Serve(e) // http.ErrServerClosed: e never fails before
	}()
	return func() {
		_ = e.server.Close()
		<-served
		idle := make(chan struct{})
		go func() { e.open.close(); close(idle) }()
		select {
		case <-idle:
		case <-time.After(closeGrace + termGrace):
		}
	}
}
