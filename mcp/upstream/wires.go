package upstream

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"
)

// wires are the connections of one upstream over HTTP/1.1 without TLS. The
// goroutine of a call writes its request and reads the answer, with the standard
// library's own code for both. http.Transport has two goroutines for each
// connection, and handing a call over to them and back takes about as much time
// as everything else that the gateway does for it. HTTPS goes through it: there,
// HTTP/2 is worth more.
type wires struct {
	dial func(ctx context.Context, network, address string) (net.Conn, error)

	mu    sync.Mutex
	idle  []*wire // the one used last at the end
	sweep *time.Timer
}

const (
	maxIdleWires   = 256
	maxIdleTime    = 90 * time.Second
	maxHeaderBytes = 64 << 10 // of an answer
	wireBuffer     = 16 << 10 // of what is read
)

// wire is one connection. What it reads is bounded while it reads a header.
type wire struct {
	net.Conn
	in    *bufio.Reader
	left  int64
	since time.Time // idle
}

func (w *wire) Read(p []byte) (int, error) {
	if w.left <= 0 {
		return 0, errors.New("the answer's header is too large")
	}
	n, err := w.Conn.Read(p[:min(int64(len(p)), w.left)])
	w.left -= int64(n)
	return n, err
}

// RoundTrip is http.RoundTripper's. Its body must be read to the end, or closed.
func (c *wires) RoundTrip(req *http.Request) (*http.Response, error) {
	ctx := req.Context()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	w, err := c.take(ctx, req.URL.Host)
	if err != nil {
		return nil, err
	}
	// The past ends a read or write that waits, and each later one.
	stop := context.AfterFunc(ctx, func() { _ = w.SetDeadline(time.Unix(1, 0)) })
	resp, err := w.exchange(req)
	if err != nil {
		stop()
		_ = w.Close()
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		return nil, err
	}
	b := &wireBody{body: resp.Body, wire: w, wires: c, stop: stop, ctx: ctx, once: resp.Close}
	if resp.ContentLength == 0 {
		b.end(true)
	}
	resp.Body = b
	return resp, nil
}

// exchange sends a request and reads the header of its answer. A server may
// answer without reading the whole request, so that a failure to send all of it
// is none when there is an answer.
func (w *wire) exchange(req *http.Request) (*http.Response, error) {
	out := outs.Get().(*bufio.Writer)
	out.Reset(w.Conn)
	sent := req.Write(out)
	if sent == nil {
		sent = out.Flush()
	}
	out.Reset(nil)
	outs.Put(out)
	for {
		w.left = maxHeaderBytes
		resp, err := w.header(req)
		w.left = math.MaxInt64
		switch {
		case err != nil && sent != nil:
			return nil, sent
		case err != nil:
			return nil, err
		case resp.StatusCode >= 100 && resp.StatusCode < 200 && resp.StatusCode != http.StatusSwitchingProtocols:
			continue // informational (RFC 9110, 15.2)
		}
		resp.Close = resp.Close || sent != nil || resp.StatusCode == http.StatusSwitchingProtocols
		return resp, nil
	}
}

// header tells a connection that was closed (io.EOF) from one that broke off.
func (w *wire) header(req *http.Request) (*http.Response, error) {
	if _, err := w.in.Peek(1); err != nil {
		return nil, err
	}
	return http.ReadResponse(w.in, req)
}

var outs = sync.Pool{New: func() any { return bufio.NewWriter(nil) }}

// take is an idle connection that is still good, or a new one.
func (c *wires) take(ctx context.Context, host string) (*wire, error) {
	for {
		c.mu.Lock()
		if len(c.idle) == 0 {
			c.mu.Unlock()
			break
		}
		w := c.idle[len(c.idle)-1]
		c.idle = c.idle[:len(c.idle)-1]
		c.mu.Unlock()
		if time.Since(w.since) < maxIdleTime && quiet(w.Conn) {
			return w, nil
		}
		_ = w.Close()
	}
	if _, _, err := net.SplitHostPort(host); err != nil {
		host = net.JoinHostPort(trimBrackets(host), "80")
	}
	conn, err := c.dial(ctx, "tcp", host)
	if err != nil {
		return nil, err
	}
	w := &wire{Conn: conn, left: math.MaxInt64}
	w.in = bufio.NewReaderSize(w, wireBuffer)
	return w, nil
}

func trimBrackets(host string) string {
	if len(host) > 2 && host[0] == '[' && host[len(host)-1] == ']' {
		return host[1 : len(host)-1]
	}
	return host
}

// give takes a connection back.
func (c *wires) give(w *wire) {
	w.since = time.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.idle) >= maxIdleWires {
		_ = w.Close()
		return
	}
	c.idle = append(c.idle, w)
	if c.sweep == nil {
		c.sweep = time.AfterFunc(maxIdleTime, c.forget)
	}
}

// forget closes what was idle for too long.
func (c *wires) forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.idle = slices.DeleteFunc(c.idle, func(w *wire) bool {
		old := time.Since(w.since) >= maxIdleTime
		if old {
			_ = w.Close()
		}
		return old
	})
	if c.sweep = nil; len(c.idle) > 0 {
		c.sweep = time.AfterFunc(maxIdleTime, c.forget)
	}
}

// CloseIdleConnections is http.Transport's.
func (c *wires) CloseIdleConnections() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, w := range c.idle {
		_ = w.Close()
	}
	c.idle = nil
	if c.sweep != nil {
		c.sweep.Stop()
		c.sweep = nil
	}
}

// wireBody is an answer's body. The connection is free again at its end.
type wireBody struct {
	body  io.ReadCloser
	wire  *wire
	wires *wires
	stop  func() bool // of the context's end; false = it came first
	ctx   context.Context
	once  bool // the connection is good for no other request

	mu    sync.Mutex
	ended bool
}

func (b *wireBody) Read(p []byte) (int, error) {
	b.mu.Lock()
	ended := b.ended
	b.mu.Unlock()
	if ended {
		return 0, io.EOF
	}
	n, err := b.body.Read(p)
	switch {
	case errors.Is(err, io.EOF):
		b.end(true)
	case err != nil && b.ctx.Err() != nil:
		err = b.ctx.Err()
	case err != nil:
		err = fmt.Errorf("reading the answer: %w", err)
	}
	return n, err
}

func (b *wireBody) Close() error {
	b.end(false)
	return nil
}

// end gives the connection back when it was read to its end and nothing is
// left in it, else closes it.
func (b *wireBody) end(whole bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ended {
		return
	}
	b.ended = true
	if b.stop() && whole && !b.once && b.wire.in.Buffered() == 0 {
		b.wires.give(b.wire)
		return
	}
	_ = b.wire.Close()
}
