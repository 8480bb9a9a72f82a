package e2e_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

// check holds all that was answered against what must be: no wrong accept, no
// odd answer, nothing that was acknowledged lost, every call that was allowed
// recorded once.
func (s *storm) check(t *testing.T) {
	t.Helper()
	if len(s.odd) > 0 {
		t.Errorf("%d answers that are not documented, like %s", len(s.odd), strings.Join(s.odd[:min(len(s.odd), 5)], "\n"))
	}
	s.checkCalls(t)
	for _, k := range s.keys {
		s.checkKey(t, k)
	}
	var problem string
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(200 * time.Millisecond) {
		if problem = s.untold(t); problem == "" {
			return
		}
	}
	t.Error(problem)
}

// checkCalls finds each call that was allowed though it began after an edit had
// answered that took the right away, and ended before one began that gave it back.
func (s *storm) checkCalls(t *testing.T) {
	t.Helper()
	allowed, refused := 0, 0
	for i := range s.calls {
		c := &s.calls[i]
		if taken := c.key.takenDuring(c.began, c.ended); taken != nil && c.allowed {
			t.Errorf("a call at server %d was allowed %s after a %s of its key had answered",
				c.server, c.began.Sub(taken.ended), taken.taking.name)
		} else if taken != nil {
			refused++
		}
		if c.allowed {
			allowed++
		}
	}
	if allowed == 0 || refused == 0 {
		t.Errorf("%d calls were allowed, and %d came after a right was taken away: one side was never tried", allowed, refused)
	}
}

// takenDuring is the edit by which a key surely had no right from one time to another.
func (k *stormKey) takenDuring(from, to time.Time) *stormEdit {
	for _, how := range stormTakings {
		var taken *stormEdit
		for i := range k.edits {
			e := &k.edits[i]
			switch {
			case e.taking.name != how.name:
			case e.takes && e.acknowledged() && !e.ended.After(from):
				taken = e
			case !e.takes && !e.began.After(to):
				taken = nil
			}
		}
		if taken != nil {
			return taken
		}
	}
	return nil
}

// checkKey reads a key back: it is what the last acknowledged edit made of it,
// or a later one of which nobody knows whether it took place.
func (s *storm) checkKey(t *testing.T, k *stormKey) {
	t.Helper()
	got := s.send(0, http.MethodGet, "/api/api-keys/"+k.id, nil)
	var is struct {
		Version          int64
		MCPActive        bool
		MCPAllowlistMode string
		RevokedAt        *string
	}
	if got.status != http.StatusOK || json.Unmarshal(got.body, &is) != nil {
		t.Errorf("key %s was acknowledged and is gone: %d %s", k.id, got.status, got.body)
		return
	}
	now := map[string]bool{"pause": !is.MCPActive, "narrow": is.MCPAllowlistMode == "allow", "revoke": is.RevokedAt != nil}
	for _, how := range stormTakings {
		may := []bool{false}
		for _, e := range k.edits {
			switch {
			case e.taking.name != how.name:
			case e.acknowledged():
				may = []bool{e.takes}
			default:
				may = append(may, e.takes)
			}
		}
		if !slices.Contains(may, now[how.name]) {
			t.Errorf("key %s: %s is %v in the store, acknowledged was %v: %s", k.id, how.name, now[how.name], may, k.history())
		}
	}
	for _, e := range k.edits {
		if e.acknowledged() && e.version > is.Version {
			t.Errorf("key %s has version %d, acknowledged was %d", k.id, is.Version, e.version)
		}
	}
}

func (k *stormKey) history() string {
	var lines []string
	for _, e := range k.edits {
		lines = append(lines, fmt.Sprintf("%s %v: %d, version %d", e.taking.name, e.takes, e.status, e.version))
	}
	return strings.Join(lines, "; ")
}

// untold tells what the audit trail lacks, or has twice: every acknowledged
// edit, and every call that was allowed, is there once. A call whose answer was
// lost may be there or not.
func (s *storm) untold(t *testing.T) string {
	t.Helper()
	edits, calls := map[string]int{}, map[string]int{}
	for _, e := range trail(t, rest{s.servers[0].url, s.token}) {
		switch {
		case e.Kind == "change":
			edits[fmt.Sprint(e.Subject, " ", e.Epoch)]++
			edits[e.Subject+" "+e.Action]++
		case e.Kind == "call" && e.Outcome == "ok": // else it was cut off by an edit
			calls[e.KeyID]++
		}
	}
	for _, k := range s.keys {
		for _, e := range k.edits {
			at := fmt.Sprint(k.id, " ", e.version)
			if e.taking.name == "revoke" {
				at = k.id + " key.revoke"
			}
			if e.acknowledged() && edits[at] != 1 {
				return fmt.Sprintf("an acknowledged %s is recorded %d times (%s)", e.taking.name, edits[at], at)
			}
		}
		sure, perhaps := 0, 0
		for i := range s.calls {
			switch c := &s.calls[i]; {
			case c.key != k:
			case c.allowed:
				sure++
			case c.status == 0:
				perhaps++
			}
		}
		if n := calls[k.id]; n < sure || n > sure+perhaps {
			return fmt.Sprintf("%d calls of key %s were allowed (%d more got no answer), %d are recorded", sure, k.id, perhaps, n)
		}
	}
	return ""
}
