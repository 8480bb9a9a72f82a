package upstream_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/bailiwick-mcp/bailiwick/mcp/upstream"
)

// rawServer answers each request on each connection with what say returns for
// it, and closes the connection when that is "".
func rawServer(t *testing.T, say func(conn, request int) string) (url string, conns *atomic.Int64) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	conns = &atomic.Int64{}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go speak(conn, int(conns.Add(1)), say)
		}
	}()
	t.Cleanup(func() { _ = l.Close(); <-ended })
	return "http://" + l.Addr().String(), conns
}

func speak(conn net.Conn, number int, say func(conn, request int) string) {
	defer conn.Close()
	in := bufio.NewReader(conn)
	for n := 1; ; n++ {
		req, err := http.ReadRequest(in)
		if err != nil {
			return
		}
		_, _ = io.Copy(io.Discard, req.Body)
		text := say(number, n)
		if text == "" {
			return
		}
		_, _ = io.WriteString(conn, text)
	}
}

func ok(body string) string {
	return fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
}

// get sends one request through a pool and answers the body, or the error.
func get(ctx context.Context, p http.RoundTripper, url string) string {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader("ask"))
	if err != nil {
		return err.Error()
	}
	resp, err := p.RoundTrip(req)
	if err != nil {
		return err.Error()
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return err.Error()
	}
	return string(body)
}

// Each connection serves as many requests as it may, and none that it may not.
func TestWiresAreUsedAgain(t *testing.T) {
	const chunks = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n"
	for _, tt := range []struct {
		name  string
		say   func(conn, request int) string
		wires int64 // after three requests
	}{
		{"kept", func(int, int) string { return ok("hi") }, 1},
		{"chunked", func(int, int) string { return chunks }, 1},
		{"empty", func(int, int) string { return ok("") }, 1},
		{"informational first", func(int, int) string { return "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + ok("hi") }, 1},
		{"Connection: close", func(int, int) string { return strings.Replace(ok("hi"), "\r\n", "\r\nConnection: close\r\n", 1) }, 3},
		{"HTTP/1.0", func(int, int) string { return strings.Replace(ok("hi"), "1.1", "1.0", 1) }, 3},
		{"more than one answer", func(int, int) string { return ok("hi") + ok("unasked") }, 3},
	} {
		t.Run(tt.name, func(t *testing.T) {
			url, conns := rawServer(t, tt.say)
			p := upstream.NewWires()
			defer p.CloseIdleConnections()
			for range 3 {
				if got := get(t.Context(), p, url); got != "hi" && got != "" {
					t.Errorf("got %q", got)
				}
			}
			if got := conns.Load(); got != tt.wires {
				t.Errorf("%d connections for three requests, want %d", got, tt.wires)
			}
		})
	}
}

// A request that could not be repeated does not go to a server that has closed.
func TestWiresNoticeTheEnd(t *testing.T) {
	closed := make(chan struct{}, 10)
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hi") }))
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateClosed {
			closed <- struct{}{}
		}
	}
	s.Start()
	p := upstream.NewWires()
	defer p.CloseIdleConnections()
	if got := get(t.Context(), p, s.URL); got != "hi" {
		t.Fatalf("got %q", got)
	}
	s.CloseClientConnections()
	<-closed
	if got := get(t.Context(), p, s.URL); got != "hi" {
		t.Errorf("after the end of the idle connection: %q", got)
	}
	p.CloseIdleConnections()
	s.Close()
}

// The end of its context ends a request at once, and its connection with it.
func TestWiresEndWithTheContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	for name, begun := range map[string]string{"before the answer": "HTTP/1.1 200", "within the body": "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhi"} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel = context.WithCancel(t.Context())
			url, conns := rawServer(t, func(conn, _ int) string {
				if conn > 1 {
					return ok("hi")
				}
				cancel()
				return begun
			})
			p := upstream.NewWires()
			defer p.CloseIdleConnections()
			if got := get(ctx, p, url); got != context.Canceled.Error() {
				t.Errorf("canceled: %q", got)
			}
			if got := get(t.Context(), p, url); got != "hi" || conns.Load() != 2 {
				t.Errorf("afterwards: %q on %d connections", got, conns.Load())
			}
		})
	}
	cancel()
}

// A server may refuse a request before it has read it all.
func TestWiresReadAnEarlyAnswer(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		_, _ = conn.Read(make([]byte, 1000))
		_, _ = io.WriteString(conn, "HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n")
		_, _ = io.Copy(io.Discard, conn)
	}()
	p := upstream.NewWires()
	defer p.CloseIdleConnections()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+l.Addr().String(), strings.NewReader(strings.Repeat("x", 8<<20)))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := p.RoundTrip(req)
	if err != nil || resp.StatusCode != 413 {
		t.Fatalf("%v, %v", resp, err)
	}
	_ = resp.Body.Close()
}

func TestWiresBoundTheHeader(t *testing.T) {
	url, _ := rawServer(t, func(int, int) string {
		return "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX: " + strings.Repeat("x", 100<<10) + "\r\n\r\n"
	})
	p := upstream.NewWires()
	defer p.CloseIdleConnections()
	if got := get(t.Context(), p, url); !strings.Contains(got, "too large") {
		t.Errorf("got %.80q", got)
	}
}
