package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/bailiwick-mcp/bailiwick/keys/wire"
)

// dial writes raw text to the server and answers the connection.
func (h *house) dial(text string) (net.Conn, *bufio.Reader) {
	h.t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(h.url, "http://"))
	h.must(err)
	h.t.Cleanup(func() { _ = conn.Close() })
	h.must(conn.SetDeadline(time.Now().Add(8 * time.Second)))
	_, err = io.WriteString(conn, text)
	h.must(err)
	return conn, bufio.NewReader(conn)
}

// Whoever sends the head of a request and never its body holds no connection,
// with a credential or without one.
func TestSlowBodyEnds(t *testing.T) {
	h := startHouse(t, serveFlags{bodyLimit: 200 * time.Millisecond})
	for _, path := range []string{"/mcp", "/api/projects", "/api/nothing", "/livez", "/readyz", "/message?sessionId=x", "/sse", "/"} {
		for _, size := range []string{"Content-Length: 1000", "Content-Length: 1000000", "Transfer-Encoding: chunked"} {
			for _, credential := range []string{"", "Authorization: Bearer " + h.token + "\r\n"} {
				t.Run(path+" "+size+" "+fmt.Sprint(credential != ""), func(t *testing.T) {
					t.Parallel()
					h := *h
					h.t = t
					_, in := h.dial("POST " + path + " HTTP/1.1\r\nHost: localhost\r\n" + credential +
						"Content-Type: application/json\r\n" + size + "\r\n\r\n1")
					if _, err := io.Copy(io.Discard, in); err != nil && strings.Contains(err.Error(), "i/o timeout") {
						t.Error("the connection is held")
					}
				})
			}
		}
	}
}

// The time of a body is not the time of an answer, nor of the connection.
func TestAnswerOutlivesTheTimeOfBodies(t *testing.T) {
	const limit = 200 * time.Millisecond
	h := startHouse(t, serveFlags{bodyLimit: limit})
	stream := h.stream()
	h.store.held.Store(true)
	body := `{"name":"late"}`
	request := fmt.Sprintf("POST /api/projects HTTP/1.1\r\nHost: localhost\r\nX-API-Key: %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", h.token, len(body), body)
	conn, in := h.dial(request)
	<-h.store.reached
	time.Sleep(2 * limit)
	h.store.held.Store(false)
	close(h.store.release)
	for _, want := range []int{201, 409} {
		answer := must(http.ReadResponse(in, nil))
		_ = must(io.ReadAll(answer.Body))
		if answer.StatusCode != want || answer.Close {
			t.Errorf("status %d, want %d; closes = %v", answer.StatusCode, want, answer.Close)
		}
		if want == 201 {
			time.Sleep(2 * limit)
			_, err := io.WriteString(conn, strings.Replace(request, "late", "late", 1))
			h.must(err)
		}
	}
	read := make(chan error, 1)
	go func() { _, err := io.Copy(io.Discard, stream.Body); read <- err }()
	select {
	case err := <-read:
		t.Errorf("the stream ended: %v", err)
	case <-time.After(limit):
	}
}

func TestPathsOfTheServer(t *testing.T) {
	h := startHouse(t, serveFlags{})
	for _, path := range []string{"/mcp/", "/mcp/notes/", "/mcp/a/b", "//mcp", "/mcp/../x", "/mcp/./a", "/api//projects", "/api/../mcp", "/sse/", "/message/", "/livez/", "/nothing"} {
		for _, method := range []string{"GET", "POST", "OPTIONS"} {
			answer := h.open(method, path, "")
			h.refused(answer, http.StatusNotFound, "not_found", method+" "+path)
		}
	}
}

func (h *house) refused(answer *http.Response, status int, code, what string) {
	h.t.Helper()
	var p wire.Problem
	if err := json.NewDecoder(answer.Body).Decode(&p); err != nil || answer.StatusCode != status || p.Code != code ||
		answer.Header.Get("Content-Type") != "application/problem+json" {
		h.t.Errorf("%s answers %d %+v %v", what, answer.StatusCode, p, err)
	}
}

// A web page can't reach any path by a name that it made resolve to us, nor by
// its reader's browser; those who ask whether the server is there may use any.
func TestHostAndOriginOfEveryPath(t *testing.T) {
	h := startHouse(t, serveFlags{publicURL: "https://mcp.example.com", allowedOrigins: []string{"https://app.example.com"}})
	ask := func(path, host, origin string) *http.Response {
		r := must(http.NewRequestWithContext(t.Context(), "GET", h.url+path, nil))
		r.Host = host
		r.Header.Set("Authorization", "Bearer "+h.token)
		if origin != "" {
			r.Header.Set("Origin", origin)
		}
		answer := must(http.DefaultTransport.RoundTrip(r))
		t.Cleanup(func() { _ = answer.Body.Close() })
		return answer
	}
	for _, path := range []string{"/api/tenant", "/api/nothing", "/", "//mcp", "/mcp/", "/mcp", "/sse", "/message"} {
		h.refused(ask(path, "evil.example", ""), 403, "host_denied", path+" of another host")
		h.refused(ask(path, "localhost", "https://evil.example"), 403, "origin_denied", path+" from another origin")
		h.refused(ask(path, "localhost", "null"), 403, "origin_denied", path+" from no origin")
	}
	answer := ask("/v1/me", "evil.example", "") // in the way of its shape
	text, err := io.ReadAll(answer.Body)
	var fault map[string]string
	if err != nil || answer.StatusCode != 403 || json.Unmarshal(text, &fault) != nil || len(fault) != 1 || fault["error"] == "" {
		t.Errorf("/v1/me of another host: %d %s %v", answer.StatusCode, text, err)
	}
	for _, host := range []string{"localhost", "127.0.0.1:1", "mcp.example.com", "MCP.example.com:443"} {
		for _, origin := range []string{"", "https://app.example.com", "https://mcp.example.com", "http://localhost:3000"} {
			if answer := ask("/api/tenant", host, origin); answer.StatusCode != 200 {
				t.Errorf("%s from %q answers %d", host, origin, answer.StatusCode)
			}
		}
	}
	for _, path := range []string{"/livez", "/readyz"} {
		if answer := ask(path, "10.0.0.7:8080", "https://evil.example"); answer.StatusCode != 200 {
			t.Errorf("%s answers %d", path, answer.StatusCode)
		}
	}
}

// A client's subscription is a POST that never ends by itself.
func TestSubscriptionDoesNotHoldTheEnd(t *testing.T) {
	h := startHouse(t, serveFlags{})
	answer := h.open("POST", "/mcp", `{"jsonrpc":"2.0","id":1,"method":"subscriptions/listen","params":{"notifications":{"toolsListChanged":true},`+
		`"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientInfo":{"name":"x","version":"1"},"io.modelcontextprotocol/clientCapabilities":{}}}}`,
		"Mcp-Protocol-Version", "2026-07-28", "Mcp-Method", "subscriptions/listen")
	if kind := answer.Header.Get("Content-Type"); answer.StatusCode != 200 || kind != "text/event-stream" {
		data, _ := io.ReadAll(answer.Body)
		t.Fatalf("it answers %d %s %s", answer.StatusCode, kind, data)
	}
	sse := h.open("GET", "/sse", "")
	stream := h.stream()
	h.stopped()
	for name, body := range map[string]io.Reader{"subscription": answer.Body, "sse": sse.Body, "stream": stream.Body} {
		if _, err := io.Copy(io.Discard, body); err != nil {
			t.Errorf("the %s was not ended but cut: %v", name, err)
		}
	}
}

// Errors below /v1/ have one form, whoever finds them.
func TestForeignOriginIsRefusedInTheShape(t *testing.T) {
	h := startHouse(t, serveFlags{})
	for path, kind := range map[string]string{"/v1/me": "application/json", "/api/tenant": "application/problem+json", "/mcp": "application/problem+json"} {
		r := must(http.NewRequest(http.MethodGet, h.url+path, nil))
		r.Header.Set("Origin", "https://elsewhere.example")
		answer := must(http.DefaultClient.Do(r))
		body := string(must(io.ReadAll(answer.Body)))
		_ = answer.Body.Close()
		short := strings.HasPrefix(body, `{"error":"`) && strings.Count(body, `":`) == 1
		if answer.StatusCode != http.StatusForbidden || answer.Header.Get("Content-Type") != kind || short != (path == "/v1/me") {
			t.Errorf("%s: %d %s %s", path, answer.StatusCode, answer.Header.Get("Content-Type"), body)
		}
	}
}
