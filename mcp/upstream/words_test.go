package upstream_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/mcp/upstream"
)

// inWords fails the test when a problem has a word that only says something to
// who knows Go.
func inWords(t *testing.T, problem string) {
	t.Helper()
	for _, word := range []string{"context", "deadline", "EOF", "i/o timeout", "net/http", "fork/exec", "%!", "<nil>", "readLoop"} {
		if problem == "" || strings.Contains(problem, word) {
			t.Errorf("the problem %q has %q", problem, word)
		}
	}
}

func TestCommandThatIsNoProgram(t *testing.T) {
	file := filepath.Join(t.TempDir(), "server")
	if err := os.WriteFile(file, []byte("\x00 no program"), 0o755); err != nil {
		t.Fatal(err)
	}
	st := run(t, upstream.Config{Transport: keys.TransportStdio, Command: file}).down()
	inWords(t, st.Problem)
	if !strings.HasSuffix(st.Problem, "cannot be started: exec format error") {
		t.Errorf("status %+v", st)
	}
}

func TestBrokenConnectionsInWords(t *testing.T) {
	closes := func(http.ResponseWriter, *http.Request, message) { panic(http.ErrAbortHandler) }
	cuts := func(kind string) func(http.ResponseWriter, *http.Request, message) {
		return func(w http.ResponseWriter, _ *http.Request, _ message) {
			w.Header().Set("Content-Type", kind)
			w.Header().Set("Content-Length", "9999")
			_, _ = w.Write([]byte("event: "))
		}
	}
	hangs := func(w http.ResponseWriter, r *http.Request, _ message) { <-r.Context().Done() }
	after := legacyWeb("s")
	after["tools/list"] = closes
	for name, tt := range map[string]struct {
		transport keys.Transport
		on        handlers
		problem   string
	}{
		"closes":           {keys.TransportHTTP, handlers{"server/discover": closes, "initialize": closes}, "server/discover: the connection was closed"},
		"closes later":     {keys.TransportHTTP, after, "tools/list: the connection was closed"},
		"cuts":             {keys.TransportHTTP, handlers{"server/discover": cuts("application/json")}, "server/discover: the connection broke off"},
		"cuts a stream":    {keys.TransportHTTP, handlers{"server/discover": cuts("text/event-stream")}, "server/discover: the connection broke off"},
		"hangs":            {keys.TransportHTTP, handlers{"server/discover": hangs, "initialize": hangs}, "no answer to initialize in time"},
		"SSE closes":       {keys.TransportSSE, handlers{"GET": closes}, "opening the stream: the connection was closed"},
		"SSE cuts":         {keys.TransportSSE, handlers{"GET": cuts("text/event-stream")}, "the stream ended before its endpoint event: the connection broke off"},
		"SSE hangs":        {keys.TransportSSE, handlers{"GET": hangs}, "no answer to opening the stream in time"},
		"SSE ends its own": {keys.TransportSSE, endingStream(), "its stream ended: the connection was closed"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := remote(tt.transport, newWeb(t, tt.on).URL)
			cfg.ConnectTimeout = time.Second
			st := run(t, cfg).down()
			inWords(t, st.Problem)
			if !strings.HasSuffix(st.Problem, tt.problem) {
				t.Errorf("problem %s, want %s", st.Problem, tt.problem)
			}
		})
	}
}

// endingStream answers initialize by the end of the stream.
func endingStream() handlers {
	end := make(chan struct{}, 16)
	return handlers{
		"GET": func(w http.ResponseWriter, r *http.Request, _ message) {
			stream(w)
			_, _ = fmt.Fprint(w, "event: endpoint\ndata: /messages\n\n")
			w.(http.Flusher).Flush()
			<-end
		},
		"initialize": func(w http.ResponseWriter, _ *http.Request, _ message) { w.WriteHeader(202); end <- struct{}{} },
	}
}

// What is no HTTP server is told in words, also where it speaks before it was
// asked: how that ends is a matter of luck.
func TestNoHTTPServer(t *testing.T) {
	const garbage = `server/discover: malformed HTTP status code "this"`
	if got := noHTTPServer(t, true); got != garbage {
		t.Errorf("problem %s", got)
	}
	for range 20 {
		inWords(t, noHTTPServer(t, false))
	}
}

func noHTTPServer(t *testing.T, waits bool) (problem string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	go func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			if waits { // for all of the request, lest what it did not read resets the connection
				if r, err := http.ReadRequest(bufio.NewReader(c)); err == nil {
					_, _ = io.Copy(io.Discard, r.Body)
				}
			}
			_, _ = c.Write([]byte("hello, this is no web server\r\n"))
			_ = c.Close()
		}
	}()
	return run(t, remote(keys.TransportHTTP, "http://"+listener.Addr().String())).down().Problem
}
