package e2e_test

import (
	"bufio"
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// stream is an open event stream.
type stream struct {
	kind  string
	log   lockedBuffer
	ended chan struct{}
}

// over reports whether it has ended.
func (s *stream) over() bool {
	select {
	case <-s.ended:
		return true
	default:
		return false
	}
}

// changes is how many changes of the list it has told of.
func (s *stream) changes() int {
	return strings.Count(s.log.String(), "notifications/tools/list_changed")
}

// openAll opens every kind of stream there is.
func openAll(t *testing.T, m *mounted, token string) []*stream {
	t.Helper()
	return []*stream{openGET(t, m.server, token), openListen(t, m, token), openSSE(t, m, token)}
}

func openGET(t *testing.T, s *server, token string) *stream {
	t.Helper()
	session := openSession(t, s.url+"/mcp", token)
	listTools(t, session)
	header := http.Header{}
	header.Set("Mcp-Session-Id", session.session)
	header.Set("Mcp-Protocol-Version", legacyVersion)
	return follow(t, "GET", getStream(t, session.url, token, header))
}

// openSSE opens the stream of the transport of 2024-11-05 and its session.
func openSSE(t *testing.T, m *mounted, token string) *stream {
	t.Helper()
	s := follow(t, "SSE", getStream(t, m.url+"/sse", token, http.Header{}))
	s.await(t, "/message?sessionId=")
	_, path, _ := strings.Cut(s.log.String(), "data: ")
	path, _, _ = strings.Cut(path, "\n")
	session := &legacy{url: m.url + path, token: token}
	got := must(session.ask("initialize", object{"protocolVersion": "2024-11-05", "capabilities": object{},
		"clientInfo": object{"name": "e2e-raw", "version": "1"}}))(t)
	if got.status != http.StatusAccepted {
		t.Fatalf("initialize over SSE: %d %s", got.status, got.body)
	}
	s.await(t, `"protocolVersion":"2024-11-05"`)
	return s
}

func getStream(t *testing.T, url, token string, header http.Header) *http.Response {
	t.Helper()
	request, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header = header
	request.Header.Set("Authorization", "Bearer "+token)
	request.Header.Set("Accept", "text/event-stream")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	return response
}

func openListen(t *testing.T, m *mounted, token string) *stream {
	t.Helper()
	message, header := modern{m.url + "/mcp", token}.request("subscriptions/listen",
		object{"notifications": object{"toolsListChanged": true}})
	response, err := begin(m.url+"/mcp", token, message, header)
	if err != nil {
		t.Fatal(err)
	}
	s := follow(t, "subscriptions/listen", response)
	s.await(t, "acknowledged")
	return s
}

// await waits until the stream has said it.
func (s *stream) await(t *testing.T, what string) {
	t.Helper()
	eventually(t, what+" on "+s.kind, func() string {
		if seen := s.log.String(); !strings.Contains(seen, what) {
			return fmt.Sprintf("got %q", seen)
		}
		return ""
	})
}

func follow(t *testing.T, kind string, response *http.Response) *stream {
	t.Helper()
	t.Cleanup(func() { _ = response.Body.Close() })
	if response.StatusCode != 200 || !strings.HasPrefix(response.Header.Get("Content-Type"), "text/event-stream") {
		body := make([]byte, 512)
		n, _ := response.Body.Read(body)
		t.Fatalf("no stream: %d %s", response.StatusCode, body[:n])
	}
	s := &stream{kind: kind, ended: make(chan struct{})}
	go func() {
		defer close(s.ended)
		lines := bufio.NewScanner(response.Body)
		lines.Buffer(nil, 1<<20)
		for lines.Scan() {
			fmt.Fprintln(&s.log, lines.Text())
		}
	}()
	return s
}
