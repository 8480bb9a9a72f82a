package mcp_test

import (
	"bufio"
	"context"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/policy"
)

// events is an open stream as a client reads it.
type events struct {
	t      testing.TB
	header http.Header
	got    chan string // data of each event
	stop   context.CancelFunc
}

// stream opens a stream; it is closed with the test.
func (w *world) stream(method, path, body string, headers ...string) *events {
	w.t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	req, err := http.NewRequestWithContext(ctx, method, w.http.URL+path, strings.NewReader(body))
	must(w.t, err)
	for h := range slices.Chunk(append([]string{"Content-Type", "application/json"}, headers...), 2) {
		req.Header.Set(h[0], h[1])
	}
	res, err := w.client.Do(req)
	must(w.t, err)
	if res.StatusCode != http.StatusOK || res.Header.Get("Content-Type") != "text/event-stream" {
		stop()
		w.t.Fatalf("%s %s: %d %s", method, path, res.StatusCode, res.Header.Get("Content-Type"))
	}
	e := &events{t: w.t, header: res.Header, got: make(chan string, 100), stop: stop}
	var wg sync.WaitGroup
	wg.Go(func() {
		defer close(e.got)
		defer func() { _ = res.Body.Close() }()
		lines := bufio.NewScanner(res.Body)
		lines.Buffer(nil, 1<<20) // a list is longer than a scanner takes by itself
		for lines.Scan() {
			if data, ok := strings.CutPrefix(lines.Text(), "data: "); ok {
				e.got <- data
			}
		}
	})
	w.t.Cleanup(func() { stop(); wg.Wait() })
	return e
}

// next is the next event's data.
func (e *events) next() string {
	e.t.Helper()
	select {
	case data, ok := <-e.got:
		if !ok {
			e.t.Fatal("the stream was cut")
		}
		return data
	case <-time.After(5 * time.Second):
		e.t.Fatal("no event came")
		return ""
	}
}

// quiet fails when an event is there.
func (e *events) quiet(why string) {
	e.t.Helper()
	select {
	case data, ok := <-e.got:
		if ok {
			e.t.Errorf("%s: got %s", why, data)
		} else {
			e.t.Errorf("%s: the stream was cut", why)
		}
	case <-time.After(100 * time.Millisecond):
	}
}

// cut waits for the stream's end and answers how long that took.
func (e *events) cut() time.Duration {
	e.t.Helper()
	start := time.Now()
	for {
		select {
		case _, ok := <-e.got:
			if !ok {
				return time.Since(start)
			}
		case <-time.After(5 * time.Second):
			e.t.Fatal("the stream goes on")
		}
	}
}

const changed = `{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}`

func (w *world) listen(k keys.Issued) *events {
	w.t.Helper()
	e := w.stream(http.MethodPost, "/mcp", `{"jsonrpc":"2.0","id":"sub","method":"subscriptions/listen","params":{"notifications":{"toolsListChanged":true},`+modernMeta+`}}`,
		append(auth(k), "Mcp-Protocol-Version", "2026-07-28", "Mcp-Method", "subscriptions/listen")...)
	ack := e.next()
	if !strings.Contains(ack, "notifications/subscriptions/acknowledged") || !strings.Contains(ack, `"io.modelcontextprotocol/subscriptionId":"sub"`) ||
		!strings.Contains(ack, `"toolsListChanged":true`) {
		w.t.Fatalf("acknowledged: %s", ack)
	}
	return e
}

// TestListChanged holds that a change reaches exactly the sessions whose
// visible tools changed, from upstream changes and from edits, in both eras.
func TestListChanged(t *testing.T) {
	w := newWorld(t)
	ua, ub := newUpstream(t, tool("read_x", "r")), newUpstream(t, tool("read_y", "r"))
	a1, b2 := w.mount("a1", ua), w.mount("b2", ub)
	seesA := w.key(func(n *keys.NewKey) { n.MCPInstanceIDs = keys.Some(policy.Only(a1.ID)) })
	seesB := w.key(func(n *keys.NewKey) { n.MCPInstanceIDs = keys.Some(policy.Only(b2.ID)) })
	open := func(k keys.Issued, path string) *events {
		c := w.connect(k, path)
		c.list()
		return w.stream(http.MethodGet, path, "", c.headers...)
	}
	onA, onB, narrowed, modernA := open(seesA, "/mcp"), open(seesB, "/mcp"), open(seesA, "/mcp?instances=bailiwick"), w.listen(seesA)

	ua.setTools(tool("read_x", "r"), tool("read_more", "r"))
	if got := onA.next(); got != changed {
		t.Errorf("upstream change: %s", got)
	}
	if got := modernA.next(); !strings.Contains(got, "list_changed") || !strings.Contains(got, `"io.modelcontextprotocol/subscriptionId":"sub"`) {
		t.Errorf("upstream change, modern: %s", got)
	}
	onB.quiet("a change of what it can't see")
	narrowed.quiet("a change of what it gave up")

	// The same list again is no change.
	ua.setTools(tool("read_x", "r"), tool("read_more", "r"))
	onA.quiet("the same list")

	// A tool that comes is no change for a key that may only read.
	_, err := w.svc.UpdateKey(t.Context(), w.op, seesB.Key.ID, keys.KeyPatch{PolicyPatch: keys.PolicyPatch{MCPReadOnly: keys.Some(true)}})
	must(t, err)
	if got := onB.next(); got != changed { // its built-ins that write are gone
		t.Errorf("key edit: %s", got)
	}
	ub.setTools(tool("read_y", "r"), tool("drop_y", "d"))
	w.until("the new tool is known", func() bool { l, _ := w.gw.InstanceTools(t.Context(), b2); return len(l) == 2 })
	onB.quiet("a tool it may not call")
	onA.quiet("another key's edit")

	// An edit of the instance's classes.
	_, err = w.svc.UpdateInstance(t.Context(), w.op, b2.ID, keys.InstanceSpec{Tools: keys.Some([]keys.ToolRule{{Match: "drop_y", Effect: policy.EffectRead}})})
	must(t, err)
	if got := onB.next(); got != changed {
		t.Errorf("reclassified: %s", got)
	}
	_, err = w.svc.UpdateInstance(t.Context(), w.op, a1.ID, keys.InstanceSpec{Enabled: keys.Some(false)})
	must(t, err)
	if got := onA.next(); got != changed {
		t.Errorf("disabled: %s", got)
	}
}

// TestMissedChange: what changed between the last list and the stream's
// opening is told at once.
func TestMissedChange(t *testing.T) {
	w := newWorld(t)
	up := newUpstream(t, tool("read_x", "r"))
	a1 := w.mount("a1", up)
	c := w.connect(w.key(), "/mcp")
	c.list()
	up.setTools(tool("read_z", "r"))
	w.until("the change is known", func() bool {
		l, _ := w.gw.InstanceTools(t.Context(), a1)
		return len(l) == 1 && l[0].Name == "read_z"
	})
	if got := w.stream(http.MethodGet, "/mcp", "", c.headers...).next(); got != changed {
		t.Error(got)
	}
}

// TestStreamsAreCut: no stream outlives its key's right to it.
func TestStreamsAreCut(t *testing.T) {
	w := newWorld(t)
	ctx := context.Background()
	patch := func(p keys.KeyPatch) func(keys.Issued) error {
		return func(k keys.Issued) error {
			_, err := w.svc.UpdateKey(ctx, w.op, k.Key.ID, p)
			return err
		}
	}
	other := w.tenant("other")
	for name, c := range map[string]struct {
		as keys.Principal
		do func(keys.Issued) error
	}{
		"revoked": {w.op, func(k keys.Issued) error {
			_, err := w.svc.RevokeKey(ctx, w.op, k.Key.ID, keys.Revocation{})
			return err
		}},
		"rotated without grace": {w.op, func(k keys.Issued) error {
			_, err := w.svc.RotateKey(ctx, w.op, k.Key.ID, keys.Rotation{})
			return err
		}},
		"disabled": {w.op, patch(keys.KeyPatch{Enabled: keys.Some(false)})},
		"paused":   {w.op, patch(keys.KeyPatch{PolicyPatch: keys.PolicyPatch{MCPActive: keys.Some(false)}})},
		"tenant switched off": {other, func(keys.Issued) error {
			_, err := w.svc.UpdateTenant(ctx, other, keys.TenantPatch{MCPEnabled: keys.Some(false)})
			return err
		}},
		"expired": {w.op, func(keys.Issued) error { w.clock.Advance(time.Hour); return nil }},
	} {
		k := w.keyAs(c.as, func(n *keys.NewKey) {
			soon := w.clock.Now().Add(30 * time.Minute)
			n.ExpiresAt = &soon
		})
		session := w.connect(k, "/mcp")
		streams := map[string]*events{
			"GET":    w.stream(http.MethodGet, "/mcp", "", session.headers...),
			"listen": w.listen(k),
			"SSE":    w.stream(http.MethodGet, "/sse", "", auth(k)...),
		}
		must(t, c.do(k))
		for transport, e := range streams {
			t.Logf("%s, %s: cut after %v", name, transport, e.cut())
		}
	}
}

// TestRunningCallsEnd: a call of a revoked key is ended at the upstream and
// gets no result.
func TestRunningCallsEnd(t *testing.T) {
	w := newWorld(t)
	up := newUpstream(t, tool("wait", "r"))
	w.mount("a1", up)
	started, ended := make(chan struct{}), make(chan struct{})
	up.on("wait", func(c fakeCall) string {
		close(started)
		<-c.done
		close(ended)
		return `{"content":[]}`
	})
	k, other := w.key(), w.key()
	c := w.connect(k, "/mcp")
	otherStream := w.stream(http.MethodGet, "/mcp", "", w.connect(other, "/mcp").headers...)
	got := make(chan answer, 1)
	go func() { got <- c.call("a1__wait", `{}`) }()
	<-started
	_, err := w.svc.RevokeKey(t.Context(), w.op, k.Key.ID, keys.Revocation{})
	must(t, err)
	<-ended
	if a := <-got; a.status != http.StatusUnauthorized {
		t.Errorf("%d %s", a.status, a.body)
	}
	otherStream.quiet("another key's stream")
}

// TestEditsAreInForce: an edit is in force with the next request of
// an open session.
func TestEditsAreInForce(t *testing.T) {
	w := newWorld(t)
	w.mount("a1", newUpstream(t, tool("read_x", "r"), tool("drop_x", "d")))
	k := w.key()
	c := w.connect(k, "/mcp")
	edit := func(p keys.KeyPatch) {
		_, err := w.svc.UpdateKey(t.Context(), w.op, k.Key.ID, p)
		must(t, err)
	}
	if a := c.call("a1__drop_x", `{}`); !strings.Contains(a.body, "ok") {
		t.Fatal(a.body)
	}
	edit(keys.KeyPatch{PolicyPatch: keys.PolicyPatch{MCPReadOnly: keys.Some(true)}})
	if a := c.call("a1__drop_x", `{}`); !strings.Contains(a.body, "Unknown tool") || slices.Contains(c.list(), "a1__drop_x") {
		t.Errorf("narrowed: %s", a.body)
	}
	edit(keys.KeyPatch{PolicyPatch: keys.PolicyPatch{MCPActive: keys.Some(false)}})
	if a := c.call("a1__read_x", `{}`); a.code() != "key_paused" {
		t.Errorf("paused: %s", a.body)
	}
	edit(keys.KeyPatch{PolicyPatch: keys.PolicyPatch{MCPActive: keys.Some(true)}})
	if a := c.call("a1__read_x", `{}`); !strings.Contains(a.body, "ok") {
		t.Errorf("resumed: %s", a.body)
	}
	_, err := w.svc.RevokeKey(t.Context(), w.op, k.Key.ID, keys.Revocation{})
	must(t, err)
	if a := c.call("a1__read_x", `{}`); a.status != http.StatusUnauthorized {
		t.Errorf("revoked: %d", a.status)
	}
}

// TestEndStreams: a server that shuts down ends its streams and no calls.
func TestEndStreams(t *testing.T) {
	w := newWorld(t)
	up := newUpstream(t, tool("wait", "r"))
	w.mount("a1", up)
	started, release := make(chan struct{}), make(chan struct{})
	finish := sync.OnceFunc(func() { close(release) })
	defer finish()
	up.on("wait", func(fakeCall) string { close(started); <-release; return `{"content":[]}` })
	k := w.key()
	c := w.connect(k, "/mcp")
	streams := []*events{w.stream(http.MethodGet, "/mcp", "", c.headers...), w.listen(k), w.stream(http.MethodGet, "/sse", "", auth(k)...)}
	got := make(chan answer, 1)
	go func() { got <- c.call("a1__wait", `{}`) }()
	<-started
	w.gw.EndStreams()
	for _, e := range streams {
		e.cut()
	}
	w.stream(http.MethodGet, "/mcp", "", c.headers...).cut()
	finish()
	if a := <-got; !strings.Contains(a.body, `"content":[]`) {
		t.Errorf("%d %s", a.status, a.body)
	}
}

// TestLogMessages: an upstream's log messages reach the call that they belong
// to, from the level on that the client asked for.
func TestLogMessages(t *testing.T) {
	w := newWorld(t)
	up := newUpstream(t, tool("t", "r"))
	w.mount("a1", up)
	up.on("t", func(c fakeCall) string {
		for _, level := range []string{"debug", "warning", "error"} {
			c.notify("notifications/message", `{"level":"`+level+`","data":{"n":12345678901234567890}}`)
		}
		return `{"content":[]}`
	})
	k := w.key()
	c := w.connect(k, "/mcp")
	if a := c.send(`{"jsonrpc":"2.0","id":1,"method":"logging/setLevel","params":{"level":"warning"}}`); !strings.Contains(a.body, `"result":{}`) {
		t.Fatal(a.body)
	}
	if a := c.send(`{"jsonrpc":"2.0","id":1,"method":"logging/setLevel","params":{"level":"loud"}}`); !strings.Contains(a.body, `-32602`) {
		t.Fatal(a.body)
	}
	call := `{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"a1__t"}}`
	e := w.stream(http.MethodPost, "/mcp", call, c.headers...)
	for _, want := range []string{`"level":"warning","data":{"n":12345678901234567890}`, `"level":"error"`, `"id":2,"result"`} {
		if got := e.next(); !strings.Contains(got, want) {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	if a := w.modern(k, "/mcp", "tools/call", `"name":"a1__t"`); a.header.Get("Content-Type") != "application/json" {
		t.Errorf("stateless, no level asked for: %s", a.body)
	}
}
