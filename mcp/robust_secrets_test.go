package mcp_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/mcp"
)

// TestAnswersAreNotKept: what a person answers, which may be a password, is in no
// log at any level and in no audit entry, however the call goes on.
func TestAnswersAreNotKept(t *testing.T) {
	const password = "hunter2-of-the-user"
	core, logs := observer.New(zapcore.DebugLevel)
	w := newWorld(t, func(c *mcp.Config) { c.Log = zap.New(core) })
	k := w.key()
	passed := 0
	for i, modern := range []bool{false, true} {
		up := newUpstream(t, tool("ask", "r"), tool("fail", "r"))
		up.modern = modern
		slug := fmt.Sprintf("u%d", i)
		w.mount(slug, up)
		up.asksAll("ask", `"content":[]`, [2]string{"elicitation/create", form})
		up.asksAll("fail", `"content":[]`, [2]string{"elicitation/create", form})
		fail := up.results["fail"]
		up.on("fail", func(c fakeCall) string {
			if got := fail(c); strings.Contains(got, "input_required") {
				return got
			}
			return answersError + `{"code":"` + password + `"}` // no answer that can be read
		})
		for name, d := range askingDoors {
			for _, called := range []string{"ask", "fail"} {
				for _, answer := range []string{
					`{"action":"accept","content":{"password":"` + password + `"}}`,
					`{"action":"accept","content":{"password":"` + password + `"},"action":"decline"}`,
				} {
					by := map[string]string{"elicitation/create": answer}
					got := d(w, k, canAll, "tools/call", `"name":"`+slug+`__`+called+`"`, by)
					if strings.Contains(string(got.Result), password) {
						passed++
					} else if called == "ask" && got.Error == nil {
						t.Errorf("%s, %s: %s", name, slug, got.Result)
					}
				}
			}
		}
	}
	a := w.modernCan(k, canAll, "tools/call", `"name":"u0__ask","requestState":"made up","inputResponses":{"q":{"action":"`+password+`"}}`)
	if passed == 0 || !strings.Contains(a.body, "requestState is not valid") {
		t.Errorf("%d answers passed, and %s", passed, a.body)
	}
	var list []keys.AuditEntry
	w.until("the last denial or call is recorded", func() bool {
		var err error
		list, err = w.svc.AuditEvents(t.Context(), w.op, keys.AuditQuery{KeyID: k.Key.ID, Limit: 200})
		return err == nil && len(list) >= 2*len(askingDoors)
	})
	kept, err := json.Marshal(list)
	must(t, err)
	if strings.Contains(string(kept), password) {
		t.Errorf("the trail holds it: %s", kept)
	}
	for _, e := range logs.All() {
		if line := fmt.Sprint(e.Message, e.ContextMap()); strings.Contains(line, password) {
			t.Errorf("a log holds it: %s", line)
		}
	}
	if logs.Len() == 0 {
		t.Error("nothing was logged")
	}
}
