package mcp

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/keys/wire"
	"github.com/bailiwick-mcp/bailiwick/policy"
)

// count counts a call against its key's limits; nil when it may go on. Every
// request that goes on to where it is answered is a call, each of a client's that
// comes again with an upstream's state among them, for it could come often.
func (g *Gateway) count(ctx context.Context, r *request, v verdict) *reply {
	limits, err := g.svc.CountCall(ctx, r.principal, countedAs(r, v)...)
	if err == nil {
		announce(r.answerHeader, limits)
		return nil
	}
	var full *keys.LimitError
	if errors.As(err, &full) {
		announce(r.answerHeader, []keys.CallLimit{full.Limit})
		return g.overLimit(ctx, r, v, full)
	}
	g.log.Warn("a call can't be counted", zap.String("tool", toolSaid(v)), zap.Error(err))
	ref := g.recordLimited(ctx, r, v, "the call can't be counted: the store can't be reached")
	refused := failure(r.msg.id, codeRateLimited, "This key's calls are counted, and can't be just now: try again (ref "+ref+")", retryData())
	return &refused
}

// countedAs is what a call counts as. A resource counts under each spelling of its
// uri, so that no limit is passed by another one.
func countedAs(r *request, v verdict) []*policy.Tool {
	tools := []*policy.Tool{v.tool}
	if v.target.kind != kindResource || !r.principal.Grant().Limited() {
		return tools
	}
	slug, c := slugOf(v.tool), r.tenant.catalog.Load()
	if c == nil || c.slugs[slug] == nil {
		return tools
	}
	for _, uri := range spellings(v.target.name) {
		tools = append(tools, c.itself(slug, uri))
	}
	return tools
}

// overLimit refuses a call beyond a limit, and says when to come again.
func (g *Gateway) overLimit(ctx context.Context, r *request, v verdict, full *keys.LimitError) *reply {
	wait := seconds(full.Limit.Reset)
	if r.answerHeader != nil {
		r.answerHeader.Set("Retry-After", strconv.FormatInt(wait, 10))
	}
	ref := g.recordLimited(ctx, r, v, full.Error())
	data, _ := json.Marshal(struct { // texts and numbers always encode
		RetryAfter int64            `json:"retryAfterSeconds"`
		Limit      policy.RateLimit `json:"limit"`
	}{wait, full.Limit.RateLimit})
	refused := failure(r.msg.id, codeRateLimited,
		fmt.Sprintf("Rate limited: %v. Try again in %d s (ref %s)", full, wait, ref), data)
	return &refused
}

// recordLimited records a call that was refused for its key's limits.
func (g *Gateway) recordLimited(ctx context.Context, r *request, v verdict, observed string) (ref string) {
	g.counters.decided(v, policy.RuleRate)
	e := g.entryOf(r, v)
	ref = newReference()
	e.Kind, e.Decision, e.Ref, e.Failed = "decision", "deny", ref, []string{policy.RuleRate.String()}
	_, rules := r.principal.Grant().Explain(r.narrowing.session, v.tool, g.cfg.Now())
	rules = append(rules, policy.RuleResult{Rule: policy.RuleRate, Observed: observed})
	e.Detail = wire.RequestDetail(rules, keptArguments(r))
	g.record(ctx, e)
	return ref
}

// announce tells how the limits stand, in the fields of
// draft-ietf-httpapi-ratelimit-headers-10. h is nil where an answer has none.
func announce(h http.Header, limits []keys.CallLimit) {
	if h == nil || len(limits) == 0 {
		return
	}
	limits = slices.Clone(limits)
	slices.SortFunc(limits, func(a, b keys.CallLimit) int {
		if a.Layer != b.Layer {
			return a.Layer - b.Layer
		}
		return a.Index - b.Index
	})
	var policies, states []string
	for _, l := range limits {
		// A pattern may have what a structured field's string may not (RFC 9651).
		name := fmt.Sprintf("%s-%d", l.Per, l.Index+1)
		if l.Layer > 0 {
			name = fmt.Sprintf("parent%d-%s", l.Layer, name)
		}
		policies = append(policies, fmt.Sprintf("%q;q=%d;w=%d", name, l.Requests, l.Per.Seconds()))
		states = append(states, fmt.Sprintf("%q;r=%d;t=%d", name, l.Remaining, seconds(l.Reset)))
	}
	h.Set("RateLimit-Policy", strings.Join(policies, ", "))
	h.Set("RateLimit", strings.Join(states, ", "))
}

// seconds rounds up: who waits so long does not come too early.
func seconds(d time.Duration) int64 { return int64(math.Ceil(max(d.Seconds(), 0))) }
