package mcp

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	mcpgo "github.com/mark3labs/mcp-go/mcp"

	"github.com/bailiwick-mcp/bailiwick/mcp/rawjson"
	"github.com/bailiwick-mcp/bailiwick/mcp/upstream"
)

const (
	// maxRounds is how often one call may ask a legacy client, or ask to be made
	// again without a question.
	maxRounds = 10
	// shedPause is the first pause before a call that an upstream asks to make
	// again without a question, which means that it has too much to do; it doubles.
	shedPause = 100 * time.Millisecond
	// maxLacking is how many sub-capabilities of one are noted as wanted: the modes of
	// elicitation are the upstream's own words.
	maxLacking = 8
)

// lacking notes what a client would have had to declare for what an upstream
// wanted to ask it. It may be used concurrently.
type lacking struct {
	mu    sync.Mutex
	needs needs
}

// refuse is the answer to a question that the client can't be asked; nil when
// it can.
func (l *lacking) refuse(can abilities, method string, params json.RawMessage) *upstream.Error {
	missing := needs{}
	if !can.lack(missing, method, params) {
		return &upstream.Error{Code: mcpgo.METHOD_NOT_FOUND, Message: "Method not found"}
	}
	if problem := readInTwo(params); problem != "" {
		return &upstream.Error{Code: mcpgo.INVALID_PARAMS, Message: "Invalid params: " + problem}
	}
	if len(missing) == 0 {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.needs == nil {
		l.needs = needs{}
	}
	code := mcpgo.METHOD_NOT_FOUND
	for capability, subs := range missing {
		l.needs.add(capability, "")
		for sub := range subs {
			if len(l.needs[capability]) < maxLacking {
				l.needs.add(capability, sub)
			}
		}
		if capability == "sampling" && can.sampling || capability == "elicitation" && (can.form || can.url) {
			code = mcpgo.INVALID_PARAMS // it can, but not so
		}
	}
	return &upstream.Error{Code: code, Message: "The client of this call did not declare that it can be asked this: " + string(missing.encode())}
}

func (l *lacking) all() needs {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.needs
}

// asker answers what a legacy upstream asks during the call: a legacy client
// does, on the call's own stream. A modern client can't be asked so.
func (g *Gateway) asker(r *request, v verdict, can abilities, missing *lacking) func(context.Context, string, json.RawMessage) (json.RawMessage, *upstream.Error) {
	// A task's questions come while its result is waited for.
	if !takesInput(r.msg.method) && methods[r.msg.method].class != classTask {
		return nil
	}
	return func(ctx context.Context, method string, params json.RawMessage) (json.RawMessage, *upstream.Error) {
		if refused := missing.refuse(can, method, params); refused != nil {
			return nil, refused
		}
		if r.era == eraModern {
			return nil, errCallOver
		}
		g.elicits(r, v.entry.mount.instance.Load().ID, method, params)
		answer, failed := g.inquire(ctx, r, method, withoutContext(method, params))
		if failed == nil && !g.stands(ctx, r) {
			return nil, errCallOver
		}
		return answer, failed
	}
}

// stands tells whether a request that waited for a person would still be let
// through. It may be called concurrently.
func (g *Gateway) stands(ctx context.Context, r *request) bool {
	again := *r
	return g.renew(ctx, &again) == nil && decide(again.question(g)).allowed()
}

// fallen refuses a request that an edit has taken the right from while it
// waited; nil when it stands.
func (g *Gateway) fallen(ctx context.Context, r *request) *reply {
	if problem := g.renew(ctx, r); problem != nil {
		refused := problemReply(*problem)
		return &refused
	}
	if v := decide(r.question(g)); !v.allowed() {
		refused := g.denied(ctx, r, v)
		return &refused
	}
	return nil
}

// converse makes a call, and asks a legacy client what a modern upstream wants
// to know first, round for round. refused is an answer instead of the
// upstream's.
func (g *Gateway) converse(ctx context.Context, r *request, v verdict, c upstream.Call, can abilities) (answer upstream.Reply, refused *reply, err error) {
	params, pause := c.Params, shedPause
	for round := 0; ; round++ {
		answer, err = v.entry.mount.call(ctx, c)
		if err != nil || answer.Type != typeInputRequired || r.era == eraModern {
			return answer, nil, err
		}
		in, err := readInputRequired(answer.Result)
		if err != nil {
			return upstream.Reply{Error: badInput(err)}, nil, nil
		}
		missing, err := in.lack(can)
		switch {
		case err != nil:
			return upstream.Reply{Error: badInput(err)}, nil, nil
		case len(missing) > 0:
			lack := missingCapability(r, missing)
			return answer, &lack, nil
		case round == maxRounds:
			return upstream.Reply{Error: &upstream.Error{Code: mcpgo.INTERNAL_ERROR,
				Message: fmt.Sprintf("The upstream asked for input more than %d times during one call.", maxRounds)}}, nil, nil
		case len(in.requests) == 0:
			select {
			case <-time.After(pause):
			case <-ctx.Done():
			}
			pause *= 2
		}
		responses, failed := g.askAll(ctx, r, v, in.requests)
		if failed != nil {
			return upstream.Reply{Error: failed}, nil, nil
		}
		if fallen := g.fallen(ctx, r); fallen != nil {
			return answer, fallen, nil
		}
		c.Params = withInput(params, responses, in)
	}
}

// badInput is the error for questions that are not what the protocol says.
func badInput(err error) *upstream.Error {
	return &upstream.Error{Code: mcpgo.INTERNAL_ERROR, Message: "The upstream asks for input in a way that is not valid: " + err.Error()}
}

// withInput is a call's params with the answers and the state of a round.
func withInput(params, responses json.RawMessage, in inputRequired) json.RawMessage {
	if in.hasState {
		params = withParam(params, "requestState", rawjson.Quote(in.state))
	}
	if len(in.requests) == 0 {
		return params
	}
	return withParam(params, "inputResponses", responses)
}

// askAll asks a legacy client all questions of a round at once, and answers the
// object of its answers. A client that fails to ask its user has the user
// dismissing the question; without a model's answer or roots the call fails.
func (g *Gateway) askAll(ctx context.Context, r *request, v verdict, requests []inputRequest) (json.RawMessage, *upstream.Error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	answers, failures := make([]json.RawMessage, len(requests)), make([]*upstream.Error, len(requests))
	var all sync.WaitGroup
	for i, q := range requests {
		all.Go(func() {
			g.elicits(r, v.entry.mount.instance.Load().ID, q.method, q.params)
			raw, failed := g.inquire(ctx, r, q.method, withoutContext(q.method, q.params))
			switch {
			case failed == nil && !rawjson.IsObject(raw):
				failed = &upstream.Error{Code: mcpgo.INTERNAL_ERROR, Message: "it is not an object"}
			case failed != nil && q.method == askElicitation && failed != errClientGone && failed != errCallOver:
				raw, failed = json.RawMessage(`{"action":"cancel"}`), nil
			}
			if answers[i], failures[i] = raw, failed; failed != nil {
				cancel()
			}
		})
	}
	all.Wait()
	out := json.RawMessage(`{}`)
	var first *upstream.Error
	for i, q := range requests {
		if failed := failures[i]; failed != nil && (first == nil || failed != errCallOver) {
			first = &upstream.Error{Code: failed.Code, Message: "The client did not answer " + q.method + ": " + failed.Message, Data: failed.Data}
		}
		if failures[i] == nil {
			out = rawjson.Prepend(out, q.key, answers[i])
		}
	}
	return out, first
}
