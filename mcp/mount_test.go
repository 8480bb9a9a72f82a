package mcp_test

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/mcp"
	"github.com/bailiwick-mcp/bailiwick/policy"
)

// second is another gateway over the same store, as after a restart; run starts it.
func (w *world) second(edits ...func(*mcp.Config)) *world {
	w.t.Helper()
	cfg := mcp.Config{Service: w.svc, Version: "test", ListWait: 2 * time.Second, Now: w.clock.Now}
	s := &world{t: w.t, svc: w.svc, op: w.op, clock: w.clock, store: w.store, client: w.client}
	cfg.Authenticate = s.authenticate
	for _, edit := range edits {
		edit(&cfg)
	}
	var err error
	s.gw, err = mcp.New(cfg)
	must(w.t, err)
	s.serve()
	w.t.Cleanup(func() { s.http.CloseClientConnections(); s.http.Close() })
	return s
}

// run runs the gateway of second until the test ends.
func (s *world) run() {
	ctx, stop := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { _ = s.gw.Run(ctx) })
	s.t.Cleanup(func() {
		s.http.CloseClientConnections()
		stop()
		wg.Wait()
	})
}

// TestStoredDefinitions: after a restart tools are listed at once, though the
// upstream is away; one never seen is waited for.
func TestStoredDefinitions(t *testing.T) {
	w := newWorld(t)
	up := newUpstream(t, tool("read_x", "r"))
	w.mount("a1", up)
	w.until("the definitions are stored", func() bool {
		all, err := w.svc.Mounts(t.Context())
		must(t, err)
		defs, err := w.svc.Definitions(t.Context(), all[0])
		return err == nil && len(defs) == 1
	})
	up.server.CloseClientConnections()
	up.server.Close()
	k := w.key()
	s := w.second(func(c *mcp.Config) { c.ListWait = time.Hour })
	// Requests that come before the instances were read wait for that.
	got := make(chan []string, 1)
	go func() { got <- s.connect(k, "/mcp/a1").list() }()
	w.until("the request has come", func() bool { return s.authenticated.Load() > 0 })
	time.Sleep(20 * time.Millisecond)
	s.run()
	if l := <-got; !slices.Equal(l, []string{"a1__read_x"}) {
		t.Errorf("first list after the start: %v", l)
	}
	s.gw.WaitReady(t.Context())
	if state, problem := s.gw.InstanceStatus(w.instance("a1").ID); state != "down" || problem == "" {
		t.Errorf("status: %s, %q", state, problem)
	}
}

func (w *world) instance(slug string) keys.Instance {
	w.t.Helper()
	i, err := w.svc.Instance(context.Background(), w.op, slug)
	must(w.t, err)
	return i
}

// TestFirstListWaits: the first list waits for a visible instance that was
// never seen, and for no other.
func TestFirstListWaits(t *testing.T) {
	w := newWorld(t, func(c *mcp.Config) { c.ListWait = time.Hour })
	up := newUpstream(t, tool("read_x", "r"))
	release := make(chan struct{})
	up.hold(release)
	_, err := w.svc.CreateInstance(t.Context(), w.op, keys.InstanceSpec{Slug: keys.Some("a1"), Transport: keys.Some(keys.TransportHTTP),
		URL: keys.Some(up.server.URL), TrustAnnotations: keys.Some(true)})
	must(t, err)
	i := w.instance("a1")
	w.until("the instance is mounted", func() bool { s, _ := w.gw.InstanceStatus(i.ID); return s == "connecting" })
	sees := w.key()
	hidden := w.key(func(n *keys.NewKey) { n.MCPInstanceIDs = keys.Some(policy.Only()) })
	unwaited := make(chan []string, 2)
	go func() {
		unwaited <- w.connect(hidden, "/mcp").list()
		unwaited <- w.connect(sees, "/mcp?instances=bailiwick").list()
	}()
	for range cap(unwaited) {
		select {
		case got := <-unwaited:
			if len(got) == 0 || slices.Contains(got, "a1__read_x") {
				t.Errorf("listed %v", got)
			}
		case <-time.After(5 * time.Second):
			t.Fatal("waits for what it does not see")
		}
	}
	if a := w.post("/mcp/a1", initialize, auth(hidden)...); a.status != http.StatusNotFound {
		t.Errorf("the path of an instance that it does not reach: %d", a.status)
	}
	c := w.connect(sees, "/mcp/a1")
	got := make(chan []string, 1)
	go func() { got <- c.list() }()
	select {
	case l := <-got:
		t.Errorf("did not wait: %v", l)
	case <-time.After(50 * time.Millisecond):
	}
	close(release)
	if l := <-got; !slices.Equal(l, []string{"a1__read_x"}) {
		t.Errorf("%v", l)
	}
}

// TestReconcile: edits restart one connection, or none when only classes change.
func TestReconcile(t *testing.T) {
	w := newWorld(t)
	ua, ub := newUpstream(t, tool("x", "r")), newUpstream(t, tool("y", "r"))
	a1, b2 := w.mount("a1", ua), w.mount("b2", ub)
	k := w.key()
	c := w.connect(k, "/mcp")
	starts := func() [2]int { return [2]int{ua.initialized(), ub.initialized()} }
	before := starts()
	update := func(id string, spec keys.InstanceSpec) {
		_, err := w.svc.UpdateInstance(t.Context(), w.op, id, spec)
		must(t, err)
	}
	update(a1.ID, keys.InstanceSpec{WriteEnabled: keys.Some(false), TrustAnnotations: keys.Some(false)})
	w.until("the class has changed", func() bool { return !slices.Contains(c.list(), "a1__x") })
	update(a1.ID, keys.InstanceSpec{WriteEnabled: keys.Some(true), TrustAnnotations: keys.Some(true), Slug: keys.Some("a9")})
	w.until("the new name is there", func() bool { l := c.list(); return slices.Contains(l, "a9__x") && !slices.Contains(l, "a1__x") })
	w.until("it answers", func() bool { return strings.Contains(c.call("a9__x", `{}`).body, "ok") })
	moved := newUpstream(t, tool("moved", "r"))
	update(a1.ID, keys.InstanceSpec{URL: keys.Some(moved.server.URL)})
	w.until("the other address is asked", func() bool { return slices.Contains(c.list(), "a9__moved") })
	if got, want := starts(), [2]int{before[0] + 1, before[1]}; got != want {
		t.Errorf("connections were made %v times, want %v", got, want)
	}
	must(t, w.svc.DeleteInstance(t.Context(), w.op, b2.ID))
	w.until("the deleted one is gone", func() bool { return !slices.Contains(c.list(), "b2__y") })
	if a := c.call("b2__y", `{}`); !strings.Contains(a.body, "Unknown tool") {
		t.Error(a.body)
	}
	if state, _ := w.gw.InstanceStatus(b2.ID); state != "" {
		t.Errorf("status of what is gone: %s", state)
	}
}

// TestLeftOut: a tool that can't be offered is left out and reported; the
// others are not touched.
func TestLeftOut(t *testing.T) {
	w := newWorld(t)
	long := strings.Repeat("n", 126)
	up := newUpstream(t, tool("good", "r"), tool(long, "r"),
		`{"name":"bad_header","inputSchema":{"type":"object","properties":{"a":{"type":"object","x-mcp-header":"A"}}}}`,
		`{"name":"twice","description":"1","description":"2","inputSchema":{"type":"object"}}`)
	spec := keys.InstanceSpec{Slug: keys.Some("a1"), Transport: keys.Some(keys.TransportHTTP), URL: keys.Some(up.server.URL)}
	i, err := w.svc.CreateInstance(t.Context(), w.op, spec)
	must(t, err)
	_, err = w.svc.UpdateInstance(t.Context(), w.op, i.ID, keys.InstanceSpec{WriteEnabled: keys.Some(true)})
	must(t, err)
	c := w.connect(w.key(), "/mcp/a1")
	w.until("the good one is listed", func() bool { return slices.Equal(c.list(), []string{"a1__good"}) })
	for _, name := range []string{long[:20], "bad_header", "twice"} {
		w.until(name+" is reported", func() bool { // the status comes after the list
			_, problem := w.gw.InstanceStatus(i.ID)
			return strings.Contains(problem, name)
		})
	}
}

// TestUnusableInstance: what can't run at all is down and says why; calls to
// others and lists go on.
func TestUnusableInstance(t *testing.T) {
	w := newWorld(t)
	i, err := w.svc.CreateInstance(t.Context(), w.op, keys.InstanceSpec{Slug: keys.Some("gone"), Transport: keys.Some(keys.TransportStdio),
		Command: keys.Some("/no/such/program")})
	must(t, err)
	w.mount("a1", newUpstream(t, tool("x", "r")))
	w.until("it is down", func() bool { s, p := w.gw.InstanceStatus(i.ID); return s == "down" && p != "" })
	if got := w.connect(w.key(), "/mcp?instances=a1,gone").list(); !slices.Equal(got, []string{"a1__x"}) {
		t.Errorf("%v", got)
	}
}
