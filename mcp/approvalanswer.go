package mcp

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/keys/wire"
	"github.com/bailiwick-mcp/bailiwick/mcp/rawjson"
	"github.com/bailiwick-mcp/bailiwick/policy"
)

// approvalQuestion is the key of the one question to a client of 2026-07-28 whose
// call waits for approval.
const approvalQuestion = "approval"

// progressStep is so small that the upstream's own progress, which follows, is more.
const progressStep = 1e-6

// pending is how a call goes on that is not decided: nil = it waits here.
func (h *heldCall) pending() *reply {
	asks := h.r.era == eraModern && takesInput(h.r.msg.method) && h.r.abilities().form
	patient := h.r.msg.progress != nil && h.r.sink != nil
	waited := h.g.cfg.Now().Sub(h.begun)
	var answer reply
	switch stops := isClosed(h.g.leaving.now); {
	case asks && (!h.back || stops || waited >= h.g.cfg.ApprovalPause):
		answer = h.question()
	case stops, !asks && !patient && waited >= h.g.cfg.ApprovalPause:
		answer = h.failure("Approval required: "+h.whoMust()+". Then make the same call again", "")
	default:
		return nil
	}
	return &answer
}

// whoMust says who must do what. It has no command: an agent may run what it reads,
// and on the server's own machine the command line needs no key.
func (h *heldCall) whoMust() string {
	return fmt.Sprintf("a person must approve this call of %s before it is made. Until %s somebody else who holds manage:approvals can answer the approval %s",
		h.v.target.name, h.a.ExpiresAt.UTC().Format(time.RFC3339), h.a.ID)
}

// question asks a client of 2026-07-28 whether it goes on waiting. Its answer approves
// nothing.
func (h *heldCall) question() reply {
	text := "Approval required: " + h.whoMust() + ". Accept to go on waiting; decline to take the call back."
	params := append(append([]byte(`{"mode":"form","message":`), rawjson.Quote(text)...), `,"requestedSchema":{"type":"object","properties":{}}}`...)
	state := h.g.states.seal(bindingOf(h.r, h.v), requestState{kind: stateHeld, text: h.a.ID, expires: h.a.ExpiresAt})
	asked := inputResult([]inputRequest{{approvalQuestion, askElicitation, params}}, state)
	return result(h.r.msg.id, finished(asked, typeInputRequired, h.r.tenant.info))
}

// refused answers, and records, that no approval will come.
func (h *heldCall) refused(ctx context.Context) reply {
	ref := newReference()
	h.record(ctx, ref)
	what := map[keys.ApprovalStatus]string{
		keys.ApprovalDenied:    "Approval denied: a person refused this call of " + h.v.target.name,
		keys.ApprovalExpired:   "Approval expired: nobody answered in time for this call of " + h.v.target.name + ". Make it again to ask again",
		keys.ApprovalWithdrawn: "Approval withdrawn: this call of " + h.v.target.name + " was taken back, and not made",
	}[h.a.Status]
	if h.a.Reason != "" {
		what += ": " + h.a.Reason
	}
	return h.failure(what+" (ref "+ref+")", h.a.Reason)
}

func (h *heldCall) failure(text, reason string) reply {
	data := struct {
		ID         string    `json:"approvalId"`
		Status     string    `json:"status"`
		ExpiresAt  time.Time `json:"expiresAt"`
		Reason     string    `json:"reason,omitempty"`
		RetryAfter int       `json:"retryAfterSeconds,omitempty"`
	}{ID: h.a.ID, Status: string(h.a.Status), ExpiresAt: h.a.ExpiresAt, Reason: reason}
	if h.a.Status == keys.ApprovalPending {
		data.RetryAfter = retryAfter
	}
	raw, _ := json.Marshal(data) // texts, a time and a number
	return failure(h.r.msg.id, codeApproval, text, raw)
}

// tell lets the client know that its call waits.
func (h *heldCall) tell() {
	if h.r.sink == nil || h.r.msg.progress == nil || time.Since(h.told) < approvalTold {
		return
	}
	h.told = time.Now()
	h.ticks++
	if h.r.session != nil {
		h.g.sessions.touch(h.r.session)
	}
	at := strconv.FormatFloat(float64(h.ticks)*progressStep, 'f', -1, 64)
	text := "waiting for a person's approval of " + h.v.target.name + ": approval " + h.a.ID
	h.r.progressed(append(append([]byte(`{"progress":`+at+`,"message":`), rawjson.Quote(text)...), '}'))
}

// record notes that the call does not pass as it stands: when its approval is asked
// for, and when none will come.
func (h *heldCall) record(ctx context.Context, ref string) {
	v := h.v
	v.decision = v.decision.With(policy.RuleApproval)
	h.g.counters.decided(v, policy.RuleApproval)
	e := h.g.entryOf(h.r, v)
	e.Kind, e.Decision, e.Ref = "decision", "deny", ref
	grant := h.r.principal.Grant()
	_, rules := grant.Explain(h.r.narrowing.session, v.tool, h.g.cfg.Now())
	line, ok := grant.ExplainApproval(v.tool)
	if !ok {
		line = policy.RuleResult{Rule: policy.RuleApproval, Observed: "a call by another spelling of the uri needs a person's approval"}
	}
	line.OK, line.Observed = false, line.Observed+"; approval "+h.a.ID+" is "+string(h.a.Status)
	rules = append(rules, line)
	e.Detail = wire.WithApproval(wire.RequestDetail(rules, keptArguments(h.r)), h.a.ID)
	if h.a.Status != keys.ApprovalPending { // one entry tells how the draft differs: of the call, or that it ended
		keepShadow(&e, v)
	}
	h.g.record(ctx, e)
}
