package mcp_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/policy"
)

// TestSubscriptions: an update reaches exactly the clients that subscribed to the
// uri at its instance; the upstream is asked once for all of them, and told when
// the last one is gone.
func TestSubscriptions(t *testing.T) {
	eachEra(t, func(t *testing.T, client string, modern bool) {
		w := newWorld(t)
		ua, ub := subscribable(t, modern, "x:all", "x:a"), subscribable(t, modern, "x:all", "x:b")
		w.mount("a1", ua)
		w.mount("b2", ub)
		k := w.key()
		all, granted := w.watch(client, k, "/mcp", "x:all", "x:b")
		if !slices.Equal(granted, []string{"x:all", "x:b"}) {
			t.Fatalf("granted %v", granted)
		}
		again, _ := w.watch(client, w.key(), "/mcp", "x:all")
		other, _ := w.watch(client, k, "/mcp/b2", "x:all")
		none, _ := w.watch(client, k, "/mcp")
		w.until("the upstreams are asked", func() bool {
			return slices.Equal(ua.wanted(), []string{"x:all"}) && slices.Equal(ub.wanted(), []string{"x:all", "x:b"})
		})
		if n := ua.asks("x:all"); !modern && n != 1 {
			t.Errorf("asked %d times", n)
		}
		ua.updated("x:all")
		all.told("x:all")
		again.told("x:all")
		ub.updated("x:all")
		other.told("x:all")
		ub.updated("x:b")
		all.told("x:b")
		ua.updated("x:a") // nobody subscribed
		ub.updated("x:b") // the word for all that nothing else came before
		all.told("x:b")
		for _, e := range []*watcher{again, other, none} {
			e.quiet("what it did not subscribe to")
		}
		// A resource below is told of as itself.
		ua.updated("x:all/part")
		all.told("x:all/part")
		again.told("x:all/part")
		ua.updated("x:alley")
		all.quiet("another one that begins alike")

		all.end()
		ua.updated("x:all")
		again.told("x:all")
		w.until("only what is wanted is asked for", func() bool { return slices.Equal(ub.wanted(), []string{"x:all"}) })
		again.end()
		w.until("nothing is asked for", func() bool { return len(ua.wanted()) == 0 })
	})
}

// end ends the client: its session, or its stream.
func (e *watcher) end() {
	e.t.Helper()
	if e.c != nil {
		e.c.w.do(http.MethodDelete, "/mcp", nil, e.c.headers...)
	}
	e.stop()
}

// TestSubscribeIsDecided: a uri that is denied can't be subscribed to and can't be
// told from one that is not there; one that an edit takes away is told of no more.
func TestSubscribeIsDecided(t *testing.T) {
	eachEra(t, func(t *testing.T, client string, modern bool) {
		w := newWorld(t)
		ua, ub := subscribable(t, modern, "x:a", "x:no"), subscribable(t, modern, "x:b")
		w.mount("a1", ua)
		w.mount("b2", ub)
		uc := subscribable(t, modern, "x:c")
		w.mountAs(w.tenant("other"), "c3", uc)
		deny := func(patterns ...string) keys.PolicyPatch {
			return keys.PolicyPatch{MCPAllowlistMode: keys.Some(policy.ModeDeny), MCPToolAllowlist: keys.Some(patterns)}
		}
		k := w.key(func(n *keys.NewKey) { n.PolicyPatch = merge(n.PolicyPatch, deny("*no")) })
		e, granted := w.watch(client, k, "/mcp", "x:a", "x:no", "x:c", "x:nope", "x:b")
		if !slices.Equal(granted, []string{"x:a", "x:b"}) {
			t.Errorf("granted %v", granted)
		}
		if e.c != nil {
			want := unnamed(e.c.subscribe("x:nope"), "x:nope")
			if !strings.Contains(want, `-32002,"message":"Unknown resource: NAME (ref REF)","data":{"uri":"NAME"}`) {
				t.Error(want)
			}
			for _, uri := range []string{"x:no", "x:c"} {
				for _, got := range []answer{e.c.subscribe(uri), e.c.unsubscribe(uri)} {
					if unnamed(got, uri) != want {
						t.Errorf("%s: %s", uri, got.body)
					}
				}
			}
		}
		full, _ := w.watch(client, w.key(), "/mcp", "x:a", "x:b")
		ua.updated("x:a/no") // below what both subscribed to, and denied to one
		full.told("x:a/no")
		e.untold("what is denied")
		edit := func(p keys.PolicyPatch) {
			_, err := w.svc.UpdateKey(t.Context(), w.op, k.Key.ID, keys.KeyPatch{PolicyPatch: p})
			must(t, err)
		}
		edit(keys.PolicyPatch{MCPToolAllowlist: keys.Some([]string{"*no", "a1__x:a"})})
		ua.updated("x:a")
		full.told("x:a")
		e.untold("what an edit took away")
		ub.updated("x:b")
		e.told("x:b")
		full.told("x:b")
		edit(keys.PolicyPatch{MCPToolAllowlist: keys.Some([]string{"*no"})})
		ua.updated("x:a")
		full.told("x:a")
		e.untold("what was ended by an edit")
		if len(uc.wanted()) != 0 {
			t.Errorf("another tenant's upstream was asked: %v", uc.wanted())
		}
	})
}

func merge(a, b keys.PolicyPatch) keys.PolicyPatch {
	a.MCPAllowlistMode, a.MCPToolAllowlist = b.MCPAllowlistMode, b.MCPToolAllowlist
	return a
}

// TestSubscriptionsHold: over a reconnect and over an edit of the connection.
func TestSubscriptionsHold(t *testing.T) {
	eachEra(t, func(t *testing.T, client string, modern bool) {
		w := newWorld(t)
		first, next := subscribable(t, modern, "x:a"), subscribable(t, modern, "x:a")
		w.mount("a1", first)
		e, _ := w.watch(client, w.key(), "/mcp", "x:a")
		first.updated("x:a")
		e.told("x:a")
		_, err := w.svc.UpdateInstance(t.Context(), w.op, "a1", keys.InstanceSpec{URL: keys.Some(next.server.URL)})
		must(t, err)
		w.until("the new one is asked", func() bool { return slices.Equal(next.wanted(), []string{"x:a"}) })
		w.until("it listens", func() bool { next.mu.Lock(); defer next.mu.Unlock(); return len(next.listens) > 0 })
		next.updated("x:a")
		e.told("x:a")
		next.mu.Lock()
		clear(next.uris)
		next.mu.Unlock()
		next.server.CloseClientConnections()
		w.until("it is told again", func() bool {
			if !slices.Equal(next.wanted(), []string{"x:a"}) && modern {
				return false
			}
			next.updated("x:a")
			select {
			case got := <-e.got:
				return strings.Contains(got, "resources/updated")
			default:
				return false
			}
		})
	})
}

// TestUnsubscribe: both are idempotent, bounded, and end with the session.
func TestUnsubscribe(t *testing.T) {
	w := newWorld(t)
	up := subscribable(t, false, "x:a")
	w.mount("a1", up)
	k := w.key()
	e, _ := w.watch("legacy", k, "/mcp", "x:a", "x:a")
	ok := `{"jsonrpc":"2.0","id":1,"result":{}}`
	up.updated("x:a")
	e.told("x:a")
	e.quiet("told twice")
	for range 2 {
		if a := e.c.unsubscribe("x:a"); a.body != ok {
			t.Error(a.body)
		}
	}
	w.until("the upstream is told", func() bool { return len(up.wanted()) == 0 })
	up.updated("x:a")
	e.quiet("unsubscribed")

	// What comes while no stream is open is told when one is.
	c := w.connect(k, "/mcp")
	c.subscribe("x:a")
	up.updated("x:a")
	(&watcher{events: w.stream(http.MethodGet, "/mcp", "", c.headers...)}).told("x:a")

	for i := range 1000 {
		if a := e.c.subscribe(fmt.Sprintf("x:%d", i)); a.body != ok {
			t.Fatalf("%d: %s", i, a.body)
		}
	}
	if a := e.c.subscribe("x:more"); !strings.Contains(a.body, `"code":-32029`) || !strings.Contains(a.body, "1000 resources subscribed to") {
		t.Error(a.body)
	}
	if a := e.c.subscribe("x:7"); a.body != ok {
		t.Error(a.body)
	}
	e.end()
	w.until("the session's are ended", func() bool { return slices.Equal(up.wanted(), []string{"x:a"}) })
}

// TestSubscribeRefused: what an upstream can't do, or won't, is said.
func TestSubscribeRefused(t *testing.T) {
	for _, modern := range []bool{false, true} {
		w := newWorld(t)
		mute := subscribable(t, modern, "x:a")
		mute.subscribes = false
		w.mount("a1", mute)
		c := w.connect(w.key(), "/mcp")
		if a := c.subscribe("x:a"); !strings.Contains(a.body, `"error":{"code":-32602,"message":"The instance a1 does not tell when its resources change`) {
			t.Errorf("modern %v: %s", modern, a.body)
		}
		if _, granted := w.watch("modern", w.key(), "/mcp", "x:a"); len(granted) != 0 {
			t.Errorf("modern %v: granted %v", modern, granted)
		}
	}
	w := newWorld(t)
	up := subscribable(t, false, "x:a", "x:b")
	up.refuse = func(uri string) string {
		if uri == "x:a" {
			return `{"code":-31999,"message":"no","data":{"n":12345678901234567890}}`
		}
		return ""
	}
	w.mount("a1", up)
	if a := w.connect(w.key(), "/mcp").subscribe("x:a"); a.body != `{"jsonrpc":"2.0","id":1,"error":{"code":-31999,"message":"no","data":{"n":12345678901234567890}}}` {
		t.Error(a.body)
	}
	if _, granted := w.watch("modern", w.key(), "/mcp", "x:a", "x:b"); !slices.Equal(granted, []string{"x:b"}) {
		t.Errorf("granted %v", granted)
	}
}

// TestSubscribeIsDeclared in both eras.
func TestSubscribeIsDeclared(t *testing.T) {
	w := newWorld(t)
	k := w.key()
	for era, a := range map[string]answer{"legacy": w.post("/mcp", initialize, auth(k)...), "modern": w.modern(k, "/mcp", "server/discover", "")} {
		if !strings.Contains(a.body, `"resources":{"listChanged":true,"subscribe":true}`) && !strings.Contains(a.body, `"resources":{"subscribe":true,"listChanged":true}`) {
			t.Errorf("%s: %s", era, a.body)
		}
	}
	for _, method := range []string{"resources/subscribe", "resources/unsubscribe"} {
		if a := w.modern(k, "/mcp", method, `"uri":"x:a"`); a.status != 404 || !strings.Contains(a.body, "-32601") {
			t.Errorf("%s: %d %s", method, a.status, a.body)
		}
	}
}

// TestSubscriptionStays: a subscription is to the resource of one instance, also
// when another one, which a read would reach first, comes into sight.
func TestSubscriptionStays(t *testing.T) {
	w := newWorld(t)
	ua, ub := subscribable(t, false, "x:all"), subscribable(t, false, "x:all")
	w.mount("a1", ua)
	b2 := w.mount("b2", ub)
	k := w.key(func(n *keys.NewKey) { n.MCPInstanceIDs = keys.Some(policy.Only(b2.ID)) })
	e, _ := w.watch("legacy", k, "/mcp", "x:all")
	ub.updated("x:all")
	e.told("x:all")
	_, err := w.svc.UpdateKey(t.Context(), w.op, k.Key.ID, keys.KeyPatch{PolicyPatch: keys.PolicyPatch{MCPInstanceIDs: keys.Null[policy.Limit]()}})
	must(t, err)
	if got := e.next(); !strings.Contains(got, "list_changed") {
		t.Fatal(got)
	}
	ua.updated("x:all")
	e.untold("of another instance")
	ub.updated("x:all")
	e.told("x:all")
	// The uri is all that a client can name.
	e.c.unsubscribe("x:all")
	w.until("nothing is asked for", func() bool { return len(ub.wanted()) == 0 })
}

// TestSubscriptionsOverPipes: SSE and stdio clients are told on their one stream.
func TestSubscriptionsOverPipes(t *testing.T) {
	w := newWorld(t)
	up := subscribable(t, false, "x:a")
	w.mount("a1", up)
	k := w.key()
	const request = `{"jsonrpc":"2.0","id":1,"method":"resources/subscribe","params":{"uri":"x:a"}}`
	const update = `{"jsonrpc":"2.0","method":"notifications/resources/updated","params":{"uri":"x:a"}}`
	sse := w.stream(http.MethodGet, "/sse", "", auth(k)...)
	endpoint := sse.next()
	w.post(endpoint, request, auth(k)...)
	if got := sse.next(); got != `{"jsonrpc":"2.0","id":1,"result":{}}` {
		t.Fatal(got)
	}
	var ends []*pipes
	for _, serve := range doors(w, k) {
		p := startPipes(t, serve)
		p.send(initialize)
		p.expect(`"id":"init"`)
		p.send(initialized, request)
		p.expect(`"id":1,"result":{}`)
		ends = append(ends, p)
	}
	up.updated("x:a")
	for _, got := range []string{sse.next(), ends[0].next(), ends[1].next()} {
		if got != update {
			t.Error(got)
		}
	}
	sse.stop()
	for _, p := range ends {
		_ = p.in.Close()
		must(t, p.ended())
	}
	w.until("nothing is asked for", func() bool { return len(up.wanted()) == 0 })
}
