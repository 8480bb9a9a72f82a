package mcp_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/mcp"
	"github.com/bailiwick-mcp/bailiwick/policy"
)

// heldWorld has the tools a1__read_x and a1__drop_x, of which a key of its own may
// call the latter with a person's approval only.
type heldWorld struct {
	*world
	up *fakeUpstream
	k  keys.Issued
}

// patient waits longer than any test, hasty not at all.
func patient(c *mcp.Config) { c.ApprovalPoll, c.ApprovalPause = 10*time.Millisecond, time.Hour }
func hasty(c *mcp.Config)   { c.ApprovalPoll, c.ApprovalPause = 10*time.Millisecond, time.Nanosecond }

func needing(tool string, effect policy.Effect) func(*keys.NewKey) {
	return func(n *keys.NewKey) { n.MCPApprovals = keys.Some([]policy.ApprovalRule{{Tool: tool, Effect: effect}}) }
}

func newHeldWorld(t *testing.T, edits ...func(*mcp.Config)) *heldWorld {
	t.Helper()
	h := &heldWorld{world: newWorld(t, edits...), up: newUpstream(t, tool("read_x", "r"), tool("drop_x", "d"))}
	h.mount("a1", h.up)
	h.k = h.key(needing("*", policy.EffectDestructive))
	return h
}

const dropX = `"name":"a1__drop_x","arguments":{"id":7, "why":"a <b>"}`

func (h *heldWorld) dropped() int { return len(h.up.seen()) }

// listed are the approvals of a status.
func (w *world) listed(status keys.ApprovalStatus) []keys.CallApproval {
	w.t.Helper()
	list, err := w.svc.CallApprovals(context.Background(), w.op, keys.CallApprovalQuery{Status: status})
	must(w.t, err)
	return list
}

// waits is the one approval that is pending.
func (w *world) waits() (a keys.CallApproval) {
	w.t.Helper()
	w.until("a call waits for approval", func() bool {
		list := w.listed(keys.ApprovalPending)
		if len(list) == 1 {
			a = list[0]
		}
		return len(list) == 1
	})
	return a
}

func (w *world) decided(id string, approve bool, reason string) {
	w.t.Helper()
	_, err := w.svc.DecideCall(context.Background(), w.op, id, keys.ApprovalDecision{Approve: approve, Reason: reason})
	must(w.t, err)
}

// later makes a call beside the test.
func later(call func() answer) <-chan answer {
	done := make(chan answer, 1)
	go func() { done <- call() }()
	return done
}

func (w *world) comes(c <-chan answer) answer {
	w.t.Helper()
	select {
	case a := <-c:
		return a
	case <-time.After(10 * time.Second):
		w.t.Fatal("no answer came")
		return answer{}
	}
}

// held is the error of a call that is not approved.
func held(t *testing.T, a answer, status string) (message, id string) {
	t.Helper()
	m := parse(t, a.body)
	var data struct{ ApprovalID, Status, ExpiresAt string }
	if m.Error == nil || m.Error.Code != -32030 || json.Unmarshal(m.Error.Data, &data) != nil || data.Status != status ||
		data.ApprovalID == "" || data.ExpiresAt == "" || a.status != 200 {
		t.Fatalf("got %d %s, want the error -32030, %s", a.status, a.body, status)
	}
	return m.Error.Message, data.ApprovalID
}

func passed(t *testing.T, a answer) {
	t.Helper()
	if a.status != 200 || !strings.Contains(a.body, `"text":"ok"`) {
		t.Errorf("the call did not pass: %d %s", a.status, a.body)
	}
}

// TestHeldCall: it waits in either era, is shown as it came, passes when a person
// says so, once, and leaves each step in the trail. Others are not held, and none is
// hidden.
func TestHeldCall(t *testing.T) {
	for era, call := range map[string]func(h *heldWorld) func(params string) answer{
		"legacy": func(h *heldWorld) func(string) answer {
			c := h.connect(h.k, "/mcp")
			return func(params string) answer { return c.send(request(1, "tools/call", params)) }
		},
		"modern": func(h *heldWorld) func(string) answer {
			return func(params string) answer { return h.modern(h.k, "/mcp", "tools/call", params) }
		},
	} {
		t.Run(era, func(t *testing.T) {
			h := newHeldWorld(t, patient, func(c *mcp.Config) { c.AuditSkip = 1 })
			send := call(h)
			passed(t, send(`"name":"a1__read_x"`))
			if got := h.connect(h.k, "/mcp").list(); !slices.Contains(got, "a1__drop_x") {
				t.Errorf("a tool that needs approval is hidden: %v", got)
			}
			before := h.dropped()
			c := later(func() answer { return send(dropX) })
			a := h.waits()
			want := keys.CallApproval{ID: a.ID, TenantID: h.op.TenantID(), Status: keys.ApprovalPending, Actor: h.k.Key.ID, KeyID: h.k.Key.ID,
				KeyHandle: h.k.Key.Handle, KeyVersion: h.k.Key.Version, Action: "tools/call", Subject: "a1/drop_x", Tool: "a1__drop_x",
				ArgsDigest: a.ArgsDigest, Client: "test/1", Epoch: a.Epoch, CreatedAt: a.CreatedAt, ExpiresAt: a.CreatedAt.Add(10 * time.Minute)}
			if a != want {
				t.Errorf("asked: %+v\nwant %+v", a, want)
			}
			shown, err := h.svc.CallApproval(t.Context(), h.op, a.ID)
			must(t, err)
			if string(shown.Arguments) != `{"id":7, "why":"a <b>"}` || shown.Omitted {
				t.Errorf("shown: %s", shown.Arguments)
			}
			if h.dropped() != before {
				t.Error("the call was made before it was approved")
			}
			h.decided(a.ID, true, "fine")
			passed(t, h.comes(c))
			if used := h.listed(keys.ApprovalUsed); len(used) != 1 || used[0].ID != a.ID || used[0].UsedAt == nil || used[0].DecidedBy != "operator" {
				t.Errorf("used: %+v", used)
			}
			h.trail(t, a.ID)
			c = later(func() answer { return send(dropX) }) // the approval was for one call
			second := h.waits()
			if h.decided(second.ID, false, "not twice"); second.ID == a.ID || h.dropped() != before+1 {
				t.Error("an approval was used twice")
			}
			if text, _ := held(t, h.comes(c), "denied"); !strings.Contains(text, "not twice") {
				t.Errorf("denied: %s", text)
			}
		})
	}
}

// trail holds what is recorded of an approval that was used: that it was asked for,
// who approved it, and the call, whatever the sampling.
func (h *heldWorld) trail(t *testing.T, id string) {
	t.Helper()
	var got []string
	h.until("all is recorded", func() bool {
		list, err := h.svc.AuditEvents(t.Context(), h.op, keys.AuditQuery{Oldest: true, Limit: 200})
		must(t, err)
		got = nil
		for _, e := range list {
			if e.Subject == id || strings.Contains(string(e.Detail), id) {
				got = append(got, fmt.Sprint(e.Kind, " ", e.Action, " ", e.Decision, " ", e.Failed, " ", e.Actor == h.k.Key.ID, " ", e.Ref != ""))
			}
		}
		return len(got) >= 3
	})
	slices.Sort(got)
	if want := []string{"call tools/call allow [] true false", "change approval.approve allow [] false false",
		"decision tools/call deny [approval.required] true true"}; !slices.Equal(got, want) {
		t.Errorf("recorded:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// TestHeldCallAgain: a client that does not wait, or gives up, is told whom to ask,
// and goes on with the same approval when it makes the same call again.
func TestHeldCallAgain(t *testing.T) {
	h := newHeldWorld(t, hasty)
	c := h.connect(h.k, "/mcp")
	send := func(params string) answer { return c.send(request(1, "tools/call", params)) }
	text, id := held(t, send(dropX), "pending")
	if !strings.Contains(text, "the approval "+id) || strings.Contains(text, "bailiwick ") {
		t.Errorf("it does not say what to do, or has a command that an agent could run: %s", text)
	}
	if _, again := held(t, send(dropX), "pending"); again != id {
		t.Error("the same call asks again")
	}
	if _, other := held(t, h.modern(h.k, "/mcp", "tools/call", dropX), "pending"); other != id {
		t.Error("the same call in the other era asks again")
	}
	h.decided(id, true, "")
	for name, params := range map[string]string{
		"another value":   strings.Replace(dropX, "7", "8", 1),
		"another spacing": strings.Replace(dropX, "7, ", "7,", 1),
		"none":            `"name":"a1__drop_x"`,
	} {
		if _, other := held(t, send(params), "pending"); other == id {
			t.Errorf("arguments with %s take the approval of others", name)
		}
	}
	other := h.key(needing("*", policy.EffectRead))
	if _, foreign := held(t, h.connect(other, "/mcp").call("a1__drop_x", `{"id":7, "why":"a <b>"}`), "pending"); foreign == id {
		t.Error("another key takes the approval")
	}
	if h.dropped() != 0 {
		t.Fatal("a call passed")
	}
	passed(t, send(dropX))
	if _, next := held(t, send(dropX), "pending"); next == id || h.dropped() != 1 {
		t.Error("the approval was used twice")
	}
}

// TestHeldCallAndRules: a call whose arguments are denied asks nobody, and one that
// waits counts against limits when it is made alone.
func TestHeldCallAndRules(t *testing.T) {
	h := newHeldWorld(t, hasty)
	k := h.key(needing("*", policy.EffectDestructive), limits(perDay("*", 1)), withArguments(named("drop_x", "/id", "7*")))
	for era, ask := range h.eras(k, "/mcp") {
		if a := ask("tools/call", `"name":"a1__drop_x","arguments":{"id":"8"}`); !strings.Contains(a.body, "Argument not allowed: /id") {
			t.Errorf("%s: %s", era, a.body)
		}
	}
	if list := h.listed(""); len(list) != 0 {
		t.Errorf("asked for %+v", list)
	}
	const params = `"name":"a1__drop_x","arguments":{"id":"7"}`
	for range 3 {
		held(t, h.modern(k, "/mcp", "tools/call", params), "pending")
	}
	h.decided(h.waits().ID, true, "")
	passed(t, h.modern(k, "/mcp", "tools/call", params))
	_, id := held(t, h.modern(k, "/mcp", "tools/call", params), "pending")
	h.decided(id, true, "")
	if a := h.modern(k, "/mcp", "tools/call", params); !strings.Contains(a.body, `"code":-32029`) || h.dropped() != 1 {
		t.Errorf("beyond the limit: %s, %d calls", a.body, h.dropped())
	}
}

// TestHeldCallTellsProgress: the upstream's own progress goes on after that of the wait.
func TestHeldCallTellsProgress(t *testing.T) {
	h := newHeldWorld(t, patient)
	h.up.on("drop_x", func(c fakeCall) string {
		c.progress(`"progress":1`)
		return plain["tools/call"]
	})
	e := h.connect(h.k, "/mcp").callStream(1, "tools/call", dropX+`,"_meta":{"progressToken":"p"}`)
	var first, second struct{ Progress float64 }
	must(t, json.Unmarshal(parse(t, e.next()).Params, &first))
	h.decided(h.waits().ID, true, "")
	must(t, json.Unmarshal(parse(t, e.next()).Params, &second))
	if !(first.Progress > 0 && first.Progress < second.Progress) {
		t.Errorf("progress %v, then %v", first.Progress, second.Progress)
	}
	if last := parse(t, e.next()); last.Result == nil {
		t.Errorf("the answer: %+v", last)
	}
}
