package mcp

import (
	"context"
	"encoding/json"
	"time"

	mcpgo "github.com/mark3labs/mcp-go/mcp"

	"github.com/bailiwick-mcp/bailiwick/mcp/rawjson"
	"github.com/bailiwick-mcp/bailiwick/policy"
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
		return g.denied(ctx, r, v)
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

// denied answers for what the gate does not let through: as unknown, unless only a
// rule of calls is against it, which hides nothing.
func (g *Gateway) denied(ctx context.Context, r *request, v verdict) reply {
	if !v.decision.Hides() && v.decision.Reason() == policy.RuleArgument {
		return g.badArguments(ctx, r, v)
	}
	return g.unknown(ctx, r, v)
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
		return g.denied(ctx, r, v)
	}
	g.counters.decided(v, policy.RuleNone)
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
