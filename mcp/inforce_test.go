package mcp_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/mcp"
	"github.com/bailiwick-mcp/bailiwick/policy"
)

// edit is something taken from an instance, and given back.
type edit struct {
	name       string
	take, give keys.InstanceSpec
}

// TestInstanceEditsAreInForce: of clients that call without a pause, not one
// call that starts after an edit's answer passes when the edit took it away.
func TestInstanceEditsAreInForce(t *testing.T) {
	w := newWorld(t)
	other, err := w.svc.CreateProject(t.Context(), w.op, keys.NewProject{Slug: "other", Name: "other"})
	must(t, err)
	home := w.project("default")
	up := newUpstream(t, tool("x", "w"))
	i := w.mount("a1", up, func(s *keys.InstanceSpec) { s.ProjectID = keys.Some(home) })
	k := w.key(func(n *keys.NewKey) {
		n.MCPPreset, n.MCPProjectIDs = keys.Some(policy.PresetStandard), keys.Some(policy.Only(home))
	})
	stricter := []keys.ToolRule{{Match: "x", Effect: policy.EffectDestructive}}
	edits := []edit{
		{"write", keys.InstanceSpec{WriteEnabled: keys.Some(false)}, keys.InstanceSpec{WriteEnabled: keys.Some(true)}},
		{"trust", keys.InstanceSpec{TrustAnnotations: keys.Some(false)}, keys.InstanceSpec{TrustAnnotations: keys.Some(true)}},
		{"rules", keys.InstanceSpec{Tools: keys.Some(stricter)}, keys.InstanceSpec{Tools: keys.Some([]keys.ToolRule{})}},
		{"project", keys.InstanceSpec{ProjectID: keys.Some(other.ID)}, keys.InstanceSpec{ProjectID: keys.Some(home)}},
		{"enabled", keys.InstanceSpec{Enabled: keys.Some(false)}, keys.InstanceSpec{Enabled: keys.Some(true)}},
		{"slug", keys.InstanceSpec{Slug: keys.Some("b2")}, keys.InstanceSpec{Slug: keys.Some("a1")}},
	}
	l := &looping{w: w, key: k}
	stop := l.start(4)
	defer stop()
	for round := range 35 * len(edits) {
		e := edits[round%len(edits)]
		passed := l.passed.Load()
		w.until("calls pass again", func() bool { return l.passed.Load() > passed })
		_, err := w.svc.UpdateInstance(t.Context(), w.op, i.ID, e.take)
		must(t, err)
		l.taken()
		w.until("calls came after the answer", func() bool { return l.refused.Load() >= 4 || l.wrong.Load() > 0 })
		if l.wrong.Load() > 0 {
			t.Fatalf("%s: %d calls passed that began after the answer of edit %d", e.name, l.wrong.Load(), round)
		}
		l.giving()
		_, err = w.svc.UpdateInstance(t.Context(), w.op, i.ID, e.give)
		must(t, err)
	}
}

func (w *world) project(slug string) string {
	w.t.Helper()
	all, err := w.svc.Projects(context.Background(), w.op)
	must(w.t, err)
	n := slices.IndexFunc(all, func(p keys.Project) bool { return p.Slug == slug })
	if n < 0 {
		w.t.Fatalf("no project %s", slug)
	}
	return all[n].ID
}

// looping are clients on kept connections that call a1__x without a pause.
type looping struct {
	w       *world
	key     keys.Issued
	phase   atomic.Int64 // odd: taken away
	passed  atomic.Int64
	refused atomic.Int64 // of calls that lie within a phase in which it is taken
	wrong   atomic.Int64 // passed in such a phase
}

func (l *looping) giving() { l.phase.Add(l.phase.Load() & 1) }

func (l *looping) taken() {
	l.refused.Store(0)
	l.phase.Add(1)
}

func (l *looping) start(clients int) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	for range clients {
		wg.Go(func() {
			for ctx.Err() == nil {
				before := l.phase.Load()
				a := l.w.modern(l.key, "/mcp", "tools/call", `"name":"a1__x","arguments":{}`)
				ok := strings.Contains(a.body, `"ok"`)
				if ok {
					l.passed.Add(1)
				}
				if before&1 == 0 || before != l.phase.Load() {
					continue
				}
				if ok {
					l.wrong.Add(1)
				} else {
					l.refused.Add(1)
				}
			}
		})
	}
	return func() { cancel(); wg.Wait() }
}

// blindStore can't list instances while blind, nor tell of edits while deaf.
type blindStore struct {
	keys.Store
	blind, deaf atomic.Bool
}

func (s *blindStore) Epoch(ctx context.Context) (int64, error) {
	if s.deaf.Load() {
		return 0, errors.New("can't tell")
	}
	return s.Store.Epoch(ctx)
}

type blindReader struct {
	keys.Reader
	s *blindStore
}

func (s *blindStore) Read(ctx context.Context, fn func(keys.Reader) error) error {
	return s.Store.Read(ctx, func(r keys.Reader) error { return fn(blindReader{r, s}) })
}

func (r blindReader) Instances(ctx context.Context, tenantID string) ([]keys.Instance, error) {
	if r.s.blind.Load() {
		return nil, errors.New("can't list")
	}
	return r.Reader.Instances(ctx, tenantID)
}

// TestUnreadEdit: an edit whose outcome can't be read leaves the instance's
// tools unknown until it can, and no other's.
func TestUnreadEdit(t *testing.T) {
	w := newWorld(t)
	a1 := w.mount("a1", newUpstream(t, tool("x", "w")))
	w.mount("b2", newUpstream(t, tool("y", "w")))
	blind := &blindStore{Store: w.store}
	svc, err := keys.New(t.Context(), keys.Config{Store: blind, Now: w.clock.Now, AllowPrivateUpstreams: true,
		Root: keys.RootSecret{Version: 1, Value: keys.Secret("0123456789abcdefghijklmnopqrstuvwxyz-root")}})
	must(t, err)
	s := w.second(func(c *mcp.Config) { c.Service = svc })
	s.svc = svc
	s.run()
	k := w.key()
	calls := func(name string) bool {
		return strings.Contains(s.modern(k, "/mcp", "tools/call", `"name":"`+name+`","arguments":{}`).body, `"ok"`)
	}
	s.until("both answer", func() bool { return calls("a1__x") && calls("b2__y") })
	back := func() {
		t.Helper()
		for deadline := time.Now().Add(10 * time.Second); !calls("a1__x") || !calls("b2__y"); time.Sleep(10 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatal("never back")
			}
		}
	}
	blind.blind.Store(true)
	_, err = svc.UpdateInstance(t.Context(), w.op, a1.ID, keys.InstanceSpec{WriteEnabled: keys.Some(false), TrustAnnotations: keys.Some(false)})
	must(t, err)
	if calls("a1__x") {
		t.Error("what the edit took away is accepted")
	}
	if !calls("b2__y") {
		t.Error("another instance is gone")
	}
	_, err = svc.UpdateInstance(t.Context(), w.op, a1.ID, keys.InstanceSpec{WriteEnabled: keys.Some(true)})
	must(t, err)
	if calls("a1__x") {
		t.Error("called by what is not known")
	}
	blind.blind.Store(false)
	back()
	// Not even which instance it was can be read.
	blind.blind.Store(true)
	blind.deaf.Store(true)
	_, err = svc.UpdateInstance(t.Context(), w.op, a1.ID, keys.InstanceSpec{Enabled: keys.Some(false)})
	must(t, err)
	if calls("a1__x") || calls("b2__y") {
		t.Error("called by what is not known of any instance")
	}
	blind.deaf.Store(false)
	_, err = svc.UpdateInstance(t.Context(), w.op, a1.ID, keys.InstanceSpec{Enabled: keys.Some(true)})
	must(t, err)
	blind.blind.Store(false)
	back()
}
