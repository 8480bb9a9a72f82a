package keys_test

import (
	"time"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/policy"
)

// oneCall is what the rules for calls look at.
type oneCall struct {
	arguments string
	approved  bool // a person has approved it
	nth       int64
	per       policy.Period // in which it is the nth of its tool
}

// calls differ in all that drawKey's rules for calls look at.
var calls = func() (out []oneCall) {
	for _, arguments := range []string{`{"repo":"acme/web"}`, `{"repo":"acme/api"}`, `{"repo":"other"}`, `{}`} {
		for _, approved := range []bool{false, true} {
			for _, per := range []policy.Period{policy.PerMinute, policy.PerHour} {
				for _, nth := range []int64{1, 2, 3, 5} {
					out = append(out, oneCall{arguments, approved, nth, per})
				}
			}
		}
	}
	return out
}()

// passes tells whether the grant lets the call through, by all of its rules.
func (c oneCall) passes(g *policy.Grant, tool *policy.Tool, now time.Time) bool {
	if !g.Decide(nil, tool, now).Allowed() || !c.approved && g.NeedsApproval(tool) || !g.DecideArguments(tool, []byte(c.arguments), nil).Allowed() {
		return false
	}
	for _, limit := range g.Limits(tool) {
		if limit.Per == c.per && limit.Requests < c.nth {
			return false
		}
	}
	return true
}

// checkCalls holds what a key may say in calls of one tool, how often, and without a
// person, to the same.
func (w *world) checkCalls(p keys.Principal, above []*policy.Grant, tool, original *policy.Tool, now time.Time) {
	for _, c := range calls {
		if !c.passes(p.Grant(), tool, now) {
			continue
		}
		if !anyOf(w.starts, func(g *policy.Grant) bool { return c.passes(g, original, now) }) {
			w.r.Fatalf("key %+v may call %+v as %+v, which the first never could: %v", p.Key(), tool, c, w.starts[0].Decide(nil, original, now).Failed())
		}
		for _, g := range above {
			if !c.passes(g, tool, now) {
				w.r.Fatalf("key %+v may call %+v as %+v, which a key above it can't: %v", p.Key(), tool, c, g.Decide(nil, tool, now).Failed())
			}
		}
	}
}
