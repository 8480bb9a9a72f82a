package e2e_test

import (
	"fmt"
	"net/http"
	"slices"
	"testing"
)

// event is a line of the audit trail about a key.
type event struct {
	ID, Kind, Action, Subject string
	KeyID, Decision, Outcome  string
	Epoch                     int64
	Detail                    struct {
		Before, After struct {
			Description *string
			MCPActive   *bool
		}
	}
}

// trail is the whole audit trail, oldest first.
func trail(t *testing.T, r rest) []event {
	t.Helper()
	var all []event
	for cursor := ""; ; {
		var page struct {
			Events []event
			Next   *string
		}
		status, body := r.do(t, http.MethodGet, "/api/audit?limit=200"+cursor, nil)
		if got := (answered{status: status, body: body}); !got.into(&page) {
			t.Fatalf("audit: %d %.300s", status, body)
		}
		all = append(all, page.Events...)
		if page.Next == nil {
			slices.Reverse(all)
			return all
		}
		cursor = "&cursor=" + *page.Next
	}
}

// check holds what was acknowledged against what was recorded and stored.
func (l *load) check(t *testing.T, r rest) {
	t.Helper()
	if least := 10; len(l.updates) < least || len(l.toggles) < least || len(l.created) < least {
		t.Fatalf("only %d updates, %d toggles, %d keys made", len(l.updates), len(l.toggles), len(l.created))
	}
	byKey, made, revoked := map[string][]event{}, map[string]int{}, map[string]int{}
	for _, e := range trail(t, r) {
		switch e.Action {
		case "key.update", "key.toggle":
			byKey[e.Subject] = append(byKey[e.Subject], e)
		case "key.create":
			made[e.Subject]++
			byKey[e.Subject] = append(byKey[e.Subject], e)
		case "key.revoke":
			revoked[e.Subject]++
		}
	}
	changes := 0
	for _, id := range l.shared {
		changes += len(byKey[id]) - 1 // the first is the create
		checkChain(t, r, id, byKey[id])
	}
	if changes != len(l.updates)+len(l.toggles) {
		t.Errorf("%d changes are recorded, %d updates and %d toggles were acknowledged", changes, len(l.updates), len(l.toggles))
	}
	l.checkChanges(t, byKey)
	live := 1 + loadShared // and the first key
	for id, lives := range l.created {
		if lives {
			live++
		}
		if made[id] != 1 || (revoked[id] != 1) != lives {
			t.Errorf("%s (live: %v) is recorded as made %d times, revoked %d", id, lives, made[id], revoked[id])
		}
	}
	if total := r.must(t, http.MethodGet, "/api/api-keys", nil)["total"]; total != float64(live) || len(made) != len(l.created)+1+loadShared {
		t.Errorf("%v keys live and %d made, acknowledged were %d and %d", total, len(made), live, len(l.created)+1+loadShared)
	}
}

// checkChanges finds each acknowledged change exactly once.
func (l *load) checkChanges(t *testing.T, byKey map[string][]event) {
	t.Helper()
	at := map[change]int{}
	wrote := map[string]int{}
	for id, events := range byKey {
		for i, e := range events[1:] {
			after := e.Detail.After
			if after.Description != nil {
				wrote[*after.Description]++
				at[change{key: id, version: e.Epoch}]++
				if of := l.updates[*after.Description].of; of != fmt.Sprintf("%q", fmt.Sprint(events[i].Epoch)) {
					t.Errorf("%s: version %d was to replace %s, and replaced %d: an update is lost", id, e.Epoch, of, events[i].Epoch)
				}
			}
			if after.MCPActive != nil {
				at[change{id, e.Epoch, *after.MCPActive}]++
			}
		}
	}
	for description, u := range l.updates {
		c := u.change
		if wrote[description] != 1 || at[c] != 1 {
			t.Errorf("%s of %s, version %d, is recorded %d times", description, c.key, c.version, wrote[description])
		}
	}
	for _, c := range l.toggles {
		if at[c] != 1 {
			t.Errorf("the toggle of %s to %v, version %d, is recorded %d times", c.key, c.active, c.version, at[c])
		}
	}
}

// checkChain holds each change of a key to begin where the one before ended,
// and the key to be what the last one made of it.
func checkChain(t *testing.T, r rest, id string, events []event) {
	t.Helper()
	version, description, active := events[0].Epoch, "", true
	for _, e := range events[1:] {
		before, after := e.Detail.Before, e.Detail.After
		if e.Epoch <= version {
			t.Errorf("%s: version %d after %d", id, e.Epoch, version)
		}
		version = e.Epoch
		if after.Description != nil {
			if *before.Description != description {
				t.Errorf("%s: version %d replaces %q, the last was %q: an update is lost", id, version, *before.Description, description)
			}
			description = *after.Description
		}
		if after.MCPActive != nil {
			if *before.MCPActive != active || *after.MCPActive == active {
				t.Errorf("%s: version %d flips from %v, it was %v", id, version, *before.MCPActive, active)
			}
			active = *after.MCPActive
		}
	}
	got := r.must(t, http.MethodGet, "/api/api-keys/"+id, nil)
	if got["version"] != float64(version) || got["description"] != description || got["mcpActive"] != active {
		t.Errorf("%s is %v, the last change made it %q, active %v, version %d", id, got, description, active, version)
	}
}
