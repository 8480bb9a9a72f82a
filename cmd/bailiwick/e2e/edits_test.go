package e2e_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

// notesServer is a server with the sample upstream mounted as notes, beside
// the operator's own words on it: fast to start, four tools of three effects.
func notesServer(t testing.TB, args ...string) *mounted {
	t.Helper()
	m := &mounted{server: serve(t, args...), projects: map[string]string{}, instances: map[string]string{}}
	m.project(t, "alpha")
	m.stdio(t, "alpha", "notes", notesBin)
	m.settle(t, "notes__delete_note")
	return m
}

// TestEditsTakeEffectOnTheNextRequest pauses, resumes, narrows and revokes a
// key between two requests of its clients.
func TestEditsTakeEffectOnTheNextRequest(t *testing.T) {
	t.Parallel()
	m := notesServer(t)
	id, token := m.rest().key(t, fullAccess())
	session, stateless := openSession(t, m.url+"/mcp", token), modern{m.url + "/mcp", token}
	clients := map[string]mcpClient{legacyVersion: session, modernVersion: stateless}
	expect := func(when string, status int, has string) {
		t.Helper()
		for era, client := range clients {
			got := callTool(t, client, "notes__read_note", object{"title": "standup"})
			if got.status != status || !strings.Contains(string(got.body), has) {
				t.Errorf("%s, %s: %d %s, want %d with %q", when, era, got.status, got.body, status, has)
			}
		}
	}
	key := "/api/api-keys/" + id
	expect("at first", 200, "Monday")
	m.rest().must(t, http.MethodPatch, key+"/toggle", nil)
	expect("paused", 403, `"key_paused"`)
	m.rest().must(t, http.MethodPatch, key+"/toggle", nil)
	expect("resumed", 200, "Monday")
	m.rest().must(t, http.MethodPut, key, object{"mcpAllowlistMode": "allow", "mcpToolAllowlist": []string{"list_notes"}})
	expect("narrowed", 200, "Unknown tool: notes__read_note (ref ")
	for era, client := range clients {
		if tools := listTools(t, client); len(tools) != 2 || tools["notes__list_notes"] == nil || tools["whoami"] == nil {
			t.Errorf("narrowed, %s: lists %v", era, tools)
		}
	}
	m.rest().must(t, http.MethodDelete, key, nil)
	expect("revoked", 401, "")
}

// TestRevokeCutsOpenStreams: both kinds of stream end within one second.
func TestRevokeCutsOpenStreams(t *testing.T) {
	t.Parallel()
	m := notesServer(t)
	id, token := m.rest().key(t, fullAccess())
	_, other := m.rest().key(t, with(fullAccess(), object{"name": "bystander"}))
	streams := map[string]*stream{"GET": openGET(t, m, token), "subscriptions/listen": openListen(t, m, token)}
	bystander := openGET(t, m, other)
	m.rest().must(t, http.MethodDelete, "/api/api-keys/"+id, nil)
	answered := time.Now()
	for what, s := range streams {
		// One second is the promise; a second more is for this machine.
		select {
		case <-s.ended:
			t.Logf("%s ended %s after the answer", what, time.Since(answered).Round(time.Millisecond))
		case <-time.After(2*time.Second - time.Since(answered)):
			t.Errorf("%s of a revoked key is open 2 s after the revoke was answered", what)
		}
	}
	select {
	case <-bystander.ended:
		t.Error("the stream of another key ended too")
	default:
	}
}

// TestListChangedReachesWhoSeesTheChange: an edit that takes tools away tells
// the key's own streams, and nobody else's.
func TestListChangedReachesWhoSeesTheChange(t *testing.T) {
	t.Parallel()
	m := notesServer(t)
	id, token := m.rest().key(t, fullAccess())
	_, other := m.rest().key(t, with(fullAccess(), object{"name": "bystander"}))
	streams := map[string]*stream{"GET": openGET(t, m, token), "subscriptions/listen": openListen(t, m, token)}
	bystander := openGET(t, m, other)
	m.rest().must(t, http.MethodPut, "/api/api-keys/"+id, object{"mcpReadOnly": true})
	for what, s := range streams {
		eventually(t, what+" hears of the change", func() string {
			if seen := s.log.String(); !strings.Contains(seen, "notifications/tools/list_changed") {
				return fmt.Sprintf("got %q", seen)
			}
			return ""
		})
	}
	if seen := bystander.log.String(); strings.Contains(seen, "list_changed") {
		t.Errorf("another key's stream hears of it: %q", seen)
	}
}

// stream is an open event stream.
type stream struct {
	log   lockedBuffer
	ended chan struct{}
}

func openGET(t *testing.T, m *mounted, token string) *stream {
	t.Helper()
	session := openSession(t, m.url+"/mcp", token)
	listTools(t, session)
	request, err := http.NewRequest(http.MethodGet, session.url, nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+token)
	request.Header.Set("Accept", "text/event-stream")
	request.Header.Set("Mcp-Session-Id", session.session)
	request.Header.Set("Mcp-Protocol-Version", legacyVersion)
	return follow(t, must2(http.DefaultClient.Do(request))(t))
}

func openListen(t *testing.T, m *mounted, token string) *stream {
	t.Helper()
	message, header := modern{m.url + "/mcp", token}.request("subscriptions/listen",
		object{"notifications": object{"toolsListChanged": true}})
	s := follow(t, must2(begin(m.url+"/mcp", token, message, header))(t))
	eventually(t, "subscription acknowledged", func() string {
		if !strings.Contains(s.log.String(), "acknowledged") {
			return fmt.Sprintf("got %q", s.log.String())
		}
		return ""
	})
	return s
}

func follow(t *testing.T, response *http.Response) *stream {
	t.Helper()
	t.Cleanup(func() { _ = response.Body.Close() })
	if response.StatusCode != 200 || !strings.HasPrefix(response.Header.Get("Content-Type"), "text/event-stream") {
		body := make([]byte, 512)
		n, _ := response.Body.Read(body)
		t.Fatalf("no stream: %d %s", response.StatusCode, body[:n])
	}
	s := &stream{ended: make(chan struct{})}
	go func() {
		defer close(s.ended)
		lines := bufio.NewScanner(response.Body)
		for lines.Scan() {
			fmt.Fprintln(&s.log, lines.Text())
		}
	}()
	return s
}

func must2(response *http.Response, err error) func(testing.TB) *http.Response {
	return func(t testing.TB) *http.Response {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return response
	}
}

// text is the first text of a tool's result, and whether it is an error.
func text(t testing.TB, a answer) (string, bool) {
	t.Helper()
	var result struct {
		Content []struct{ Text string }
		IsError bool
	}
	if err := json.Unmarshal(a.result(t), &result); err != nil || len(result.Content) == 0 {
		t.Fatalf("no tool result: %v %s", err, a.body)
	}
	return result.Content[0].Text, result.IsError
}
