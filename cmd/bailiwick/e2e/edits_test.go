package e2e_test

import (
	"encoding/json"
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

// rounds is how many edits of another tenant are heard, one after the other,
// before a stream that should have been cut counts as open. They pass through
// the same reviewer of streams, so the second already comes after the cut; the
// others are for its way to the client.
const rounds = 100

// TestRevokeCutsOpenStreams: every kind of stream ends with the revoke, which
// is all that happens in its tenant. Others go on.
func TestRevokeCutsOpenStreams(t *testing.T) {
	t.Parallel()
	m := notesServer(t)
	foreign := newTeller(t, m.server)
	id, token := m.rest().key(t, fullAccess())
	_, other := m.rest().key(t, with(fullAccess(), object{"name": "bystander"}))
	streams := openAll(t, m, token)
	bystander := openGET(t, m.server, other)
	m.rest().must(t, http.MethodDelete, "/api/api-keys/"+id, nil)
	for _, s := range streams {
		for round := 0; !s.over(); round++ {
			if round == rounds {
				t.Errorf("%s of a revoked key is open after %d later edits were heard", s.kind, rounds)
				break
			}
			foreign.tell(t)
		}
	}
	if bystander.over() {
		t.Error("the stream of another key ended too")
	}
}

// teller is a key of another tenant that hears of its own edits.
type teller struct {
	rest
	key      string
	stream   *stream
	readOnly bool
}

func newTeller(t *testing.T, s *server) *teller {
	t.Helper()
	theirs := rest{s.url, otherTenant(t, s).token}
	id, token := theirs.key(t, with(fullAccess(), object{"permissions": []string{"*"}, "mcpInstanceIds": []string{}}))
	return &teller{rest: theirs, key: id, stream: openGET(t, s, token)}
}

// tell takes the tools that write away or gives them back, and waits until the
// stream says so.
func (o *teller) tell(t *testing.T) {
	t.Helper()
	before := o.stream.changes()
	o.readOnly = !o.readOnly
	o.must(t, http.MethodPut, "/api/api-keys/"+o.key, object{"mcpReadOnly": o.readOnly})
	for late := time.Now().Add(patience); o.stream.changes() == before; time.Sleep(time.Millisecond) {
		if time.Now().After(late) {
			t.Fatalf("another tenant's edit is not heard: %q", o.stream.log.String())
		}
	}
}

// TestListChangedReachesWhoSeesTheChange: an edit that takes tools away tells
// the key's own streams, and nobody else's.
func TestListChangedReachesWhoSeesTheChange(t *testing.T) {
	t.Parallel()
	m := notesServer(t)
	id, token := m.rest().key(t, fullAccess())
	_, other := m.rest().key(t, with(fullAccess(), object{"name": "bystander"}))
	streams := openAll(t, m, token)
	bystander := openGET(t, m.server, other)
	m.rest().must(t, http.MethodPut, "/api/api-keys/"+id, object{"mcpReadOnly": true})
	for _, s := range streams {
		s.await(t, "notifications/tools/list_changed")
	}
	if bystander.changes() != 0 {
		t.Errorf("another key's stream hears of it: %q", bystander.log.String())
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
