package main

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/keys/rest"
	"github.com/bailiwick-mcp/bailiwick/keys/wire"
	"github.com/bailiwick-mcp/bailiwick/mcp"
)

// server is everything between the listener and the store.
type server struct {
	flags    serveFlags
	svc      *keys.Service
	gateway  *mcp.Gateway
	metrics  *metricSet
	http     *http.Server
	log      *zap.Logger
	draining atomic.Bool

	metricsListener net.Listener // nil = metrics are on the main one, or nowhere
	metricsHTTP     *http.Server
}

const (
	finishLimit = 10 * time.Second // for what runs at the end
	headLimit   = 10 * time.Second
	idleLimit   = 2 * time.Minute
	headerBytes = 64 << 10
)

// newServer wires the edges to the Service. It starts nothing.
func newServer(f serveFlags, svc *keys.Service, pools func() (write, read sql.DBStats), log *zap.Logger) (_ *server, err error) {
	s := &server{flags: f, svc: svc, log: log}
	credentials, err := f.oidc.authenticator(svc, log.Named("oidc"))
	if err != nil {
		return nil, err
	}
	authenticate := recorded(func(err error) { s.metrics.authenticated(err) }, credentials.Authenticate)
	s.gateway, err = mcp.New(mcp.Config{
		Service: svc, Authenticate: authenticate, Version: version,
		PublicURL: f.publicURL, AllowedOrigins: f.allowedOrigins, AuditSkip: f.auditSample.skip, Log: log.Named("mcp"),
	})
	if err != nil {
		return nil, err
	}
	s.metrics = newMetrics(sources{svc, s.gateway, pools})
	s.metricsHTTP = metricsServer(s.metrics)
	api := rest.New(rest.Config{
		Service: svc, Authenticate: authenticate, Ready: s.ready, Log: log.Named("rest"),
		InstanceStatus: s.gateway.InstanceStatus, InstanceTools: toolsOf(s.gateway),
		Offer: s.gateway.Offer,
	})
	s.http = &http.Server{
		Handler: closeWhileDraining(&s.draining, logRequests(log.Named("http"), s.metrics.requests, f.routes(s.gateway, api, s.metrics))), ErrorLog: zap.NewStdLog(log.Named("http")),
		ReadHeaderTimeout: cmp.Or(f.headLimit, headLimit), IdleTimeout: cmp.Or(f.idleLimit, idleLimit), MaxHeaderBytes: headerBytes,
	}
	return s, nil
}

// run serves until ctx ends, then drains: not ready, the drain delay, no new
// connections, what runs is finished, everything is flushed.
func (s *server) run(ctx context.Context, l net.Listener, accepting func() error) error {
	failed := make(chan error, 4)
	var group sync.WaitGroup
	start := func(name string, fn func(context.Context) error) (stop func()) {
		inner, cancel := context.WithCancel(context.WithoutCancel(ctx))
		done := make(chan struct{})
		group.Go(func() {
			defer close(done)
			if err := fn(inner); err != nil && inner.Err() == nil {
				failed <- fmt.Errorf("%s: %w", name, err)
			} else if err != nil && !errors.Is(err, context.Canceled) {
				s.log.Error("could not be ended cleanly", zap.String("part", name), zap.Error(err))
			}
		})
		return func() { cancel(); <-done }
	}
	stopService := start("service", s.svc.Run)
	stopWatching := start("audit", s.watchAudit)
	stopState := start("state", s.watchState)
	stopGateway := start("gateway", s.gateway.Run)
	group.Go(func() {
		if err := s.listen(l); !errors.Is(err, http.ErrServerClosed) {
			failed <- fmt.Errorf("serving: %w", err)
		}
	})
	if s.metricsListener != nil {
		group.Go(func() {
			if err := serveMetrics(s.metricsHTTP, s.metricsListener); err != nil {
				failed <- fmt.Errorf("serving metrics: %w", err)
			}
		})
	}
	var err error
	if err = accepting(); err == nil {
		select {
		case <-ctx.Done():
			s.drain()
		case err = <-failed:
		}
	}
	s.shutdown()
	stopGateway()
	stopState() // before the service, at whose end the state ages
	stopService()
	stopWatching()
	_ = s.metricsHTTP.Close() // last of all: what is said of the end can be read to the end
	group.Wait()
	return err
}

func (s *server) listen(l net.Listener) error {
	if s.flags.tlsCert != "" {
		return s.http.ServeTLS(l, s.flags.tlsCert, s.flags.tlsKey)
	}
	return s.http.Serve(l)
}

func (s *server) drain() {
	s.draining.Store(true)
	s.log.Info("draining", zap.Stringer("delay", s.flags.drainDelay))
	time.Sleep(s.flags.drainDelay)
}

// shutdown ends what would never end by itself, and waits for the rest. Streams end
// here and not when the drain begins: their clients come again at once, and until
// the balancer has seen that the server is not ready, they would come back here.
func (s *server) shutdown() {
	s.draining.Store(true)
	s.gateway.EndStreams()
	ctx, cancel := context.WithTimeout(context.Background(), finishLimit)
	defer cancel()
	if err := s.http.Shutdown(ctx); err != nil {
		s.log.Warn("requests were cut off", zap.Error(err))
		_ = s.http.Close()
	}
}

// notReady is why the server should get no requests, as anyone may know it.
type notReady struct {
	why   string
	cause error // nil = why says it all
}

func (e *notReady) Error() string    { return e.why }
func (e *notReady) Unwrap() error    { return e.cause }
func (e *notReady) NotReady() string { return e.why }

var errDraining error = &notReady{why: "it is shutting down"}

// ready tells whether the server should get requests.
func (s *server) ready(context.Context) error {
	if s.draining.Load() {
		return errDraining
	}
	err := s.svc.Fresh()
	if err == nil {
		return nil
	}
	return &notReady{tooOld(s.svc.Stats().State), err}
}

// tooOld says why a server decides no more. Its lease runs from before its last
// beat, and so may end a little before the state is as old.
func tooOld(state keys.StateStats) string {
	if state.Age <= state.MaxStaleness {
		return fmt.Sprintf("it has not renewed its lease with the store for %s", state.MaxStaleness)
	}
	return fmt.Sprintf("its state was last confirmed with the store %s ago, and may be at most %s old",
		state.Age.Round(time.Second/10), state.MaxStaleness)
}

// toolsOf gives the REST API the gateway's view of an instance.
func toolsOf(g *mcp.Gateway) func(context.Context, keys.Instance) ([]wire.Tool, error) {
	return func(ctx context.Context, i keys.Instance) ([]wire.Tool, error) {
		infos, err := g.InstanceTools(ctx, i)
		if err != nil {
			return nil, err
		}
		tools := make([]wire.Tool, len(infos))
		for n, t := range infos {
			tools[n] = t.Wire()
		}
		return tools, nil
	}
}
