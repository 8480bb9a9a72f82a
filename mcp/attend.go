package mcp

import (
	"context"
	"encoding/json"
	"errors"
	"sync"
	"time"

	mcpgo "github.com/mark3labs/mcp-go/mcp"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/mcp/rawjson"
)

// parkable makes a call that its upstream may ask something in, and waits for
// its end or its questions. The call is recorded once, when it ends, however many
// requests of the client it takes.
func (g *Gateway) parkable(ctx context.Context, r *request, v verdict, can abilities) (reply, string) {
	p := &parkedCall{id: newReference(), owner: r.principal.TenantID() + "/" + r.principal.ID(),
		tenant: r.principal.TenantID(), first: r, can: can, at: r, most: g.cfg.MaxBody,
		asked: make(chan struct{}, 1), done: make(chan struct{}), free: sync.OnceFunc(r.release)}
	own, done := g.calls.begin(context.WithoutCancel(ctx), r.principal)
	p.ctx, p.cancel = context.WithCancel(own)
	unbind := func() bool { return true }
	if r.session != nil { // stdio: the client goes with its pipes
		unbind = context.AfterFunc(r.session.ctx, p.cancel)
	}
	c := g.upstreamCall(r, v, p.tell)
	c.Capabilities, c.Ask = can.declaration(), p.ask
	start := time.Now()
	r.release = nil // the call's own now
	began := g.parked.begin(p, func() {
		defer done()
		defer unbind()
		p.answer, p.err = v.entry.mount.call(p.ctx, c)
		p.outcome = outcomeOf(p.ctx, p.answer, p.err)
		g.recordCall(p.ctx, r, v, p.outcome, time.Since(start))
		g.finishParked(p)
	})
	if !began {
		unbind()
		done()
		r.release = p.free
		return failure(r.msg.id, mcpgo.INTERNAL_ERROR, "the server is stopping: call again", nil), outcomeCanceled
	}
	return g.attend(ctx, r, v, p)
}

// finishParked hands a call that is over to whoever waits for it, or keeps its
// answer for the client's next request.
func (g *Gateway) finishParked(p *parkedCall) {
	p.mu.Lock()
	attended := p.at != nil
	close(p.done)
	p.mu.Unlock()
	if attended {
		return
	}
	p.free()
	if !p.over(g.cfg.Now()) || p.outcome == outcomeCanceled {
		g.parked.forget(p)
	}
}

// attend waits for a call's end or its questions, and answers the request with
// them. A request that goes away takes the call with it.
func (g *Gateway) attend(ctx context.Context, r *request, v verdict, p *parkedCall) (reply, string) {
	for {
		select {
		case <-p.done:
			return g.collect(r, v, p)
		case <-ctx.Done():
			p.cancel()
			<-p.done
			return g.collect(r, v, p)
		case <-p.asked:
		}
		gather := time.NewTimer(gatherTime)
		select {
		case <-gather.C:
		case <-p.done:
		case <-ctx.Done():
		}
		if gather.Stop(); isClosed(p.done) || ctx.Err() != nil {
			continue
		}
		if full, most := g.parked.keep(p); full != "" {
			p.cancel()
			<-p.done
			_, _ = g.collect(r, v, p)
			return g.limitedOf(ctx, r, v, full, most, "calls waiting for answers"), ""
		}
		until := g.cfg.Now().Add(parkedTTL)
		questions, round := p.park(until)
		if len(questions) == 0 {
			continue
		}
		state := g.states.seal(bindingOf(r, v), requestState{kind: stateParked, round: round, text: p.id, expires: until})
		return result(r.msg.id, finished(inputResult(questions, state), typeInputRequired, r.tenant.info)), ""
	}
}

// collect answers with a call that is over, and forgets it.
func (g *Gateway) collect(r *request, v verdict, p *parkedCall) (reply, string) {
	if own := r.release; own == nil {
		r.release = p.free // until the answer is written
	} else {
		r.release = func() { own(); p.free() }
	}
	answer, _ := g.replyTo(r, v, p.outcome, p.answer, p.err, &p.lack)
	g.parked.forget(p)
	return answer, ""
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// resume goes on with a parked call: its questions get the answers that the
// request brings.
func (g *Gateway) resume(ctx context.Context, r *request, v verdict, state requestState) (reply, string) {
	answers := map[string]json.RawMessage{}
	err := rawjson.Members(r.msg.responses, func(key string, value []byte) error {
		if !rawjson.IsObject(value) {
			return errors.New("not an object")
		}
		answers[key] = value
		return nil
	})
	if r.msg.responses != nil && err != nil {
		return refusal(r.era, r.msg.id, mcpgo.INVALID_PARAMS, "params.inputResponses must hold an object for each key", nil), ""
	}
	p := g.parked.find(state.text, r.principal.TenantID()+"/"+r.principal.ID())
	if p == nil {
		return g.notParked(r), ""
	}
	if !p.attach(r, state.round, answers) {
		return badState(r), ""
	}
	return g.attend(ctx, r, v, p)
}

// reviewParked ends a parked call whose client may not make it any more, or
// whose upstream is another now.
func (g *Gateway) reviewParked(p *parkedCall) {
	fresh, err := g.svc.Refresh(context.Background(), p.first.principal)
	if err != nil && !errors.Is(err, keys.ErrBadCredential) {
		g.streams.later(p.first.tenant.id) // nothing new is known
		return
	}
	if err == nil {
		q := p.first.question(g)
		q.principal = fresh
		if decide(q).allowed() {
			return
		}
	}
	g.parked.forget(p)
}
