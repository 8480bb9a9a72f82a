package mcp

import (
	"context"
	"encoding/json"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/bailiwick-mcp/bailiwick/mcp/upstream"
)

// Limits of the calls that wait for their client's next request.
const (
	parkedTTL       = 10 * time.Minute // then the upstream is told that it is over
	answeredTTL     = time.Minute      // of a call that is over and whose answer nobody has come for
	maxParked       = 256
	maxParkedTenant = 64
	maxParkedKey    = 16 // of one principal
	// gatherTime is how long a question waits for others that the upstream asks
	// with it, so that the client gets them in one result.
	gatherTime = 100 * time.Millisecond
)

// parkedCall is a call of a client of 2026-07-28 to an upstream of the older
// era, which asks while the call runs. It runs by itself; requests of its client
// come, bring answers, and take the next questions or the result. Between them it
// is parked. It lives in this process only.
type parkedCall struct {
	id     string // in the state that the client has
	owner  string // tenant and principal
	tenant string // its id
	first  *request
	can    abilities
	most   int64 // bytes of a question
	cancel context.CancelFunc
	ctx    context.Context // ends with the call
	lack   lacking

	asked chan struct{} // something is there to be asked
	done  chan struct{} // closed when the call is over; then these hold

	answer  upstream.Reply
	err     error
	outcome string

	// telling is held while something is written to the client of at; it comes
	// before mu, for which nothing may wait that long.
	telling sync.Mutex

	mu    sync.Mutex
	at    *request // that waits for it now; nil = parked
	round uint64   // takes one answer
	keys  int      // of questions so far
	open  []*parkedQuestion
	until time.Time // when it is parked: ends then
	free  func()    // gives back its place among its key's calls
}

// parkedQuestion is one request of the upstream, until it is answered.
type parkedQuestion struct {
	inputRequest
	answer chan json.RawMessage // takes one
}

// ask answers a request of the upstream when the client has come with it.
func (p *parkedCall) ask(ctx context.Context, method string, params json.RawMessage) (json.RawMessage, *upstream.Error) {
	if refused := p.lack.refuse(p.can, method, params); refused != nil {
		return nil, refused
	}
	if int64(len(params)) > p.most {
		return nil, errLargeQuestion
	}
	q := &parkedQuestion{answer: make(chan json.RawMessage, 1)}
	p.mu.Lock()
	p.keys++
	q.inputRequest = inputRequest{"question" + strconv.Itoa(p.keys), method, withoutContext(method, params)}
	p.open = append(p.open, q)
	p.mu.Unlock()
	p.signal()
	defer p.drop(q)
	select {
	case answer := <-q.answer:
		return answer, nil
	case <-ctx.Done():
		return nil, errCallOver
	}
}

func (p *parkedCall) drop(q *parkedQuestion) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.open = slices.DeleteFunc(p.open, func(other *parkedQuestion) bool { return other == q })
}

func (p *parkedCall) signal() {
	select {
	case p.asked <- struct{}{}:
	default:
	}
}

// tell calls back for the request that waits now, if there is one, and not
// after it has its answer.
func (p *parkedCall) tell(each func(*request)) {
	p.telling.Lock()
	defer p.telling.Unlock()
	p.mu.Lock()
	at := p.at
	p.mu.Unlock()
	if at != nil {
		each(at)
	}
}

// park ends the wait of a request with the questions that are open; none when
// the upstream took them back.
func (p *parkedCall) park(until time.Time) (questions []inputRequest, round uint64) {
	p.telling.Lock()
	defer p.telling.Unlock()
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, q := range p.open {
		questions = append(questions, q.inputRequest)
	}
	if len(questions) > 0 {
		p.at, p.until = nil, until
		p.round++
	}
	return questions, p.round
}

// attach has a request wait for the call, and gives its answers to the
// questions, by key. It takes each round once. What it leaves unanswered is
// asked again.
func (p *parkedCall) attach(r *request, round uint64, answers map[string]json.RawMessage) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.at != nil || p.round != round || p.until.IsZero() {
		return false
	}
	p.at, p.until = r, time.Time{}
	p.open = slices.DeleteFunc(p.open, func(q *parkedQuestion) bool {
		answer, there := answers[q.key]
		if there {
			q.answer <- answer
		}
		return there
	})
	if len(p.open) > 0 {
		p.signal()
	}
	return true
}

// parkedTable holds the calls that may be parked.
type parkedTable struct {
	work sync.WaitGroup

	mu   sync.Mutex
	over bool
	all  map[*parkedCall]struct{}
	byID map[string]*parkedCall // of those that were parked
}

func newParkedTable() *parkedTable {
	return &parkedTable{all: map[*parkedCall]struct{}{}, byID: map[string]*parkedCall{}}
}

// begin runs a call beside its request; false when the server stops.
func (t *parkedTable) begin(p *parkedCall, run func()) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.over {
		return false
	}
	t.all[p] = struct{}{}
	t.work.Go(run)
	return true
}

// keep lets the client's next request find the call; full is whose limit is
// reached, "" when none is.
func (t *parkedTable) keep(p *parkedCall) (full string, most int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.byID[p.id] != nil {
		return "", 0
	}
	ofKey, ofTenant := 0, 0
	for _, other := range t.byID {
		if other.owner == p.owner {
			ofKey++
		}
		if other.tenant == p.tenant {
			ofTenant++
		}
	}
	switch {
	case ofKey >= maxParkedKey:
		return "key", maxParkedKey
	case ofTenant >= maxParkedTenant:
		return "organization", maxParkedTenant
	case len(t.byID) >= maxParked:
		return "server", maxParked
	}
	t.byID[p.id] = p
	return "", 0
}

// over has a call that ended while it was parked wait a little for its client,
// and tells whether its answer is worth that: none that could fill the memory.
func (p *parkedCall) over(now time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if soon := now.Add(answeredTTL); soon.Before(p.until) {
		p.until = soon
	}
	return int64(len(p.answer.Result)) <= p.most
}

// find is the call that a state of its own owner names; nil when it is gone.
func (t *parkedTable) find(id, owner string) *parkedCall {
	t.mu.Lock()
	defer t.mu.Unlock()
	if p := t.byID[id]; p != nil && p.owner == owner {
		return p
	}
	return nil
}

// forget ends a call, of which nothing is wanted any more.
func (t *parkedTable) forget(p *parkedCall) {
	t.mu.Lock()
	delete(t.all, p)
	delete(t.byID, p.id)
	t.mu.Unlock()
	p.cancel()
}

// waiting are the calls that no request of their client waits for.
func (t *parkedTable) waiting() []*parkedCall {
	t.mu.Lock()
	defer t.mu.Unlock()
	out := []*parkedCall{}
	for p := range t.all {
		p.mu.Lock()
		if p.at == nil {
			out = append(out, p)
		}
		p.mu.Unlock()
	}
	return out
}

// expire ends the calls whose client did not come again in time.
func (t *parkedTable) expire(now time.Time) {
	for _, p := range t.waiting() {
		p.mu.Lock()
		late := p.at == nil && !p.until.IsZero() && !now.Before(p.until)
		if late {
			p.until = time.Time{} // nothing can attach to it any more
		}
		p.mu.Unlock()
		if late {
			t.forget(p)
		}
	}
}

// end ends all calls and waits for them; none begins any more.
func (t *parkedTable) end() {
	t.mu.Lock()
	t.over = true
	all := t.all
	t.all, t.byID = map[*parkedCall]struct{}{}, map[string]*parkedCall{}
	t.mu.Unlock()
	for p := range all {
		p.cancel()
	}
	t.work.Wait()
}
