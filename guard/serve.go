package guard

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/bailiwick-mcp/bailiwick/keys"
)

const (
	finishLimit = 10 * time.Second // for what runs at the end
	headLimit   = 10 * time.Second // for a request's head to arrive
	idleLimit   = 2 * time.Minute  // between two requests of a connection
	headerBytes = 64 << 10
)

// Serve serves clients over HTTP on the listener, until ctx ends and what runs then
// is finished (10 s at most). It does the work of Run, too.
func (g *Guard) Serve(ctx context.Context, l net.Listener) error {
	return g.run(ctx, func(ctx context.Context) error {
		server := &http.Server{Handler: g.Handler(), ReadHeaderTimeout: headLimit, IdleTimeout: idleLimit, MaxHeaderBytes: headerBytes}
		failed := make(chan error, 1)
		go func() { failed <- server.Serve(l) }()
		select {
		case err := <-failed:
			return err
		case <-ctx.Done():
		}
		g.gateway.EndStreams() // which would never end by themselves
		last, cancel := context.WithTimeout(context.WithoutCancel(ctx), finishLimit)
		defer cancel()
		err := server.Shutdown(last)
		if err != nil {
			err = errors.Join(err, server.Close())
		}
		<-failed
		return err
	})
}

// ServeStdio serves the one key over lines of JSON, for a client that starts the
// program itself, until the input ends or ctx does. A key that does not count is an
// error at once. It does the work of Run, too.
func (g *Guard) ServeStdio(ctx context.Context, key keys.Secret, in io.Reader, out io.Writer) error {
	return g.run(ctx, func(ctx context.Context) error { return g.gateway.ServeStdio(ctx, key, in, out) })
}

// Run is what a program calls that has Handler served by an HTTP server of its own:
// it follows the edits of keys, runs the server behind the gate, and writes the audit
// trail, until ctx ends and the rest is written. It is to end after the HTTP server.
func (g *Guard) Run(ctx context.Context) error {
	return g.run(ctx, func(ctx context.Context) error {
		<-ctx.Done()
		return nil
	})
}

// run serves while what the clients need runs, which ends in the order that lets
// each part record what the one before it still did.
func (g *Guard) run(ctx context.Context, serve func(context.Context) error) error {
	if !g.ran.CompareAndSwap(false, true) {
		return errors.New("guard: exactly one of Serve, Run and ServeStdio is to be called, and once")
	}
	var faults []error
	start := func(run func(context.Context) error) (stop func()) {
		inner, cancel := context.WithCancel(context.WithoutCancel(ctx))
		var wg sync.WaitGroup
		var err error
		wg.Go(func() { err = run(inner) })
		return func() {
			cancel()
			wg.Wait()
			if err != nil && !errors.Is(err, context.Canceled) {
				faults = append(faults, err)
			}
		}
	}
	stopService := start(g.store.Service.Run)
	stopGateway := start(g.gateway.Run)
	err := serve(ctx)
	stopGateway()
	stopService()
	return errors.Join(append(faults, err)...)
}
