package mcp_test

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/keys/keystest"
	"github.com/bailiwick-mcp/bailiwick/mcp"
)

// TestReplicasSharePins: an approval by one process is in force in the others,
// and whoever announces what was approved, offers it.
func TestReplicasSharePins(t *testing.T) {
	w := newWorld(t)
	up := newUpstream(t, defined("x", ""))
	i := w.mount("a1", up)
	s := w.replica()
	k := w.key()
	s.until("the replica has it", func() bool { return slices.Contains(s.connect(k, "/mcp").list(), "a1__x") })
	up.setTools(redefined("x"))
	for _, one := range []*world{w, s} {
		one.quarantined(i, "x", true)
		one.asUnknown(k, "a1__x")
	}
	s.approve(i, "x")
	for _, one := range []*world{s, w} {
		one.until("it is offered", func() bool { return strings.Contains(one.connect(k, "/mcp").call("a1__x", `{}`).body, `"ok"`) })
		one.quarantined(i, "x", false)
	}
}

// flakyStore can't save definitions while it is down.
type flakyStore struct {
	keys.Store
	down  atomic.Bool
	tried atomic.Int64
}

func (s *flakyStore) SaveDefinitions(ctx context.Context, tenantID, instanceID string, defs []keys.Definition) ([]keys.Definition, error) {
	if s.down.Load() {
		s.tried.Add(1)
		return nil, errors.New("can't save")
	}
	return s.Store.SaveDefinitions(ctx, tenantID, instanceID, defs)
}

// TestUnsavedIsWithheld: what can't be held against the store's pins is not
// offered, and by itself when it can.
func TestUnsavedIsWithheld(t *testing.T) {
	store := &flakyStore{}
	s := newWorldOver(t, func(m *keystest.Memory) keys.Store { store.Store = m; return store })
	up := newUpstream(t, defined("x", ""), defined("y", ""), defined("z", ""))
	i := s.mount("a1", up)
	k := s.key()
	c := s.connect(k, "/mcp/a1")
	s.until("they are offered", func() bool { return len(c.list()) == 3 })
	store.down.Store(true)
	up.setTools(redefined("x"), defined("y", `,"title":"Y"`), defined("new", ""))
	s.until("the save failed", func() bool { return store.tried.Load() > 0 })
	// The one that did not change stays, the one that is gone is not there.
	s.until("it is in force", func() bool { return slices.Equal(c.list(), []string{"a1__y"}) })
	s.asUnknown(k, "a1__x")
	s.asUnknown(k, "a1__new")
	if a := c.call("a1__y", `{}`); !strings.Contains(a.body, `"ok"`) {
		t.Errorf("what did not change: %s", a.body)
	}
	_, err := s.svc.ApproveTools(t.Context(), s.op, i.ID, []keys.ToolApproval{{Name: "x", Digest: mcp.DigestOf(json.RawMessage(redefined("x")))}})
	if conflict := (*keys.ConflictError)(nil); !errors.As(err, &conflict) {
		t.Errorf("approving what no store knows: %v", err)
	}
	store.down.Store(false)
	s.until("it was saved by itself", func() bool { return slices.Equal(c.list(), []string{"a1__new", "a1__y"}) })
	s.asUnknown(k, "a1__x")
}

// TestUnsavedFirstIsWithheld: an instance that was never seen offers nothing
// while the store can't be asked, and lists do not wait for it.
func TestUnsavedFirstIsWithheld(t *testing.T) {
	store := &flakyStore{}
	s := newWorldOver(t, func(m *keystest.Memory) keys.Store { store.Store = m; return store })
	store.down.Store(true)
	up := newUpstream(t, defined("x", ""))
	_, err := s.svc.CreateInstance(t.Context(), s.op, keys.InstanceSpec{Slug: keys.Some("a1"), Transport: keys.Some(keys.TransportHTTP),
		URL: keys.Some(up.server.URL), TrustAnnotations: keys.Some(true), WriteEnabled: keys.Some(true)})
	must(t, err)
	k := s.key()
	s.until("the save failed", func() bool { return store.tried.Load() > 0 })
	s.asUnknown(k, "a1__x")
	store.down.Store(false)
	s.until("it was saved by itself", func() bool { return slices.Contains(s.connect(k, "/mcp").list(), "a1__x") })
}

// unreadPins can't read pins while it is blind.
type unreadPins struct {
	keys.Store
	blind atomic.Bool
}

func (s *unreadPins) Read(ctx context.Context, fn func(keys.Reader) error) error {
	return s.Store.Read(ctx, func(r keys.Reader) error { return fn(pinReader{r, s}) })
}

type pinReader struct {
	keys.Reader
	s *unreadPins
}

func (r pinReader) Pins(ctx context.Context, tenantID, instanceID string) ([]keys.Pin, error) {
	if r.s.blind.Load() {
		return nil, errors.New("can't read")
	}
	return r.Reader.Pins(ctx, tenantID, instanceID)
}

// TestUnreadPins: an approval whose outcome can't be read leaves the instance's
// tools unknown until it can: it may have taken the approval of another one.
func TestUnreadPins(t *testing.T) {
	store := &unreadPins{}
	s := newWorldOver(t, func(m *keystest.Memory) keys.Store { store.Store = m; return store })
	up := newUpstream(t, defined("x", ""), defined("y", ""))
	i := s.mount("a1", up)
	k := s.key()
	c := s.connect(k, "/mcp")
	s.until("it is offered", func() bool { return slices.Contains(c.list(), "a1__x") })
	up.setTools(redefined("x"), defined("y", ""))
	s.quarantined(i, "x", true)
	s.until("it is stored", func() bool {
		d, err := s.svc.Definitions(t.Context(), i)
		return err == nil && len(d) == 2 && d[0].Quarantined()
	})
	store.blind.Store(true)
	s.approve(i, "x")
	if l := c.list(); slices.Contains(l, "a1__x") || slices.Contains(l, "a1__y") {
		t.Errorf("offered, though nobody knows what is approved: %v", l)
	}
	store.blind.Store(false)
	s.until("both are offered", func() bool { l := c.list(); return slices.Contains(l, "a1__x") && slices.Contains(l, "a1__y") })
}

// slowStore lets saves of definitions wait, before they are done or after.
type slowStore struct {
	keys.Store
	before, after atomic.Pointer[gate]
}

// gate holds one who comes until it is opened.
type gate struct{ came, open chan struct{} }

func newGate() *gate { return &gate{make(chan struct{}, 1), make(chan struct{})} }

func (g *gate) wait() {
	if g == nil {
		return
	}
	g.came <- struct{}{}
	<-g.open
}

func (s *slowStore) SaveDefinitions(ctx context.Context, tenantID, instanceID string, defs []keys.Definition) ([]keys.Definition, error) {
	s.before.Swap(nil).wait()
	saved, err := s.Store.SaveDefinitions(ctx, tenantID, instanceID, defs)
	s.after.Swap(nil).wait()
	return saved, err
}

// TestHeldWhileSaving: a tool that differs from its pin is held at once, however
// long the store takes.
func TestHeldWhileSaving(t *testing.T) {
	store := &slowStore{}
	s := newWorldOver(t, func(m *keystest.Memory) keys.Store { store.Store = m; return store })
	up := newUpstream(t, defined("x", ""), defined("y", ""))
	i := s.mount("a1", up)
	k := s.key()
	slow := newGate()
	store.before.Store(slow)
	up.setTools(redefined("x"), defined("y", ""), defined("new", ""))
	<-slow.came
	defer close(slow.open)
	s.asUnknown(k, "a1__x")
	s.asUnknown(k, "a1__new")
	if a := s.connect(k, "/mcp").call("a1__y", `{}`); !strings.Contains(a.body, `"ok"`) {
		t.Errorf("another tool: %s", a.body)
	}
	if got := s.quarantined(i, "x", true); string(got.Approved) != defined("x", "") {
		t.Errorf("shown: %+v", got)
	}
}

// TestOldPinNeverReturns: what a save says of a pin counts no more when an
// approval has moved it since.
func TestOldPinNeverReturns(t *testing.T) {
	store := &slowStore{}
	s := newWorldOver(t, func(m *keystest.Memory) keys.Store { store.Store = m; return store })
	up := newUpstream(t, defined("x", ""))
	i := s.mount("a1", up)
	k := s.key()
	slow := newGate()
	store.after.Store(slow)
	up.setTools(redefined("x"))
	<-slow.came
	s.approve(i, "x")
	calls := func() bool {
		return strings.Contains(s.modern(k, "/mcp", "tools/call", `"name":"a1__x","arguments":{}`).body, `"ok"`)
	}
	if !calls() {
		t.Error("approved, and not offered")
	}
	// The next save comes when what the slow one said was put in force.
	next := newGate()
	store.before.Store(next)
	defer close(next.open)
	up.setTools(redefined("x"), defined("y", ""))
	close(slow.open)
	<-next.came
	if !calls() || s.info(i, "x").Quarantined {
		t.Error("the old pin is back")
	}
}
