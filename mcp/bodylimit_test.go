package mcp_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// TestBodyLimits: of a message that is too large, the server takes little more
// than its limit off the wire, and ends the connection.
func TestBodyLimits(t *testing.T) {
	const most = 8 << 20 // the limit of 4 MiB, and generous buffers
	w := newWorld(t)
	k := w.key()
	for name, body := range map[string]io.Reader{
		"declared":            strings.NewReader(strings.Repeat("x", 64<<20)),
		"64 MB, not declared": io.LimitReader(endless{}, 64<<20),
	} {
		t.Run(name, func(t *testing.T) {
			counted := &countingListener{}
			server := httptest.NewUnstartedServer(w.gw.Handler())
			counted.Listener, server.Listener = server.Listener, counted
			server.Start()
			defer server.Close()
			client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
			ctx, done := context.WithTimeout(t.Context(), 20*time.Second)
			defer done()
			req, err := http.NewRequestWithContext(ctx, http.MethodPost, server.URL+"/mcp", body)
			must(t, err)
			req.Header.Set("Content-Type", "application/json")
			req.Header.Set("Authorization", "Bearer "+k.Secret.Reveal())
			res, err := client.Do(req)
			switch {
			case ctx.Err() != nil:
				t.Fatalf("neither answered nor closed: %v", err)
			case err != nil: // it may hang up while the client still writes
				t.Logf("closed: %v", err)
			default:
				_ = res.Body.Close()
				if res.StatusCode != http.StatusRequestEntityTooLarge || !res.Close {
					t.Errorf("answered %d, closes: %v", res.StatusCode, res.Close)
				}
			}
			w.until("the connection has ended", func() bool { return counted.open.Load() == 0 })
			if n := counted.taken.Load(); n == 0 || n >= most {
				t.Errorf("the server took %d bytes", n)
			}
		})
	}
	if a := w.post("/mcp", initialize, auth(k)...); a.status != http.StatusOK {
		t.Errorf("afterwards: %d", a.status)
	}
}

// endless is white space without an end.
type endless struct{}

func (endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = ' '
	}
	return len(p), nil
}

// countingListener counts what is read from its connections, and those open.
type countingListener struct {
	net.Listener
	taken, open atomic.Int64
}

func (l *countingListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	l.open.Add(1)
	return &countedConn{Conn: c, of: l}, nil
}

type countedConn struct {
	net.Conn
	of     *countingListener
	closed atomic.Bool
}

func (c *countedConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.of.taken.Add(int64(n))
	return n, err
}

func (c *countedConn) Close() error {
	if !c.closed.Swap(true) {
		c.of.open.Add(-1)
	}
	return c.Conn.Close()
}
