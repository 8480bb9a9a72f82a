package mcp

import (
	"context"
	"encoding/json"
	"errors"

	mcpgo "github.com/mark3labs/mcp-go/mcp"
	"go.uber.org/zap"

	"github.com/bailiwick-mcp/bailiwick/mcp/rawjson"
	"github.com/bailiwick-mcp/bailiwick/mcp/upstream"
)

// performCall has an allowed call answered. An outcome of "" is one that is not
// to be recorded here: the call did not begin, or is recorded when it ends.
func (g *Gateway) performCall(ctx context.Context, r *request, v verdict) (reply, string) {
	state, bad := g.openState(r, v)
	if bad != nil {
		return *bad, ""
	}
	if state.kind != stateParked { // that call was counted when it came
		if refused := g.count(ctx, r, v); refused != nil {
			return *refused, ""
		}
	}
	switch {
	case r.msg.method == methodSubscribe || r.msg.method == methodUnsubscribe:
		return g.changeSubscription(ctx, r, v)
	case v.entry.builtin != nil:
		params := append(append([]byte(`{"name":`), rawjson.Quote(r.msg.name)...), '}')
		raw, failed := r.tenant.ask(ctx, r, r.msg.method, params)
		if failed != nil {
			return failure(r.msg.id, failed.Code, failed.Message, nil), outcomeUpstream
		}
		return g.toolResult(r, replyOf(raw))
	case state.kind == stateParked:
		return g.resume(ctx, r, v, state)
	}
	can := r.abilities()
	if r.era == eraModern && takesInput(r.msg.method) && !can.none() && !v.entry.mount.modern() {
		return g.parkable(ctx, r, v, can)
	}
	c := g.upstreamCall(r, v, func(each func(*request)) { each(r) })
	c.Capabilities = can.declaration()
	missing := &lacking{}
	c.Ask = g.asker(r, v, can, missing)
	if text, has := state.upstream(); has {
		c.Params = withParam(c.Params, "requestState", rawjson.Quote(text))
	}
	r.withTasks(&c, v)
	answer, refused, err := g.converse(ctx, r, v, c, can)
	if refused != nil {
		return *refused, outcomeUpstream
	}
	return g.replyTo(r, v, outcomeOf(ctx, answer, err), answer, err, missing)
}

// openState reads what a retry brings back from an earlier round; bad is the
// refusal of what is not this request's, or can't be read.
func (g *Gateway) openState(r *request, v verdict) (state requestState, bad *reply) {
	if r.era != eraModern || !takesInput(r.msg.method) {
		return requestState{}, nil
	}
	if r.msg.responses != nil && !rawjson.IsObject(r.msg.responses) {
		refused := refusal(r.era, r.msg.id, mcpgo.INVALID_PARAMS, "params.inputResponses must be an object", nil)
		return requestState{}, &refused
	}
	if r.msg.state == nil {
		return requestState{}, nil
	}
	// A built-in tool asks nothing, so that it can only wait for approval.
	if state, ok := g.states.open(bindingOf(r, v), rawjson.Text(r.msg.state), g.cfg.Now()); ok &&
		(v.entry.builtin == nil || state.kind == stateHeld) {
		return state, nil
	}
	g.log.Info("a requestState was refused", zap.String("tool", toolSaid(v)), zap.String("actor", r.principal.Actor()))
	refused := badState(r)
	return requestState{}, &refused
}

// outcomeOf is how a call ended, for the audit trail.
func outcomeOf(ctx context.Context, answer upstream.Reply, err error) string {
	switch {
	case ctx.Err() != nil:
		return outcomeCanceled
	case err != nil || answer.Error != nil:
		return outcomeUpstream
	case answer.Type == typeInputRequired:
		return outcomeInput
	case answer.IsError:
		return outcomeToolError
	}
	return outcomeOK
}

// replyTo answers a request with what came of its call.
func (g *Gateway) replyTo(r *request, v verdict, outcome string, answer upstream.Reply, err error, missing *lacking) (reply, string) {
	lack := missing.all()
	switch {
	case outcome == outcomeCanceled:
		return g.canceled(r)
	case err != nil:
		return g.unanswered(r, v, err)
	case len(lack) > 0 && r.era == eraModern && (answer.Error != nil || outcome == outcomeToolError):
		// It failed for want of an answer; an upstream that could do without has not.
		return missingCapability(r, lack), outcome
	case answer.Error != nil && onlyAsTask(r, answer.Error):
		return *needsTask(r, v), outcome
	case answer.Error != nil && answer.Error.Code == mcpgo.MISSING_REQUIRED_CLIENT_CAPABILITY:
		return refusal(r.era, r.msg.id, answer.Error.Code, answer.Error.Message, answer.Error.Data), outcome
	case answer.Error != nil:
		e := r.inEra(answer.Error)
		if e.Code == mcpgo.URL_ELICITATION_REQUIRED {
			g.elicitsFirst(r, v.entry.mount.instance.Load().ID, e.Data)
		}
		return failure(r.msg.id, e.Code, e.Message, e.Data), outcome
	case answer.Type == typeInputRequired:
		return g.inputReply(r, v, answer.Result)
	case r.madeTask(answer):
		return g.taskMade(r, v, answer.Result)
	}
	return g.toolResult(r, answer)
}

// inEra is an upstream's error in the client's protocol version: a resource that
// is not there is -32002 up to 2025-11-25, and -32602 with its uri from 2026-07-28
// on. Every other error passes as it came.
func (r *request) inEra(e *upstream.Error) *upstream.Error {
	if r.era != eraModern || e.Code != mcpgo.RESOURCE_NOT_FOUND || r.msg.method != string(mcpgo.MethodResourcesRead) {
		return e
	}
	now := *e
	now.Code = mcpgo.INVALID_PARAMS
	if now.Data == nil {
		now.Data = rawjson.Prepend([]byte(`{}`), "uri", rawjson.Quote(r.msg.uri))
	}
	return &now
}

// canceled answers a request that ended before its upstream answered.
func (g *Gateway) canceled(r *request) (reply, string) {
	if p := g.ended(r.principal); p != nil {
		return problemReply(*p), outcomeCanceled
	}
	return failure(r.msg.id, codeCanceled, "Request canceled", nil), outcomeCanceled
}

// unanswered answers for an upstream that gave no answer; err says why.
func (g *Gateway) unanswered(r *request, v verdict, err error) (reply, string) {
	g.log.Info("call failed", zap.String("tool", toolSaid(v)), zap.Error(err))
	problem := unreachable(v.entry.mount.instance.Load().Slug, err)
	if r.msg.method != string(mcpgo.MethodToolsCall) {
		return failure(r.msg.id, mcpgo.INTERNAL_ERROR, problem, nil), outcomeUpstream
	}
	failed, _ := g.toolResult(r, replyOf(toolError(problem)))
	return failed, outcomeUpstream
}

// inputReply passes a modern upstream's questions on to a modern client, which
// asks again with the answers; each of its requests is a call of its own.
func (g *Gateway) inputReply(r *request, v verdict, raw json.RawMessage) (reply, string) {
	in, err := readInputRequired(raw)
	if err != nil {
		return failure(r.msg.id, mcpgo.INTERNAL_ERROR, badInput(err).Message, nil), outcomeUpstream
	}
	missing, err := in.lack(r.abilities())
	switch {
	case err != nil:
		return failure(r.msg.id, mcpgo.INTERNAL_ERROR, badInput(err).Message, nil), outcomeUpstream
	case len(missing) > 0:
		return missingCapability(r, missing), outcomeUpstream
	}
	state := ""
	if in.hasState || r.approval != nil {
		next := requestState{kind: stateUpstream, text: in.state, expires: g.cfg.Now().Add(stateTTL)}
		if r.approval != nil {
			next = next.approved(r.approval, in.hasState)
		}
		state = g.states.seal(bindingOf(r, v), next)
	}
	return result(r.msg.id, finished(in.forClient(state), typeInputRequired, r.tenant.info)), outcomeInput
}

// upstreamCall is the request as the upstream gets it. What it says meanwhile
// goes to each request that tell calls back for.
func (g *Gateway) upstreamCall(r *request, v verdict, tell func(each func(to *request))) upstream.Call {
	c := upstream.Call{Owner: r.owner(), Principal: r.principal.TenantID() + "/" + r.principal.ID()}
	if !v.needsApproval { // no person has seen it
		c.Meta = metaForUpstream(r.msg.meta)
	}
	r.passParams(&c, v)
	if takesInput(r.msg.method) {
		c.Types = []string{typeInputRequired}
	}
	if r.sink == nil {
		return c
	}
	if r.msg.progress != nil {
		c.Progress = func(params json.RawMessage) {
			tell(func(to *request) { to.progressed(params) })
		}
	}
	if least, wanted := r.logLevel(); wanted {
		c.LogLevel = string(levels[least])
		c.Log = func(params json.RawMessage) {
			tell(func(to *request) { to.logged(params) })
		}
	}
	return c
}

// progressed tells the client of progress, under its own token.
func (r *request) progressed(params json.RawMessage) {
	if token := r.msg.progress; token != nil && rawjson.IsObject(params) {
		_ = r.sink.send(notification("notifications/progress", rawjson.Prepend(params, "progressToken", token)))
	}
}

// logged passes a log message on that is of the level that the client wants.
func (r *request) logged(params json.RawMessage) {
	if least, wanted := r.logLevel(); wanted && rawjson.IsObject(params) && severity(rawjson.Text(rawjson.Field(params, "level"))) >= least {
		_ = r.sink.send(notification("notifications/message", params))
	}
}

// toolResult answers with a tool's result; its content goes out as it came.
func (g *Gateway) toolResult(r *request, answer upstream.Reply) (reply, string) {
	outcome, raw := outcomeOK, answer.Result
	if answer.IsError {
		outcome = outcomeToolError
	}
	if r.era != eraModern {
		return result(r.msg.id, raw), outcome
	}
	if r.msg.method == string(mcpgo.MethodResourcesRead) {
		raw = private(raw)
	}
	if !answer.Meta {
		return completeResult(r.msg.id, raw, r.tenant.info), outcome
	}
	return result(r.msg.id, complete(raw, r.tenant.info)), outcome
}

// replyOf is a reply with a result that did not come as one, or was changed since.
func replyOf(raw json.RawMessage) upstream.Reply {
	return upstream.Reply{Result: raw, IsError: string(rawjson.Field(raw, "isError")) == "true", Meta: true}
}

// unreachable says that an instance could not answer. It names the instance and
// nothing of its insides.
func unreachable(slug string, err error) string {
	switch {
	case errors.Is(err, upstream.ErrNotUTF8):
		return "The instance " + slug + " gave an answer that is not valid MCP: its text is not valid UTF-8."
	case errors.Is(err, upstream.ErrTooLarge):
		return "The instance " + slug + " gave an answer that is larger than a message may be."
	case errors.Is(err, upstream.ErrGarbage):
		return "The instance " + slug + " gave an answer that is not valid MCP."
	}
	return "The instance " + slug + " is not reachable right now. It is tried again by itself; call again later."
}

// toolError is the result of a tool that failed.
func toolError(problem string) json.RawMessage {
	raw, _ := json.Marshal(struct {
		Content []mcpgo.TextContent `json:"content"`
		IsError bool                `json:"isError"`
	}{[]mcpgo.TextContent{{Type: "text", Text: problem}}, true})
	return raw
}
