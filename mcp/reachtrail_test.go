package mcp_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"github.com/bailiwick-mcp/bailiwick/keys"
)

// trailOf are the events that a caller is told, each as text.
func trailOf(c *legacy) (out []string) {
	for _, e := range into[struct{ Events []json.RawMessage }](c, "list_audit_events", `{"limit":200}`).Events {
		out = append(out, string(e))
	}
	return out
}

// TestTrailTellsNoHiddenToolFromNone: of a restricted caller's own denials, that of a
// hidden tool is told as that of one that is not there, member by member.
func TestTrailTellsNoHiddenToolFromNone(t *testing.T) {
	_, callers := reachWorld(t)
	for name, c := range callers {
		told := func(tool string) map[string]any {
			c.call(tool, `{}`)
			var found map[string]any
			c.w.until("the denial is told", func() bool {
				for _, text := range trailOf(c) {
					if strings.Contains(text, `"tool":"`+tool+`"`) {
						must(t, json.Unmarshal([]byte(text), &found))
					}
				}
				return found != nil
			})
			for _, own := range []string{"id", "time", "ref", "seq", "tool"} {
				delete(found, own)
			}
			return found
		}
		hidden, none := told("far__read_y"), told("far__nope")
		for member := range none {
			got, _ := json.Marshal(hidden[member])
			want, _ := json.Marshal(none[member])
			if string(got) != string(want) {
				t.Errorf("%s: %s tells them apart: %s, %s", name, member, got, want)
			}
		}
	}
}

// TestTrailOfApprovalsWithinReach: who answered for a call of a hidden tool is told
// as little as the call.
func TestTrailOfApprovalsWithinReach(t *testing.T) {
	w, callers := reachWorld(t)
	k := w.key()
	agent, err := w.svc.Authenticate(context.Background(), k.Secret)
	must(t, err)
	for _, call := range []keys.HeldCall{{Action: "tools/call", Subject: "far/read_y", Tool: "far__read_y"}, {Action: "tools/call", Subject: "near/read_x", Tool: "near__read_x"}} {
		a, _, err := w.svc.HoldCall(t.Context(), agent, call)
		must(t, err)
		w.decided(a.ID, true, "")
	}
	for name, c := range callers {
		got := strings.Join(trailOf(c), "\n")
		if strings.Contains(got, "far/read_y") || strings.Contains(got, "far__read_y") || strings.Count(got, "approval.approve") != 1 {
			t.Errorf("%s: %s", name, got)
		}
	}
}
