package http1_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/bailiwick-mcp/bailiwick/mcp/upstream/http1"
)

const patience = 20 * time.Second

func newTransport(t *testing.T) *http1.Transport {
	t.Helper()
	tr := &http1.Transport{Dial: new(net.Dialer).DialContext, IdleTimeout: time.Minute, MaxHeaderBytes: 4 << 10}
	t.Cleanup(tr.CloseIdleConnections)
	return tr
}

// got is an answer as a client sees it.
type got struct {
	status  int
	body    string
	trailer string
	failed  bool
}

func ask(rt http.RoundTripper, method, url, body string) (g got, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		return g, err
	}
	if body == "" {
		req.Body, req.GetBody = nil, nil
	}
	resp, err := rt.RoundTrip(req)
	if err != nil {
		return got{failed: true}, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return got{resp.StatusCode, string(b), resp.Trailer.Get("X-T"), err != nil}, err
}

// TestConnectionsAreKept: by one caller one is used, whether it sends or not.
func TestConnectionsAreKept(t *testing.T) {
	var conns atomic.Int64
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body) // before answering, or the rest of it is thrown away
		_, _ = w.Write(b)
	}))
	server.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			conns.Add(1)
		}
	}
	server.Start()
	defer server.Close()
	tr := newTransport(t)
	for n := range 50 {
		body := strings.Repeat("b", n*600%http1.MaxBody)
		if g, err := ask(tr, "POST", server.URL, body); err != nil || g.body != body {
			t.Fatalf("request %d: %v, %d bytes", n, err, len(g.body))
		}
	}
	if conns.Load() != 1 {
		t.Errorf("%d connections", conns.Load())
	}
	var all sync.WaitGroup
	for n := range 64 {
		all.Go(func() {
			for m := range 20 {
				body := fmt.Sprintf("caller %d, request %d", n, m)
				if g, err := ask(tr, "POST", server.URL, body); err != nil || g.body != body {
					t.Errorf("%v, got %q, want %q", err, g.body, body)
				}
			}
		})
	}
	all.Wait()
	if n := conns.Load(); n > 65 {
		t.Errorf("%d connections for 64 callers", n)
	}
}

// TestClosedWhileIdle: a connection that the server closed, or on which it said
// something unasked, is not used again; nothing is sent twice.
func TestClosedWhileIdle(t *testing.T) {
	const answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
	for name, answers := range map[string][]string{
		"closed":  {answer},
		"unasked": {answer + "HTTP/1.1 408 Request Timeout\r\nContent-Length: 4\r\n\r\nevil", answer},
	} {
		t.Run(name, func(t *testing.T) {
			s, tr := newScript(t, answers...), newTransport(t)
			for n := range 5 {
				if g, err := ask(tr, "POST", s.url, "x"); err != nil || g.body != "ok" {
					t.Fatalf("request %d: %v %+v", n, err, g)
				}
				select {
				case <-s.ended:
				case <-time.After(patience):
					t.Fatal("the connection stays open")
				}
			}
			if s.conns.Load() != 5 || s.asked.Load() != 5 {
				t.Errorf("%d connections, %d requests", s.conns.Load(), s.asked.Load())
			}
		})
	}
}

// TestNothingIsSentTwice: a server that takes a request and closes a kept connection
// gets a POST once and a GET again.
func TestNothingIsSentTwice(t *testing.T) {
	for method, want := range map[string]int64{"POST": 2, "GET": 3} {
		t.Run(method, func(t *testing.T) {
			s, tr := newScript(t, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", ""), newTransport(t)
			body := map[string]string{"POST": "x"}[method]
			if _, err := ask(tr, method, s.url, body); err != nil {
				t.Fatal(err)
			}
			_, err := ask(tr, method, s.url, body)
			if failed := err != nil; failed != (method == "POST") || failed && !errors.Is(err, io.EOF) {
				t.Errorf("%s: %v", method, err)
			}
			if s.asked.Load() != want {
				t.Errorf("%s was sent %d times, want %d", method, s.asked.Load(), want)
			}
		})
	}
}

// TestContextEnds: its end ends the request, before and after the head, with its
// cause, and the server sees the connection's end.
func TestContextEnds(t *testing.T) {
	why := errors.New("why")
	for _, begun := range []bool{false, true} {
		t.Run(fmt.Sprintf("answer begun %v", begun), func(t *testing.T) {
			ended, there := make(chan struct{}), make(chan struct{})
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(io.Discard, r.Body)
				if begun {
					_, _ = io.WriteString(w, "some")
					w.(http.Flusher).Flush()
				}
				close(there)
				<-r.Context().Done()
				close(ended)
			}))
			defer server.Close()
			ctx, cancel := context.WithCancelCause(t.Context())
			defer cancel(nil)
			req, _ := http.NewRequestWithContext(ctx, "POST", server.URL, strings.NewReader("x"))
			if !begun {
				go func() { <-there; cancel(why) }()
			}
			resp, err := newTransport(t).RoundTrip(req)
			if begun {
				if err != nil {
					t.Fatal(err)
				}
				time.AfterFunc(10*time.Millisecond, func() { cancel(why) })
				_, err = io.ReadAll(resp.Body)
			}
			if !errors.Is(err, why) {
				t.Errorf("%v", err)
			}
			select {
			case <-ended:
			case <-time.After(patience):
				t.Error("the server was not told")
			}
		})
	}
}

// TestCloseEndsAnAnswer: a body that is closed before its end frees the server.
func TestCloseEndsAnAnswer(t *testing.T) {
	ended := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer close(ended)
		for r.Context().Err() == nil {
			_, _ = io.WriteString(w, "more and more")
			w.(http.Flusher).Flush()
		}
	}))
	defer server.Close()
	req, _ := http.NewRequestWithContext(t.Context(), "GET", server.URL, nil)
	resp, err := newTransport(t).RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	reading := make(chan struct{})
	go func() { defer close(reading); _, _ = io.Copy(io.Discard, resp.Body) }()
	_ = resp.Body.Close() // beside a reader
	for _, c := range []chan struct{}{reading, ended} {
		select {
		case <-c:
		case <-time.After(patience):
			t.Fatal("it goes on")
		}
	}
}

// halting is a connection whose second write waits.
type halting struct {
	net.Conn
	writes int
	until  <-chan struct{}
}

func (c *halting) Write(b []byte) (int, error) {
	if c.writes++; c.writes == 2 {
		<-c.until
	}
	return c.Conn.Write(b)
}

// TestAnsweredBeforeItIsRead: what a server says before it has read the request counts,
// though it reads no more.
func TestAnsweredBeforeItIsRead(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		c, err := listener.Accept()
		if err != nil {
			return
		}
		_, _ = io.ReadFull(c, make([]byte, 10)) // and leaves the rest, so that the close resets
		_, _ = io.WriteString(c, "HTTP/1.1 413 Too Large\r\nContent-Length: 5\r\n\r\nlarge")
		_ = c.Close()
	}()
	tr := newTransport(t)
	tr.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
		c, err := new(net.Dialer).DialContext(ctx, network, address)
		return &halting{Conn: c, until: closed}, err
	}
	g, err := ask(tr, "POST", "http://"+listener.Addr().String(), strings.Repeat("x", http1.MaxBody))
	if err != nil || g.status != 413 || g.body != "large" {
		t.Errorf("%+v, %v", g, err)
	}
}

// TestIdleConnectionsEnd: after their time, and when they are told to.
func TestIdleConnectionsEnd(t *testing.T) {
	for name, end := range map[string]func(*http1.Transport){
		"time": func(*http1.Transport) {},
		"told": (*http1.Transport).CloseIdleConnections,
	} {
		t.Run(name, func(t *testing.T) {
			closed := make(chan struct{}, 1)
			server := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
			server.Config.ConnState = func(_ net.Conn, s http.ConnState) {
				if s == http.StateClosed {
					closed <- struct{}{}
				}
			}
			server.Start()
			defer server.Close()
			tr := newTransport(t)
			if name == "time" {
				tr.IdleTimeout = 50 * time.Millisecond
			}
			if _, err := ask(tr, "GET", server.URL, ""); err != nil {
				t.Fatal(err)
			}
			end(tr)
			select {
			case <-closed:
			case <-time.After(patience):
				t.Error("it stays open")
			}
			if _, err := ask(tr, "GET", server.URL, ""); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestSends: what it would send badly it does not send.
func TestSends(t *testing.T) {
	tr := newTransport(t)
	for name, tt := range map[string]struct {
		url   string
		body  io.Reader
		sends bool
	}{
		"GET":              {"http://127.0.0.1:1/", nil, true},
		"a body":           {"http://127.0.0.1:1/", strings.NewReader("x"), true},
		"https":            {"https://127.0.0.1:1/", nil, false},
		"no host":          {"http:///x", nil, false},
		"too large a body": {"http://127.0.0.1:1/", strings.NewReader(strings.Repeat("x", http1.MaxBody+1)), false},
		"no length":        {"http://127.0.0.1:1/", io.MultiReader(strings.NewReader("x")), false},
	} {
		req, err := http.NewRequestWithContext(t.Context(), "POST", tt.url, tt.body)
		if err != nil {
			t.Fatal(err)
		}
		if got := tr.Sends(req); got != tt.sends {
			t.Errorf("%s: %v", name, got)
		}
		if _, err := tr.RoundTrip(req); err == nil || tt.sends == strings.Contains(err.Error(), "only http requests") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
