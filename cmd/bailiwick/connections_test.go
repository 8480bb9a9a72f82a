package main

import (
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

const (
	shortly = 300 * time.Millisecond
	head    = "POST /mcp HTTP/1.1\r\nHost: localhost\r\n"
)

// drip writes a text byte by byte, again and again, until the server takes no more.
func drip(conn net.Conn, text string) {
	for i := 0; ; i++ {
		time.Sleep(shortly / 10)
		if _, err := conn.Write([]byte{text[i%len(text)]}); err != nil {
			return
		}
	}
}

// TestConnectionsThatSayNothing: neither silence nor a byte now and then holds a
// connection, before a request, in its head, in its body or after it; those who
// ask are answered meanwhile.
func TestConnectionsThatSayNothing(t *testing.T) {
	h := startHouse(t, serveFlags{bodyLimit: shortly, headLimit: shortly, idleLimit: shortly})
	credential := "Authorization: Bearer " + h.token + "\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n"
	for name, c := range map[string]struct{ text, more string }{
		"nothing":          {"", ""},
		"half a head":      {head + "X-A: b", ""},
		"a head in bytes":  {head, "X-A: b\r\n"},
		"a body in bytes":  {head + credential + "\r\n{", " "},
		"nothing any more": {"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := *h
			h.t = t
			conn, in := h.dial(c.text)
			if status := h.status(http.MethodGet, "/readyz", ""); status != http.StatusOK {
				t.Errorf("another request: %d", status)
			}
			if c.more != "" {
				go drip(conn, c.more)
			}
			if _, err := io.Copy(io.Discard, in); err != nil && strings.Contains(err.Error(), "i/o timeout") {
				t.Error("the connection is held")
			}
		})
	}
}

// TestManySilentConnections: those who ask are answered beside many who do not.
func TestManySilentConnections(t *testing.T) {
	h := startHouse(t, serveFlags{})
	for range 300 {
		h.dial("")
	}
	if status := h.status(http.MethodGet, "/api/projects", ""); status != http.StatusOK {
		t.Errorf("answered %d", status)
	}
}

// TestAnswerThatNobodyReads: who asks without reading is given up, and holds
// neither the server's end nor those who read.
func TestAnswerThatNobodyReads(t *testing.T) {
	h := startHouse(t, serveFlags{answerLimit: shortly})
	conn, err := net.Dial("tcp", strings.TrimPrefix(h.url, "http://"))
	h.must(err)
	defer func() { _ = conn.Close() }()
	h.must(conn.(*net.TCPConn).SetReadBuffer(16 << 10))
	h.must(conn.SetWriteDeadline(time.Now().Add(8 * time.Second)))
	for {
		// Until the buffers of both directions are full, and nothing is read any more.
		if _, err = io.WriteString(conn, strings.Repeat("GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n", 100)); err != nil {
			break
		}
	}
	if strings.Contains(err.Error(), "i/o timeout") {
		t.Error("the connection is held")
	}
	if status := h.status(http.MethodGet, "/api/projects", ""); status != http.StatusOK {
		t.Errorf("another request: %d", status)
	}
	h.stopped()
}

// TestGarbageBehindARequest: what follows a request on its connection and is
// none is refused, after the request's own answer.
func TestGarbageBehindARequest(t *testing.T) {
	h := startHouse(t, serveFlags{})
	for name, garbage := range map[string]string{
		"bytes":          "\x00\xff\xfe\r\n\r\n",
		"a long line":    strings.Repeat("x", 1<<20),
		"long headers":   "GET / HTTP/1.1\r\n" + strings.Repeat("X-A: "+strings.Repeat("b", 1000)+"\r\n", 1000),
		"another size":   head + "Content-Length: 1\r\nContent-Length: 2\r\n\r\n",
		"two framings":   head + "Content-Length: 1\r\nTransfer-Encoding: gzip\r\n\r\n",
		"HTTP 2 unasked": "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			h := *h
			h.t = t
			conn, in := h.dial("GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n")
			first := must(http.ReadResponse(in, nil))
			_, err := io.Copy(io.Discard, first.Body)
			h.must(err)
			go func() { _, _ = io.WriteString(conn, garbage) }()
			if second, err := http.ReadResponse(in, nil); err == nil && second.StatusCode < 400 {
				t.Errorf("answered %d", second.StatusCode)
			}
			if _, err := io.Copy(io.Discard, in); err != nil && strings.Contains(err.Error(), "i/o timeout") {
				t.Error("the connection is held")
			}
			if first.StatusCode != http.StatusOK {
				t.Errorf("the request before: %d", first.StatusCode)
			}
		})
	}
}
