package mcp

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"sync"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/keys/wire"
	"github.com/bailiwick-mcp/bailiwick/policy"
)

// What one key, or one subject of JWTs, may have open at a time, over all its connections: enough for
// any client, and few enough that no key takes the memory from the others.
const (
	maxCalls   = 64 // running calls, until their answers are written
	maxStreams = 64 // streams of notifications
)

// retryAfter is what a client over its limit is told to wait, in seconds.
const retryAfter = 1

// quota counts what each key has open.
type quota struct {
	most int

	mu   sync.Mutex
	open map[string]int // by tenant and principal
}

func newQuota(most int) *quota { return &quota{most: most, open: map[string]int{}} }

// take counts one more, until release is called; ok is false at the limit.
func (q *quota) take(p keys.Principal) (release func(), ok bool) {
	id := p.TenantID() + "/" + p.ID()
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.open[id] >= q.most {
		return nil, false
	}
	q.open[id]++
	return func() {
		q.mu.Lock()
		defer q.mu.Unlock()
		if q.open[id]--; q.open[id] == 0 {
			delete(q.open, id)
		}
	}, true
}

// rateLimited refuses a request over its key's limit of what, and records it.
func (g *Gateway) rateLimited(ctx context.Context, r *request, v verdict, most int, what string) reply {
	return g.limitedOf(ctx, r, v, "key", most, what)
}

// limitedOf refuses a request over the limit of its key, organization or server.
func (g *Gateway) limitedOf(ctx context.Context, r *request, v verdict, whose string, most int, what string) reply {
	g.counters.decided(v, policy.RuleRate)
	e := g.entryOf(r, v)
	e.Kind, e.Decision, e.Ref, e.Failed = "decision", "deny", newReference(), []string{policy.RuleRate.String()}
	e.Detail = wire.RequestDetail(nil, keptArguments(r))
	g.record(ctx, e)
	return failure(r.msg.id, codeRateLimited, limitOf(whose, most, what), retryData())
}

// retryData is the data of an error about a limit.
func retryData() json.RawMessage {
	return json.RawMessage(`{"retryAfterSeconds":` + strconv.Itoa(retryAfter) + `}`)
}

// refuseStream answers a GET of a stream over its key's limit.
func (g *Gateway) refuseStream(v *visit) {
	v.tooMany(limitReached(maxStreams, "streams open"))
}

func (v *visit) tooMany(detail string) {
	v.w.Header().Set("Retry-After", strconv.Itoa(retryAfter))
	wire.NewProblem(http.StatusTooManyRequests, "rate_limited", detail).Answer(v.w)
}

func limitReached(most int, what string) string { return limitOf("key", most, what) }

func limitOf(whose string, most int, what string) string {
	return fmt.Sprintf("this "+whose+" has %d %s, as many as it may: try again when one of them has ended", most, what)
}
