package upstream

import (
	"context"
	"encoding/json"
	"maps"
	"strings"
	"sync"
	"time"

	"github.com/bailiwick-mcp/bailiwick/mcp/rawjson"
)

const (
	// strayTime is how long the upstream may still speak about a call that was
	// given up: one that minds no cancellation works on.
	strayTime = time.Minute
	// lingerTime is the same for an answered call, where the answer may overtake
	// on one stream what was said before it on another.
	lingerTime = 2 * time.Second
	maxLeft    = 1000 // calls given up, and principals of answered ones, that are remembered so
)

// callers are the calls that run on a session, so that what the upstream says
// without naming a request finds the one client that it can be meant for.
//
// The rule: what comes on the stream of a call's own POST belongs to that call,
// as the protocol says (MCP 2025-11-25, basic/transports). On a stream of the
// whole connection (stdio, SSE, the GET of streamable HTTP) nothing says whose a
// message is. Then it belongs to a call only when it can be nobody else's: all
// calls that run have one and the same Owner, be they such that could be asked or
// not, and so have those that were given up a moment ago; those that were answered
// a moment ago have one Principal, for a client that is done asks anew in another
// session, and what comes late is then still its own key's. The connection is shared
// by the keys of a tenant, and a question of one key's call may show what another
// key must not see, and would be answered by the wrong person.
type callers struct {
	mu      sync.Mutex
	running map[int64]*caller
	left    map[int64]leaving    // given up
	recent  map[string]time.Time // until when the principals of answered calls linger
	crowded time.Time            // until then more left than are remembered
	swept   time.Time
	linger  bool // answers may overtake: the link has more than one stream
	open    map[string]*question
}

// caller is one call that runs.
type caller struct {
	*Call
	ctx       context.Context // ends with the call
	task      string          // that the call waits for
	over      bool            // its answer came, though it still runs here
	questions int             // open ones
	work      sync.WaitGroup
	gone      chan struct{} // closed when it was given up or answered; nil = it can't be asked
}

func (c *caller) principal() string {
	if c.Principal == "" {
		return c.Owner
	}
	return c.Principal
}

// leaving is a call that is over for us and perhaps not for the upstream.
type leaving struct {
	owner string
	until time.Time
}

// begin notes that a call runs; end is called once it does no more, and returns
// when none of its questions is open.
func (c *callers) begin(ctx context.Context, id int64, call *Call) (end func(answered bool)) {
	one, cancel := &caller{Call: call, ctx: ctx}, func() {}
	if call.Ask != nil {
		one.ctx, cancel = context.WithCancel(ctx)
		one.gone = make(chan struct{})
	}
	if strings.HasPrefix(call.Method, "tasks/") {
		one.task = rawjson.Text(rawjson.Field(call.Params, "taskId"))
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.running == nil {
		c.running = make(map[int64]*caller)
	}
	c.running[id] = one
	return func(answered bool) {
		c.leave(id, answered)
		cancel()
		if one.gone != nil {
			close(one.gone)
		}
		one.work.Wait()
	}
}

func (c *callers) leave(id int64, answered bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	one := c.running[id]
	delete(c.running, id)
	if (answered || one.over) && !c.linger {
		return
	}
	now, stays := time.Now(), strayTime
	if answered {
		stays = lingerTime
	}
	until := now.Add(stays)
	_, known := c.recent[one.principal()]
	if !(answered && known) && len(c.left)+len(c.recent) >= maxLeft && !c.sweep(now) {
		if until.After(c.crowded) {
			c.crowded = until
		}
		return
	}
	if c.left == nil {
		c.left, c.recent = make(map[int64]leaving), make(map[string]time.Time)
	}
	if answered {
		c.recent[one.principal()] = until
	} else {
		c.left[id] = leaving{one.Owner, until}
	}
}

// sweep forgets what is over, once a second at most, and says whether there is
// room then. c.mu is held.
func (c *callers) sweep(now time.Time) bool {
	if now.Sub(c.swept) > time.Second {
		c.swept = now
		maps.DeleteFunc(c.left, func(_ int64, l leaving) bool { return now.After(l.until) })
		maps.DeleteFunc(c.recent, func(_ string, until time.Time) bool { return now.After(until) })
	}
	return len(c.left)+len(c.recent) < maxLeft
}

// answered notes the answer to a call, before whatever comes behind it on the same
// stream is looked at; also to one that was given up.
func (c *callers) answered(id json.RawMessage) {
	n, ok := number(id)
	if !ok || c.linger {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if one := c.running[n]; one != nil {
		one.over = true
	}
	delete(c.left, n)
}

// owner is whose all calls are, "" when they are not one's. c.mu is held.
func (c *callers) owner() string {
	owner, principal := "", ""
	for _, one := range c.running {
		if one.over {
			continue
		}
		if one.Owner == "" || owner != "" && owner != one.Owner {
			return ""
		}
		owner, principal = one.Owner, one.principal()
	}
	now := time.Now()
	if owner == "" || now.Before(c.crowded) {
		return ""
	}
	for other, until := range c.recent {
		if other != principal && now.Before(until) {
			return ""
		}
	}
	for _, l := range c.left {
		if l.owner != owner && now.Before(l.until) {
			return ""
		}
	}
	return owner
}

// newest is the call begun last of those that match; 0 = none. c.mu is held.
func (c *callers) newest(matches func(*caller) bool) (id int64) {
	for n, one := range c.running {
		if n > id && !one.over && matches(one) {
			id = n
		}
	}
	return id
}

// listener is the call whose Log gets what comes on a stream of the whole
// connection; 0 = none.
func (c *callers) listener() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.owner() == "" {
		return 0
	}
	return c.newest(func(one *caller) bool { return one.Log != nil })
}
