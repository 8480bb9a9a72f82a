package bench_test

import (
	"fmt"
	"net"
	"strings"
	"testing"
	"time"
)

// TestIdleStreams compares 32 active callers of a server with *many/5 open
// streams of notifications with those of one without.
func TestIdleStreams(t *testing.T) {
	upstream := ourselves(t, "be-upstream", "0")
	m := message{era: legacy, path: "/mcp", method: "tools/call", name: "old__echo", args: `{"text":"hello"}`}
	lanes := []*lane{{name: "without"}, {name: "with idle streams"}}
	streams := max(*many/5, 2)
	for i, l := range lanes {
		l.gateway, l.upstream = serve(t, map[string]any{"old": over(upstream.url + "/old")}), upstream
		m.token = l.gateway.key(t, patterns())
		l.dial(t, 32, l.gateway, m)
		if i == 1 {
			tokens := l.gateway.imported(t, streams/streamsPerKey+1)
			before := l.gateway.resident(t)
			for n := range streams {
				openStream(t, l.gateway, tokens[n/streamsPerKey])
			}
			t.Logf("%d idle streams: %.1f KB resident each", streams, float64(l.gateway.resident(t)-before)/float64(streams))
		}
	}
	race(t, lanes...)
	for _, l := range lanes {
		t.Logf("32 callers, %s: %.0f requests/s, p50 %.0f us, p99 %.0f us, CPU %.0f us", l.name, l.rate(),
			microseconds(l.at(50)), microseconds(l.at(99)), l.each(l.own))
	}
	t.Logf("p99 with %d idle streams / without: %.2f", streams, float64(lanes[1].at(99))/float64(lanes[0].at(99)))
}

// openStream opens the GET stream of a new session. It ends with the test.
func openStream(t testing.TB, p *process, token string) {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(p.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	c := newCaller(conn)
	session := c.initialize(t, "/mcp", c.headers(token))
	fmt.Fprintf(conn, "GET /mcp HTTP/1.1\r\nHost: %s\r\nAccept: text/event-stream\r\nAuthorization: Bearer %s\r\nMcp-Session-Id: %s\r\n\r\n",
		conn.RemoteAddr(), token, session)
	_ = conn.SetReadDeadline(time.Now().Add(patience))
	line, err := c.in.ReadString('\n')
	if err != nil || !strings.HasPrefix(line, "HTTP/1.1 200") {
		t.Fatalf("the stream answers %q, %v", line, err)
	}
}
