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

// callTool answers tools/call. A tool that is not there and one that is denied
// take the same way and get the same bytes, but for the name and the reference.
func (g *Gateway) callTool(ctx context.Context, r *request, v verdict) reply {
	switch {
	case r.msg.name == "":
		return refusal(r.era, r.msg.id, mcpgo.INVALID_PARAMS, "params.name must be a string that names a tool", nil)
	case r.msg.arguments != nil && !rawjson.IsObject(r.msg.arguments):
		return refusal(r.era, r.msg.id, mcpgo.INVALID_PARAMS, "params.arguments must be an object", nil)
	}
	if g.awaitFirst(ctx, r, v) {
		if problem := g.renew(ctx, r); problem != nil {
			return problemReply(*problem)
		}
		v = decide(r.question(g, r.msg.name))
	}
	if !v.allowed() {
		return g.unknownTool(ctx, r, v)
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

func (g *Gateway) unknownTool(ctx context.Context, r *request, v verdict) reply {
	ref := newReference()
	g.recordDenial(ctx, r, v, ref)
	return failure(r.msg.id, mcpgo.INVALID_PARAMS, "Unknown tool: "+r.msg.name+" (ref "+ref+")", nil)
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
	if v = decide(r.question(g, r.msg.name)); !v.allowed() {
		return g.unknownTool(ctx, r, v)
	}
	if bad := checkParamHeaders(r, v.entry); bad != nil {
		return *bad
	}
	if r.session != nil && !r.tracked {
		tracked, untrack, ok := r.session.track(ctx, string(r.msg.id))
		if !ok {
			return idRunning(r)
		}
		defer untrack()
		ctx = tracked
	}
	start := time.Now()
	answer, outcome := g.performCall(ctx, r, v)
	g.recordCall(ctx, r, v, outcome, time.Since(start))
	return answer
}

func (g *Gateway) performCall(ctx context.Context, r *request, v verdict) (reply, string) {
	if v.entry.builtin != nil {
		params := append(append([]byte(`{"name":`), rawjson.Quote(r.msg.name)...), '}')
		raw, failed := r.tenant.ask(ctx, r, r.msg.method, params)
		if failed != nil {
			return failure(r.msg.id, failed.Code, failed.Message, nil), outcomeUpstream
		}
		return g.toolResult(r, upstream.Reply{Result: raw, IsError: string(rawjson.Field(raw, "isError")) == "true", Meta: true})
	}
	answer, err := v.entry.mount.call(ctx, g.upstreamCall(r, v))
	switch {
	case ctx.Err() != nil:
		if p := g.ended(r.principal); p != nil {
			return problemReply(*p), outcomeCanceled
		}
		return failure(r.msg.id, codeCanceled, "Request canceled", nil), outcomeCanceled
	case err != nil:
		g.log.Info("call failed", zap.String("tool", v.tool.ID), zap.Error(err))
		raw, _ := g.toolResult(r, upstream.Reply{Result: unreachable(v.entry.mount.instance.Load().Slug, err)})
		return raw, outcomeUpstream
	case answer.Error != nil:
		return failure(r.msg.id, answer.Error.Code, answer.Error.Message, answer.Error.Data), outcomeUpstream
	}
	return g.toolResult(r, answer)
}

func (g *Gateway) upstreamCall(r *request, v verdict) upstream.Call {
	c := upstream.Call{Tool: v.entry.upstream, Arguments: r.msg.arguments, Meta: metaForUpstream(r.msg.meta)}
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

// metaForUpstream leaves out what the protocol says about this connection; the
// other side of the gateway says its own.
func metaForUpstream(meta json.RawMessage) json.RawMessage {
	list, _ := rawjson.List(meta)
	out := []byte{'{'}
	for _, m := range list {
		if m.Key == "progressToken" || reservedMeta(m.Key) {
			continue
		}
		if len(out) > 1 {
			out = append(out, ',')
		}
		out = append(append(append(out, rawjson.Quote(m.Key)...), ':'), m.Value...)
	}
	if len(out) == 1 {
		return nil
	}
	return append(out, '}')
}

// toolResult answers with a tool's result; its content goes out as it came.
func (g *Gateway) toolResult(r *request, answer upstream.Reply) (reply, string) {
	outcome := outcomeOK
	if answer.IsError {
		outcome = outcomeToolError
	}
	switch {
	case r.era != eraModern:
		return result(r.msg.id, answer.Result), outcome
	case !answer.Meta:
		return completeResult(r.msg.id, answer.Result, r.tenant.info), outcome
	}
	return result(r.msg.id, complete(answer.Result, r.tenant.info)), outcome
}

// unreachable is the result of a call whose instance could not answer. It
// names the instance and nothing of its insides.
func unreachable(slug string, err error) json.RawMessage {
	problem := "The instance " + slug + " is not reachable right now. It is tried again by itself; call again later."
	if errors.Is(err, upstream.ErrGarbage) {
		problem = "The instance " + slug + " gave an answer that is not valid MCP."
	}
	raw, _ := json.Marshal(struct {
		Content []mcpgo.TextContent `json:"content"`
		IsError bool                `json:"isError"`
	}{[]mcpgo.TextContent{{Type: "text", Text: problem}}, true})
	return raw
}
