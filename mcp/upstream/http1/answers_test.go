package http1_test

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// script is a server that answers each request of a connection with the next of some
// bytes, and closes the connection behind the last.
type script struct {
	url   string
	conns atomic.Int64  // accepted
	asked atomic.Int64  // requests read
	ended chan struct{} // one for each connection that was closed
}

func newScript(t *testing.T, answers ...string) *script {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &script{url: "http://" + listener.Addr().String(), ended: make(chan struct{}, 1000)}
	var open sync.WaitGroup
	t.Cleanup(func() { _ = listener.Close(); open.Wait() })
	open.Go(func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			s.conns.Add(1)
			open.Go(func() { s.serve(c, answers) })
		}
	})
	return s
}

func (s *script) serve(c net.Conn, answers []string) {
	defer func() { _ = c.Close(); s.ended <- struct{}{} }()
	_ = c.SetDeadline(time.Now().Add(patience))
	in := bufio.NewReader(c)
	for _, answer := range answers {
		req, err := http.ReadRequest(in)
		if err != nil {
			return
		}
		_, _ = io.Copy(io.Discard, req.Body)
		s.asked.Add(1)
		if _, err := io.WriteString(c, answer); err != nil {
			return
		}
	}
}

// TestAnswersLikeTheStandardLibrary: its transport is the judge of what an answer is.
func TestAnswersLikeTheStandardLibrary(t *testing.T) {
	long := strings.Repeat("x", 70_000)
	// What has no end of its own ends with the connection.
	open := []string{"chunks, cut", "to the end", "HTTP/1.0", "cut head", "cut body", "no status", "no HTTP", "silence", "an unknown coding", "a bad header"}
	for name, answer := range map[string]string{
		"length":             "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
		"large":              "HTTP/1.1 200 OK\r\nContent-Length: 70000\r\n\r\n" + long,
		"nothing":            "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
		"204":                "HTTP/1.1 204 No Content\r\n\r\n",
		"304":                "HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n",
		"error":              "HTTP/1.1 503 Away\r\nContent-Length: 4\r\n\r\naway",
		"chunks":             "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n3\r\n yes\r\n0\r\n\r\n",
		"chunks, cut":        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n3\r\n yes\r\n",
		"chunks, size":       "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nok\r\n0\r\n\r\n",
		"trailer":            "HTTP/1.1 200 OK\r\nTrailer: X-T\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-T: v\r\n\r\n",
		"to the end":         "HTTP/1.1 200 OK\r\n\r\nall of it",
		"HTTP/1.0":           "HTTP/1.0 200 OK\r\n\r\nall of it",
		"1.0 kept":           "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok",
		"closing":            "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok",
		"informed":           "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
		"continue":           "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
		"informed for good":  strings.Repeat("HTTP/1.1 103 Early Hints\r\n\r\n", 400) + "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
		"cut head":           "HTTP/1.1 200 OK\r\nContent-Le",
		"cut body":           "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok",
		"no status":          "HTTP/1.1\r\n\r\n",
		"no HTTP":            "SSH-2.0-OpenSSH_9.2\r\n",
		"silence":            "",
		"two lengths":        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nokk",
		"length below 0":     "HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\nok",
		"length and chunks":  "HTTP/1.1 200 OK\r\nContent-Length: 9\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
		"an unknown coding":  "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nok",
		"a bad header":       "HTTP/1.1 200 OK\r\nBad Name: x\r\nContent-Length: 2\r\n\r\nok",
		"a long head":        "HTTP/1.1 200 OK\r\nX: " + long + "\r\nContent-Length: 2\r\n\r\nok",
		"two answers at one": "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil",
	} {
		for method, body := range map[string]string{"POST": `{"a":1}`, "GET": "", "HEAD": ""} {
			t.Run(name+"/"+method, func(t *testing.T) {
				t.Parallel()
				judge := &http.Transport{DisableCompression: true, MaxResponseHeaderBytes: 4 << 10}
				defer judge.CloseIdleConnections()
				answers := []string{answer, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nnext"}
				if slices.Contains(open, name) {
					answers = answers[:1]
				}
				ours, judged := newScript(t, answers...), newScript(t, answers...)
				tr := newTransport(t)
				for n := range 2 { // the second one on a connection that was kept, where it was
					want, wantErr := ask(judge, method, judged.url, body)
					is, err := ask(tr, method, ours.url, body)
					if is != want {
						t.Fatalf("request %d: got %+v (%v), want %+v (%v)", n, is, err, want, wantErr)
					}
				}
			})
		}
	}
}
