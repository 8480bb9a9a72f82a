package mcp_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/policy"
)

func limits(all ...policy.RateLimit) func(*keys.NewKey) {
	return func(n *keys.NewKey) { n.MCPLimits = keys.Some(all) }
}

func perDay(tool string, n int64) policy.RateLimit {
	return policy.RateLimit{Tool: tool, Requests: n, Per: policy.PerDay}
}

// TestLimits: a call beyond a limit is refused and told when to come again, by
// whatever door; lists show its tool all the same, and other tools and keys are
// not touched.
func TestLimits(t *testing.T) {
	w := newWorld(t)
	w.clock.Advance(time.Until(time.Now().UTC().Truncate(24 * time.Hour).Add(36 * time.Hour))) // noon
	up := newUpstream(t, tool("read", "r"), tool("other", "r")).with(others{prompts: []string{prompt("ask")}})
	w.mount("a1", up)
	k := w.key(limits(perDay("a1/other", 1), perDay("a1/*", 5)))
	s := w.connect(k, "/mcp")
	for i, want := range []string{`"day-2";r=4;t=`, `"day-2";r=3;t=`} {
		a := s.call("a1__read", `{}`)
		if !strings.Contains(a.body, `"result"`) || a.header.Get("RateLimit-Policy") != `"day-2";q=5;w=86400` || !strings.HasPrefix(a.header.Get("RateLimit"), want) {
			t.Errorf("call %d: %v %s", i, a.header, a.body)
		}
	}
	if a := s.call("a1__other", `{}`); a.header.Get("RateLimit-Policy") != `"day-1";q=1;w=86400, "day-2";q=5;w=86400` {
		t.Errorf("both limits: %v", a.header)
	}
	if a := w.modern(k, "/mcp", "prompts/get", `"name":"a1__ask"`); !strings.Contains(a.body, `"result"`) {
		t.Errorf("a prompt: %s", a.body)
	}
	if a := w.modern(k, "/mcp", "tools/call", `"name":"a1__nope"`); !strings.Contains(a.body, "Unknown tool") || a.header.Get("RateLimit") != "" {
		t.Errorf("a tool that is not there: %v %s", a.header, a.body)
	}
	called := len(up.seen())
	refused := s.call("a1__other", `{}`)
	for _, want := range []string{`"code":-32029`, `"retryAfterSeconds":4`, `"limit":{"tool":"a1/other","requests":1,"per":"day"}`, "Rate limited: the limit of 1 call per day of a1/other is used up", "(ref "} {
		if !strings.Contains(refused.body, want) {
			t.Errorf("refused with %s, without %s", refused.body, want)
		}
	}
	if refused.header.Get("Retry-After") == "" || !strings.HasPrefix(refused.header.Get("RateLimit"), `"day-1";r=0;t=4`) {
		t.Errorf("refused with %v", refused.header)
	}
	if a := w.modern(k, "/mcp", "tools/call", `"name":"a1__read"`); !strings.Contains(a.body, `"result"`) {
		t.Errorf("the fifth call: %s", a.body)
	}
	called++
	if a := w.modern(k, "/mcp", "tools/call", `"name":"a1__read"`); !strings.Contains(a.body, `"code":-32029`) {
		t.Errorf("the sixth call: %s", a.body)
	}
	if n := len(up.seen()); n != called {
		t.Errorf("the upstream was called %d times, not %d", n, called)
	}
	if got := strings.Join(s.list(), " "); !strings.HasPrefix(got, "a1__other a1__read ") {
		t.Errorf("listed: %s", got)
	}
	if a := s.call("whoami", `{}`); !strings.Contains(a.body, "structuredContent") {
		t.Errorf("whoami: %s", a.body)
	}
	if a := w.connect(w.key(), "/mcp").call("a1__read", `{}`); !strings.Contains(a.body, `"result"`) || a.header.Get("RateLimit") != "" {
		t.Errorf("another key: %v %s", a.header, a.body)
	}
	w.until("the refusals are recorded", func() bool {
		list, err := w.svc.AuditEvents(t.Context(), w.op, keys.AuditQuery{KeyID: k.Key.ID, Decision: "deny", Tool: "a1__other"})
		return err == nil && len(list) == 1 && list[0].Failed[0] == "rate.limited" && strings.Contains(refused.body, list[0].Ref) &&
			strings.Contains(string(list[0].Detail), "is used up")
	})
	w.clock.Advance(24 * time.Hour)
	if a := w.connect(k, "/mcp").call("a1__other", `{}`); !strings.Contains(a.body, `"result"`) {
		t.Errorf("the next day: %s", a.body)
	}
}

// TestLimitsWithoutTheStore: a call that can't be counted does not pass.
func TestLimitsWithoutTheStore(t *testing.T) {
	w := newWorld(t)
	w.mount("a1", newUpstream(t, tool("read", "r")))
	k := w.key(limits(perDay("*", 5)))
	s := w.connect(k, "/mcp")
	if a := s.call("a1__read", `{}`); !strings.Contains(a.body, `"result"`) {
		t.Fatalf("%s", a.body)
	}
	w.store.SetDown(true)
	a := s.call("a1__read", `{}`)
	w.store.SetDown(false)
	if !strings.Contains(a.body, `"code":-32029`) || !strings.Contains(a.body, `"retryAfterSeconds":1`) {
		t.Errorf("%s", a.body)
	}
}

// TestLimitsOfListening: each uri that a subscriptions/listen names counts like one that
// resources/subscribe does; those beyond a limit are not granted.
func TestLimitsOfListening(t *testing.T) {
	w := newWorld(t)
	up := newUpstream(t).with(others{resources: []string{resource("x:a"), resource("x:b"), resource("x:c")}})
	up.subscribes = true
	w.mount("a1", up)
	k := w.key(limits(perDay("a1/*", 2)))
	if _, granted := w.watch("modern", k, "/mcp", "x:a", "x:b", "x:c"); !slices.Equal(granted, []string{"x:a", "x:b"}) {
		t.Errorf("granted %v", granted)
	}
	if a := w.modern(k, "/mcp", "resources/read", `"uri":"x:a"`); !strings.Contains(a.body, "-32029") {
		t.Errorf("then read: %s", a.body)
	}
}

// TestLimitsOfSpellings: no resource is read beyond its limit by another spelling of
// its uri, and one read counts once.
func TestLimitsOfSpellings(t *testing.T) {
	w := newWorld(t)
	up := newUpstream(t).with(others{resources: []string{resource("x:/b")}, templates: []string{template("x:/t/{id}")}})
	for _, uri := range []string{"x:/b", "x:/t/1", "x:/t/%31", "x:/t/2"} {
		up.on(uri, func(c fakeCall) string { return `{"contents":[{"uri":` + quoted(c.URI) + `,"text":"t"}]}` })
	}
	w.mount("a1", up)
	for _, first := range []string{"x:/t/1", "x:/t/%31"} {
		k := w.key(limits(perDay("a1/x:/t/1", 1), perDay("a1/*", 4)))
		for _, c := range []struct{ uri, want string }{{"x:/t/2", `"text":"t"`}, {first, `"text":"t"`},
			{"x:/t/1", "-32029"}, {"x:/t/%31", "-32029"}, {"x:/b", `"text":"t"`}, {"x:/t/2", `"text":"t"`}, {"x:/b", "-32029"}} {
			if a := w.modern(k, "/mcp", "resources/read", `"uri":`+quoted(c.uri)); !strings.Contains(a.body, c.want) {
				t.Errorf("first %s, then %s: %s, want %s", first, c.uri, a.body, c.want)
			}
		}
	}
}
