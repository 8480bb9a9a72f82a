package mcp_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/bailiwick-mcp/bailiwick/mcp"
)

const readLimit = 300 * time.Millisecond

// dial sends one request on a connection of its own, of which nothing is read
// but what the test reads.
func (w *world) dial(method, path, body string, headers ...string) net.Conn {
	w.t.Helper()
	conn, err := net.Dial("tcp", w.http.Listener.Addr().String())
	must(w.t, err)
	w.t.Cleanup(func() { _ = conn.Close() })
	must(w.t, conn.(*net.TCPConn).SetReadBuffer(16<<10))
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n", method, path, len(body))
	for h := range slices.Chunk(headers, 2) {
		fmt.Fprintf(&b, "%s: %s\r\n", h[0], h[1])
	}
	_, err = io.WriteString(conn, b.String()+"\r\n"+body)
	must(w.t, err)
	return conn
}

func callOf(name, meta string) string {
	return `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"` + name + `","_meta":{` + meta + `}}}`
}

// TestClientThatReadsNothing: whoever does not take what it asked for is given
// up, whatever is being written; its calls end at the upstream and their places
// are free again.
func TestClientThatReadsNothing(t *testing.T) {
	w := newWorld(t, func(c *mcp.Config) { c.WriteLimit = readLimit })
	large := strings.Repeat("x", 6*mebibyte)
	up := newFaulty(t, map[string]fault{
		"large": func(c *faultyCall) { c.json(); c.say(c.result(large)) },
		"talk": func(c *faultyCall) {
			c.stream()
			c.forever(`data: {"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":` + string(c.token) + `,"progress":1,"message":"` + large[:10_000] + `"}}` + "\n\n")
		},
	})
	w.mount("a1", up.fakeUpstream)
	k, other := w.key(), w.bystander()
	w.until("the upstream is listened to", up.followed)
	sse := w.dial(http.MethodGet, "/sse", "", auth(k)...)
	endpoint := strings.TrimPrefix(lineWith(t, sse, "data: /message"), "data: ")
	idle := w.goroutines() + 1
	headers := func() []string { return w.connect(k, "/mcp").headers }
	for name, ask := range map[string]func(){
		"answers": func() {
			for range 2 {
				w.dial(http.MethodPost, "/mcp", callOf("a1__large", ""), headers()...)
			}
		},
		"notifications": func() {
			w.dial(http.MethodPost, "/mcp", callOf("a1__talk", `"progressToken":1`), headers()...)
		},
		"answers on an SSE stream": func() {
			for n := range 2 {
				body := strings.Replace(callOf("a1__large", ""), `"id":1`, fmt.Sprint(`"id":`, n), 1)
				if a := w.post(endpoint, body, auth(k)...); a.status != http.StatusAccepted {
					t.Fatalf("%d %s", a.status, a.body)
				}
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			w, other := w.in(t), &bystander{w.in(t), other.key}
			before := up.requests("tools/call")
			ask()
			w.until("it calls", func() bool { return up.requests("tools/call") > before })
			other.served("a client reads nothing")
			w.settled(idle, name)
			up.ended(w)
		})
	}
	if a := w.post(endpoint, initialize, auth(k)...); a.status != http.StatusNotFound {
		t.Errorf("the SSE session of a client that reads nothing: %d", a.status)
	}
}

// lineWith reads until the line that begins so.
func lineWith(t *testing.T, conn net.Conn, prefix string) string {
	t.Helper()
	must(t, conn.SetReadDeadline(time.Now().Add(10*time.Second)))
	for lines := bufio.NewScanner(conn); lines.Scan(); {
		if strings.HasPrefix(lines.Text(), prefix) {
			return lines.Text()
		}
	}
	t.Fatalf("no line begins with %q", prefix)
	return ""
}

// TestSlowReader: a client that reads slowly gets the whole of its answer, even
// when that takes longer than one write may.
func TestSlowReader(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *mcp.Config) { c.WriteLimit = 700 * time.Millisecond })
	up := newUpstream(t, tool("large", "r"))
	w.mount("a1", up)
	large := strings.Repeat("x", 12*mebibyte)
	up.on("large", func(fakeCall) string { return `{"content":[],"x":"` + large + `"}` })
	conn := w.dial(http.MethodPost, "/mcp", callOf("a1__large", ""), w.connect(w.key(), "/mcp").headers...)
	must(t, conn.(*net.TCPConn).SetReadBuffer(mebibyte))
	res, err := http.ReadResponse(bufio.NewReaderSize(&slowly{conn}, 64<<10), nil)
	must(t, err)
	body, err := io.ReadAll(res.Body)
	if err != nil || !strings.HasSuffix(string(body), `x"}}`) {
		t.Errorf("%d bytes came, then %v", len(body), err)
	}
}

// slowly is a line of some 6 MB a second.
type slowly struct{ net.Conn }

func (s *slowly) Read(p []byte) (int, error) {
	time.Sleep(10 * time.Millisecond)
	return io.ReadAtLeast(s.Conn, p[:min(len(p), 64<<10)], 1)
}

// TestEndOfAQuietStream: a stream on which nothing was written for long ends as
// it should, and is not cut.
func TestEndOfAQuietStream(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *mcp.Config) { c.WriteLimit = readLimit })
	k := w.key()
	session := w.connect(k, "/mcp").headers
	var streams []*http.Response
	for _, s := range []struct {
		method, path, body string
		headers            []string
	}{
		{http.MethodGet, "/mcp", "", session},
		{http.MethodGet, "/sse", "", auth(k)},
		{http.MethodPost, "/mcp", `{"jsonrpc":"2.0","id":"sub","method":"subscriptions/listen","params":{"notifications":{"toolsListChanged":true},` + modernMeta + `}}`,
			append(auth(k), "Mcp-Protocol-Version", "2026-07-28", "Mcp-Method", "subscriptions/listen")},
	} {
		res, err := http.ReadResponse(bufio.NewReader(w.dial(s.method, s.path, s.body, s.headers...)), nil)
		must(t, err)
		streams = append(streams, res)
	}
	time.Sleep(2 * readLimit)
	w.gw.EndStreams()
	for _, s := range streams {
		if _, err := io.Copy(io.Discard, s.Body); err != nil && !errors.Is(err, io.EOF) {
			t.Errorf("%v", err)
		}
	}
}
