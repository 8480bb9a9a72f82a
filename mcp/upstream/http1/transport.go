package http1

import (
	"context"
	"errors"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"
)

// Supported tells whether this platform can see that an idle connection was closed.
// Where it can't, requests that must not be sent twice would fail now and then.
const Supported = canPeek

// MaxBody is the largest body of a request, in bytes. It is sent before the answer
// is read: with a larger one, a server that answers before it has read all could
// wait for us while we wait for it.
const MaxBody = 32 << 10

const (
	maxIdle    = 256 // connections to one address
	maxInforms = 5   // answers of 1xx before the answer (RFC 9110, 15.2)
)

var (
	errUnsupported = errors.New("http1: only http requests with a body of a known length up to MaxBody are sent")
	errSwitched    = errors.New("http1: the server switched to a protocol that was not asked for")
	errInforms     = errors.New("http1: too many informational answers")
)

// Transport is an http.RoundTripper for http urls with a pool of connections. It
// uses no proxy and undoes no compression. The zero value is no use: Dial is needed.
type Transport struct {
	Dial           func(ctx context.Context, network, address string) (net.Conn, error)
	IdleTimeout    time.Duration // how long an unused connection is kept; 0 = for good
	MaxHeaderBytes int64         // of the head of an answer, with all 1xx before it; 0 = without a limit

	mu    sync.Mutex
	idle  map[string][]*conn // by address, the longest idle first
	sweep *time.Timer        // nil while nothing is idle
}

// RoundTrip sends a request and reads the head of its answer; see http.RoundTripper.
// Ending the request's context ends the connection. A request is sent again only where
// nothing of it was sent, or where it may be sent twice and no answer had begun.
func (t *Transport) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.Body != nil {
		defer req.Body.Close()
	}
	if !t.Sends(req) {
		return nil, errUnsupported
	}
	ctx := req.Context()
	for {
		c, reused, err := t.get(ctx, address(req))
		if err != nil {
			return nil, err
		}
		resp, again, err := c.send(ctx, req)
		if err == nil || !reused || !again || ctx.Err() != nil {
			return resp, err
		}
		if req.GetBody != nil {
			if req.Body, err = req.GetBody(); err != nil {
				return nil, err
			}
		}
	}
}

// Sends tells whether RoundTrip can send a request at all.
func (t *Transport) Sends(req *http.Request) bool {
	if req.URL.Scheme != "http" || req.URL.Host == "" {
		return false
	}
	return req.Body == nil || req.ContentLength > 0 && req.ContentLength <= MaxBody && len(req.TransferEncoding) == 0
}

func address(req *http.Request) string {
	if port := req.URL.Port(); port != "" {
		return net.JoinHostPort(req.URL.Hostname(), port)
	}
	return net.JoinHostPort(req.URL.Hostname(), "80")
}

// get is an idle connection that is still open, the one used last, or a new one.
func (t *Transport) get(ctx context.Context, address string) (c *conn, reused bool, err error) {
	for c = t.pop(address); c != nil; c = t.pop(address) {
		if !t.expired(c, time.Now()) && c.quiet() {
			return c, true, nil
		}
		_ = c.Close()
	}
	nc, err := t.Dial(ctx, "tcp", address)
	if err != nil {
		return nil, false, err
	}
	return newConn(t, nc, address), false, nil
}

func (t *Transport) pop(address string) *conn {
	t.mu.Lock()
	defer t.mu.Unlock()
	list := t.idle[address]
	if len(list) == 0 {
		return nil
	}
	c := list[len(list)-1]
	list[len(list)-1] = nil
	t.idle[address] = list[:len(list)-1]
	return c
}

func (t *Transport) expired(c *conn, now time.Time) bool {
	return t.IdleTimeout > 0 && now.Sub(c.since) >= t.IdleTimeout
}

// put keeps a connection for the next request.
func (t *Transport) put(c *conn) {
	c.since = time.Now()
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.idle[c.address]) >= maxIdle {
		_ = c.Close()
		return
	}
	if t.idle == nil {
		t.idle = map[string][]*conn{}
	}
	t.idle[c.address] = append(t.idle[c.address], c)
	if t.sweep == nil && t.IdleTimeout > 0 {
		t.sweep = time.AfterFunc(t.IdleTimeout, t.closeExpired)
	}
}

// closeExpired closes what was idle for too long, and comes back for the rest.
func (t *Transport) closeExpired() {
	now := time.Now()
	t.mu.Lock()
	defer t.mu.Unlock()
	left := 0
	for address, list := range t.idle {
		list = slices.DeleteFunc(list, func(c *conn) bool {
			if !t.expired(c, now) {
				return false
			}
			_ = c.Close()
			return true
		})
		if t.idle[address] = list; len(list) == 0 {
			delete(t.idle, address)
		}
		left += len(list)
	}
	if t.sweep = nil; left > 0 {
		t.sweep = time.AfterFunc(t.IdleTimeout/2, t.closeExpired)
	}
}

// CloseIdleConnections closes what no request uses now.
func (t *Transport) CloseIdleConnections() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, list := range t.idle {
		for _, c := range list {
			_ = c.Close()
		}
	}
	clear(t.idle)
	if t.sweep != nil {
		t.sweep.Stop()
		t.sweep = nil
	}
}
