package mcp

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	mcpgo "github.com/mark3labs/mcp-go/mcp"
	"go.uber.org/zap"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/mcp/rawjson"
	"github.com/bailiwick-mcp/bailiwick/policy"
)

// approvalTold is how often a client is told that its call waits for approval; that
// keeps its stream alive, too.
const approvalTold = 10 * time.Second

// approvalUse is the approval that let a request through.
type approvalUse struct {
	id   string
	uses int64 // with this request
}

// needsApproval tells whether a person must approve a call. What a call was
// approved for goes on without: its task, and the news of a resource, which carry
// no more than that it changed. A resource needs it when any spelling of its uri
// does, so that no rule is passed by another one.
func (q *question) needsApproval(grant *policy.Grant, c choice) bool {
	switch {
	case q.method == methodSubscribe || q.method == methodUnsubscribe:
		return false
	case grant.NeedsApproval(c.tool):
		return true
	case q.target.kind != kindResource || !grant.HasApprovals():
		return false
	}
	slug := slugOf(c.tool)
	if q.catalog.slugs[slug] == nil {
		return true
	}
	return slices.ContainsFunc(spellings(q.target.name), func(uri string) bool {
		return grant.NeedsApproval(q.catalog.itself(slug, uri))
	})
}

// approved has a person approve an allowed call that needs it: it waits, or refuses
// to say how the call goes on. The verdict is that of when the wait is over. Whatever
// the client answers, only what the store says is an approval.
func (g *Gateway) approved(ctx context.Context, r *request, v verdict) (verdict, *reply) {
	if !v.needsApproval {
		return v, nil
	}
	state, bad := g.openState(r, v)
	switch {
	case bad != nil:
		return v, bad
	case state.kind == stateParked: // an answer to a call that is under way
		return v, nil
	case state.kind == stateApproved:
		return g.goOn(ctx, r, v, state)
	case state.kind == stateUpstream: // begun when no approval was needed
		refused := badState(r)
		return v, &refused
	}
	if problem := misread(r, v); problem != "" {
		refused := refusal(r.era, r.msg.id, mcpgo.INVALID_PARAMS, "a person must approve this call, and "+problem, nil)
		return v, &refused
	}
	h := &heldCall{g: g, r: r, v: v, digest: hexDigest(r.msg.digested()), begun: g.cfg.Now(), back: state.kind == stateHeld}
	if refused := h.await(ctx); refused != nil {
		return h.v, refused
	}
	// Answers without the state of an approved call were for nothing that was shown.
	r.msg.responses = nil
	return h.v, nil
}

// goOn lets a request through that goes on with an approved call, once for each of
// the upstream's results that asked for it.
func (g *Gateway) goOn(ctx context.Context, r *request, v verdict, state requestState) (verdict, *reply) {
	h := &heldCall{g: g, r: r, v: v, digest: hexDigest(r.msg.digested())}
	id, _, _ := state.cut()
	used, err := g.svc.UseApproval(ctx, r.principal, id, h.call(), int64(state.round))
	if err != nil {
		g.log.Info("an approved call can't go on", zap.String("tool", toolSaid(v)), zap.String("approval", id), zap.Error(err))
		refused := badState(r)
		if !errors.Is(err, keys.ErrVersion) {
			refused = h.unasked(err)
		}
		return v, &refused
	}
	r.approval = &approvalUse{id, used}
	return v, nil
}

// misread says why a person would not see what the tool gets: arguments that can be
// read in two ways, and what is cut out because it is, or looks like, an API key, which
// anybody can write.
func misread(r *request, v verdict) string {
	arguments := r.msg.digested()
	if arguments != nil {
		var any any
		if err := policy.UnmarshalStrict(arguments, &any); err != nil {
			return "could read it in another way than its tool: params.arguments" + err.Error()
		}
	}
	for _, shown := range []string{string(arguments), v.target.name} {
		if keys.WithoutToken(shown) != shown {
			return "would not see all of it: it has what looks like an API key, which nobody is shown"
		}
	}
	return ""
}

// heldCall is a call that waits for a person.
type heldCall struct {
	g      *Gateway
	r      *request
	v      verdict
	digest string    // of the arguments
	begun  time.Time // by the gateway's clock
	back   bool      // the client has come back to go on waiting
	told   time.Time // when the client was told last
	ticks  int
	a      keys.CallApproval // that it waits for; zero = none yet
}

// call is what is asked of a person.
func (h *heldCall) call() keys.HeldCall {
	definition := hexDigest(h.v.entry.definition)
	return keys.HeldCall{Action: h.r.msg.method, Subject: h.v.tool.ID, Tool: h.v.target.name, ToolDigest: definition,
		ArgsDigest: h.digest, Arguments: h.r.msg.digested(), Client: h.r.client}
}

// await waits for the person's word; nil = the call is approved, and its approval
// used.
func (h *heldCall) await(ctx context.Context) *reply {
	h.g.counters.held.Add(1)
	defer h.g.counters.held.Add(-1)
	for {
		news := h.g.svc.ApprovalNews() // before the store is asked
		if over, refused := h.look(ctx); over {
			return refused
		}
		h.tell()
		poll := time.NewTimer(h.g.cfg.ApprovalPoll)
		select {
		case <-ctx.Done():
		case <-news:
		case <-poll.C:
		case <-h.g.leaving.now:
		}
		poll.Stop()
	}
}

// look decides on the call again, as it stands now, and asks for its approval: over
// says that the wait is, refused why the call does not pass.
func (h *heldCall) look(ctx context.Context) (over bool, refused *reply) {
	g, r := h.g, h.r
	done := func(answer reply) (bool, *reply) { return true, &answer }
	if ctx.Err() != nil {
		canceled, _ := g.canceled(r)
		return done(canceled)
	}
	if over, refused := h.decide(ctx); over {
		return true, refused
	}
	if h.a.ID != "" && !g.cfg.Now().Before(h.a.ExpiresAt) {
		h.a.Status = keys.ApprovalExpired
		return done(h.refused(ctx))
	}
	if over, refused := h.withdrawn(ctx); over {
		return true, refused
	}
	a, made, err := g.svc.HoldCall(ctx, r.principal, h.call())
	if err != nil {
		return h.failed(ctx, err)
	}
	if h.a = a; made {
		h.record(ctx, newReference())
	}
	switch a.Status {
	case keys.ApprovalDenied:
		return done(h.refused(ctx))
	case keys.ApprovalApproved:
		return h.use(ctx)
	}
	if answer := h.pending(); answer != nil {
		return done(*answer)
	}
	return false, nil
}

// decide asks the gate anew: an edit may have come while the call waited.
func (h *heldCall) decide(ctx context.Context) (over bool, refused *reply) {
	if problem := h.g.renew(ctx, h.r); problem != nil {
		answer := problemReply(*problem)
		return true, &answer
	}
	v := decide(h.r.question(h.g))
	if !v.allowed() {
		answer := h.g.denied(ctx, h.r, v)
		return true, &answer
	}
	h.v = v
	return !v.needsApproval, nil
}

// use takes the approval, and decides once more: from then on the call counts as
// running.
func (h *heldCall) use(ctx context.Context) (over bool, refused *reply) {
	used, err := h.g.svc.UseApproval(ctx, h.r.principal, h.a.ID, h.call(), 0)
	switch {
	case errors.Is(err, keys.ErrVersion): // another call had it, or the key was edited
		return false, nil
	case err != nil:
		return h.failed(ctx, err)
	}
	h.r.approval = &approvalUse{h.a.ID, used}
	definition := hexDigest(h.v.entry.definition)
	if over, refused := h.decide(ctx); over {
		return true, refused
	}
	if hexDigest(h.v.entry.definition) != definition {
		h.r.approval = nil
		return false, nil // another tool now: it is asked for anew
	}
	return true, nil
}

// failed is what to do when the store did not answer as hoped.
func (h *heldCall) failed(ctx context.Context, err error) (over bool, refused *reply) {
	var full *keys.PendingError
	answer := reply{}
	switch {
	case ctx.Err() != nil:
		answer, _ = h.g.canceled(h.r)
	case errors.As(err, &full):
		answer = h.g.limitedOf(ctx, h.r, h.v, full.Whose, full.Most, "calls waiting for approval")
	case errors.Is(err, keys.ErrUnavailable) && h.a.ID != "" && h.pending() == nil:
		return false, nil // it is asked again
	default:
		answer = h.unasked(err)
	}
	return true, &answer
}

// unasked answers where no approval could be asked for, so that nothing passes.
func (h *heldCall) unasked(err error) reply {
	var invalid *keys.InvalidError
	switch {
	case errors.Is(err, keys.ErrBadCredential), errors.Is(err, keys.ErrUnauthenticated):
		return problemReply(credentialProblem(err))
	case errors.As(err, &invalid):
		return refusal(h.r.era, h.r.msg.id, mcpgo.INVALID_PARAMS, "a person must approve this call, which can't be shown: it holds a character that can't be stored", nil)
	}
	h.g.log.Error("an approval could not be asked for", zap.String("tool", toolSaid(h.v)), zap.Error(err))
	return failure(h.r.msg.id, mcpgo.INTERNAL_ERROR, "a person must approve this call, and can't be asked now: call again later", nil)
}

// withdrawn takes the call back where the client says that it does not go on.
func (h *heldCall) withdrawn(ctx context.Context) (over bool, refused *reply) {
	if !h.back || h.a.ID != "" {
		return false, nil
	}
	switch rawjson.Text(rawjson.Field(rawjson.Field(h.r.msg.responses, approvalQuestion), "action")) {
	case "decline", "cancel":
	default: // accept, or no answer: both say no more than that the client is here
		return false, nil
	}
	state, _ := h.g.openState(h.r, h.v)
	if err := h.g.svc.WithdrawCall(ctx, h.r.principal, state.text); err != nil && !errors.Is(err, keys.ErrNotFound) && !errors.Is(err, keys.ErrVersion) {
		return h.failed(ctx, err)
	}
	h.a = keys.CallApproval{ID: state.text, Status: keys.ApprovalWithdrawn, ExpiresAt: state.expires}
	answer := h.refused(ctx)
	return true, &answer
}

// leaving tells waiting calls that the server stops.
type leaving struct {
	once sync.Once
	now  chan struct{}
}

func (l *leaving) leave() { l.once.Do(func() { close(l.now) }) }
