package mcp

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	mcpgo "github.com/mark3labs/mcp-go/mcp"
	"go.uber.org/zap"

	"github.com/bailiwick-mcp/bailiwick/mcp/rawjson"
	"github.com/bailiwick-mcp/bailiwick/mcp/upstream"
)

// call answers a request that names one thing: a tool's call, a prompt, a
// resource, a completion. What is not there and what is denied take the same way
// and get the same bytes, but for the name and the reference.
func (g *Gateway) call(ctx context.Context, r *request, v verdict) reply {
	switch {
	case v.target.name == "":
		return refusal(r.era, r.msg.id, mcpgo.INVALID_PARAMS, r.msg.missing(), nil)
	case r.msg.arguments != nil && !rawjson.IsObject(r.msg.arguments):
		return refusal(r.era, r.msg.id, mcpgo.INVALID_PARAMS, "params.arguments must be an object", nil)
	}
	if g.awaitFirst(ctx, r, v) {
		if problem := g.renew(ctx, r); problem != nil {
			return problemReply(*problem)
		}
		v = decide(r.question(g))
	}
	if !v.allowed() {
		return g.unknown(ctx, r, v)
	}
	return g.passCall(ctx, r, v)
}

// checkParamHeaders holds Mcp-Param-* against the tool; nil when they agree.
// It is for a call that is allowed: mcp-go checks them before its filter, and
// so tells a hidden tool from an unknown one.
func checkParamHeaders(r *request, e *entry) *reply {
	if r.era != eraModern || r.header == nil || e.header == nil {
		return nil
	}
	lookup := func(name string) (string, bool) {
		values := r.header.Values(name)
		if len(values) == 0 {
			return "", false
		}
		return values[0], true
	}
	if err := mcpgo.ValidateParamHeadersLookup(lookup, e.header, r.msg.params); err != nil {
		return badHeader(r.msg, err.Error())
	}
	return nil
}

// unknown answers for what is not there and for what is denied.
func (g *Gateway) unknown(ctx context.Context, r *request, v verdict) reply {
	ref := newReference()
	g.recordDenial(ctx, r, v, ref)
	code, data := mcpgo.INVALID_PARAMS, json.RawMessage(nil)
	if v.target.kind == kindResource {
		data = rawjson.Prepend([]byte(`{}`), "uri", rawjson.Quote(v.target.name))
		if r.era == eraLegacy {
			code = mcpgo.RESOURCE_NOT_FOUND // -32602 from 2026-07-28 on
		}
	}
	if v.class == classTask {
		return failure(r.msg.id, code, "Unknown task: "+r.msg.taskID+" (ref "+ref+")", nil)
	}
	what := [...]string{kindTool: "tool", kindPrompt: "prompt", kindResource: "resource", kindTemplate: "resource template"}
	return failure(r.msg.id, code, "Unknown "+what[v.target.kind]+": "+v.target.name+" (ref "+ref+")", data)
}

// passCall passes an allowed call on and records how it ended.
func (g *Gateway) passCall(ctx context.Context, r *request, v verdict) reply {
	release, ok := g.calls.quota.take(r.principal)
	if !ok {
		return g.rateLimited(ctx, r, v, maxCalls, "calls running")
	}
	r.release = release
	// A call ends with its client's connection. To 2025-11-25 it could go on,
	// but nobody could fetch its answer: streams are not resumable here.
	ctx, done := g.calls.begin(ctx, r.principal)
	defer done()
	// An edit between the decision and begin has not looked at this call.
	if problem := g.renew(ctx, r); problem != nil {
		return problemReply(*problem)
	}
	if v = decide(r.question(g)); !v.allowed() {
		return g.unknown(ctx, r, v)
	}
	if bad := checkParamHeaders(r, v.entry); bad != nil {
		return *bad
	}
	if refused := taskRefusal(r, v); refused != nil {
		return *refused
	}
	if r.session != nil && !r.tracked {
		tracked, untrack, ok := r.session.track(ctx, r)
		if !ok {
			return idRunning(r)
		}
		defer untrack()
		ctx = tracked
	}
	start := time.Now()
	perform := g.performCall
	if v.class == classTask {
		perform = g.performTask
	}
	answer, outcome := perform(ctx, r, v)
	if outcome != "" {
		g.recordCall(ctx, r, v, outcome, time.Since(start))
	}
	return answer
}

// performCall has an allowed call answered. An outcome of "" is one that is not to
// be recorded as a call.
func (g *Gateway) performCall(ctx context.Context, r *request, v verdict) (reply, string) {
	if r.msg.method == methodSubscribe || r.msg.method == methodUnsubscribe {
		return g.changeSubscription(ctx, r, v)
	}
	if v.entry.builtin != nil {
		params := append(append([]byte(`{"name":`), rawjson.Quote(r.msg.name)...), '}')
		raw, failed := r.tenant.ask(ctx, r, r.msg.method, params)
		if failed != nil {
			return failure(r.msg.id, failed.Code, failed.Message, nil), outcomeUpstream
		}
		return g.toolResult(r, raw)
	}
	c := g.upstreamCall(r, v)
	r.withTasks(&c, v)
	answer, err := v.entry.mount.call(ctx, c)
	switch {
	case ctx.Err() != nil || err != nil:
		return g.unanswered(ctx, r, v, err)
	case answer.Error != nil && onlyAsTask(r, answer.Error):
		return *needsTask(r, v), outcomeUpstream
	case answer.Error != nil:
		return failure(r.msg.id, answer.Error.Code, answer.Error.Message, answer.Error.Data), outcomeUpstream
	case r.madeTask(answer):
		return g.taskMade(r, v, answer.Result)
	}
	return g.toolResult(r, answer.Result)
}

// unanswered answers for an upstream that gave none: the request ended before, or
// err says why.
func (g *Gateway) unanswered(ctx context.Context, r *request, v verdict, err error) (reply, string) {
	if ctx.Err() != nil {
		if p := g.ended(r.principal); p != nil {
			return problemReply(*p), outcomeCanceled
		}
		return failure(r.msg.id, codeCanceled, "Request canceled", nil), outcomeCanceled
	}
	slug := v.entry.mount.instance.Load().Slug
	g.log.Info("call failed", zap.String("tool", v.tool.ID), zap.Error(err))
	if r.msg.method != string(mcpgo.MethodToolsCall) {
		return failure(r.msg.id, mcpgo.INTERNAL_ERROR, unreachable(slug, err), nil), outcomeUpstream
	}
	raw, _ := g.toolResult(r, toolError(unreachable(slug, err)))
	return raw, outcomeUpstream
}

func (g *Gateway) upstreamCall(r *request, v verdict) upstream.Call {
	c := upstream.Call{Meta: metaForUpstream(r.msg.meta)}
	r.passParams(&c, v)
	if r.sink == nil {
		return c
	}
	if token := r.msg.progress; token != nil {
		c.Progress = func(params json.RawMessage) {
			if rawjson.IsObject(params) {
				_ = r.sink.send(notification("notifications/progress", rawjson.Prepend(params, "progressToken", token)))
			}
		}
	}
	if least, wanted := r.logLevel(); wanted {
		c.LogLevel = string(levels[least])
		c.Log = func(params json.RawMessage) {
			if rawjson.IsObject(params) && severity(rawjson.Text(rawjson.Field(params, "level"))) >= least {
				_ = r.sink.send(notification("notifications/message", params))
			}
		}
	}
	return c
}

// toolResult answers with a tool's result; its content goes out as it came.
func (g *Gateway) toolResult(r *request, raw json.RawMessage) (reply, string) {
	outcome := outcomeOK
	if string(rawjson.Field(raw, "isError")) == "true" {
		outcome = outcomeToolError
	}
	if r.era == eraModern {
		if r.msg.method == string(mcpgo.MethodResourcesRead) {
			raw = private(raw)
		}
		raw = complete(raw, r.tenant.info)
	}
	return result(r.msg.id, raw), outcome
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
