package mcp

import (
	"context"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/mcp/upstream"
)

// mountTable holds the mounts by instance id.
type mountTable struct {
	// turn is held from a reading of the store until what it said is in force,
	// so that no older reading ever comes after a newer one.
	turn    sync.Mutex
	over    bool // under turn: nothing is started any more
	running sync.WaitGroup
	repin   map[string]bool // under turn: ids of instances whose pins are to be read again

	mu       sync.Mutex
	byID     map[string]*mount
	disabled map[string]bool
	withheld map[string]bool // edited, and what they are now could not be read

	wake      chan struct{} // the store's instances changed
	loaded    chan struct{} // closed after the first reconciliation
	loadOnce  sync.Once
	rebuildMu sync.Mutex // one rebuild at a time, so that the last one is the newest
}

func newMountTable() *mountTable {
	return &mountTable{byID: map[string]*mount{}, disabled: map[string]bool{}, withheld: map[string]bool{}, repin: map[string]bool{},
		wake: make(chan struct{}, 1), loaded: make(chan struct{})}
}

func (t *mountTable) poke() {
	select {
	case t.wake <- struct{}{}:
	default:
	}
}

func (t *mountTable) get(id string) *mount {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.byID[id]
}

func (t *mountTable) all() []*mount {
	t.mu.Lock()
	defer t.mu.Unlock()
	out := make([]*mount, 0, len(t.byID))
	for _, m := range t.byID {
		out = append(out, m)
	}
	return out
}

// offered are the mounts of a tenant whose tools may be on offer.
func (t *mountTable) offered(tenantID string) []*mount {
	all := t.ofTenant(tenantID)
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.DeleteFunc(all, func(m *mount) bool { return t.withheld[m.instance.Load().ID] })
}

// ofTenant is ordered by slug, so that catalogs of the same mounts are alike.
func (t *mountTable) ofTenant(id string) []*mount {
	out := slices.DeleteFunc(t.all(), func(m *mount) bool { return m.instance.Load().TenantID != id })
	slices.SortFunc(out, func(a, b *mount) int {
		x, y := a.instance.Load(), b.instance.Load()
		if x.Slug < y.Slug {
			return -1
		}
		return 1
	})
	return out
}

const (
	reconcileRetry = time.Second
	// readLimit bounds how long an edit waits for the store to say what is
	// mounted now.
	readLimit = 3 * time.Second
)

// reconcileLoop keeps the mounts as the store says until ctx ends, then waits
// for all of them to stop.
func (g *Gateway) reconcileLoop(ctx context.Context) {
	defer func() {
		g.mounts.turn.Lock()
		g.mounts.over = true
		g.mounts.turn.Unlock()
		g.mounts.running.Wait()
	}()
	for {
		retry := (<-chan time.Time)(nil)
		if err := g.reconcile(ctx); err != nil && ctx.Err() == nil {
			g.log.Warn("instances can't be read, trying again", zap.Error(err))
			retry = time.After(reconcileRetry)
		}
		select {
		case <-ctx.Done():
			return
		case <-g.mounts.wake:
		case <-retry:
		}
	}
}

func (g *Gateway) reconcile(ctx context.Context) error {
	g.mounts.turn.Lock()
	defer g.mounts.turn.Unlock()
	return g.reconcileTurn(ctx)
}

// applyEdits reconciles at once. What can't be read is withheld until it can:
// the edit is committed, and may have taken anything away.
func (g *Gateway) applyEdits(ctx context.Context, changes []keys.Change) {
	t := g.mounts
	t.turn.Lock()
	defer t.turn.Unlock()
	t.doubtPins(changes)
	err := g.reconcileTurn(ctx)
	if err == nil || ctx.Err() != nil {
		return
	}
	g.log.Warn("instances can't be read after an edit, what it may be about is withheld", zap.Error(err))
	g.forgetProjects(changes)
	tenants := map[string]bool{}
	t.mu.Lock()
	for _, c := range changes {
		if c.Kind == keys.ChangeInstance {
			t.withheld[c.ID], tenants[c.TenantID] = true, true
		}
	}
	if len(changes) == 0 { // it may be any of them
		for id, m := range t.byID {
			t.withheld[id], tenants[m.instance.Load().TenantID] = true, true
		}
	}
	t.mu.Unlock()
	for tenantID := range tenants {
		g.rebuild(tenantID)
	}
	t.poke()
}

// reconcileTurn is called by whoever has the turn.
func (g *Gateway) reconcileTurn(ctx context.Context) error {
	if g.mounts.over {
		return context.Canceled
	}
	reading, done := context.WithTimeout(ctx, readLimit)
	defer done()
	want, err := g.svc.Mounts(reading)
	if err == nil {
		want, err = g.reached(reading, want)
	}
	if err != nil {
		return err
	}
	pins, err := g.readPins(reading)
	if err != nil {
		return err
	}
	named, err := g.readProjects(reading, want)
	if err != nil {
		return err
	}
	g.nameProjects(named)
	t := g.mounts
	touched := map[string]bool{}
	seen := map[string]bool{}
	disabled := map[string]bool{}
	for _, i := range want {
		if !i.Enabled {
			disabled[i.ID] = true
			continue
		}
		seen[i.ID] = true
		changed := g.mountOne(ctx, i)
		if t.get(i.ID).applyPins(pins[i.ID]) || changed {
			touched[i.TenantID] = true
		}
	}
	clear(t.repin)
	t.mu.Lock()
	t.disabled = disabled
	for id, m := range t.byID {
		if t.withheld[id] {
			touched[m.instance.Load().TenantID] = true
		}
		if !seen[id] {
			delete(t.byID, id)
			m.stop()
			touched[m.instance.Load().TenantID] = true
		}
	}
	clear(t.withheld)
	t.mu.Unlock()
	for tenantID := range touched {
		g.rebuild(tenantID)
	}
	t.loadOnce.Do(func() { close(t.loaded) })
	return nil
}

// mountOne brings one enabled instance to what it should be and tells whether
// the tenant's catalog may have changed by that.
func (g *Gateway) mountOne(ctx context.Context, i keys.Instance) bool {
	t := g.mounts
	old := t.get(i.ID)
	if old != nil && sameConnection(old.instance.Load(), &i) {
		changed := !sameClasses(old.instance.Load(), &i)
		old.instance.Store(&i)
		return changed
	}
	m := g.newMount(ctx, i)
	runCtx, stop := context.WithCancel(ctx)
	m.stop = stop
	if old != nil {
		if was := old.part(false); was.known && !m.known {
			m.setDefinitions(was.defs, was.reads)
			m.stored = true
		}
		old.stop()
	}
	t.mu.Lock()
	t.byID[i.ID] = m
	t.mu.Unlock()
	g.moveSubscriptions(ctx, m)
	t.running.Go(func() {
		defer stop()
		m.run(runCtx, g.log, old)
	})
	return true
}

// rebuild makes a tenant's catalog anew and swaps it in.
func (g *Gateway) rebuild(tenantID string) {
	t := g.mounts
	t.rebuildMu.Lock()
	defer t.rebuildMu.Unlock()
	mounts := t.offered(tenantID)
	parts := make([]mounted, 0, len(mounts))
	for _, m := range mounts {
		parts = append(parts, m.part(g.cfg.Embedded != nil))
	}
	c, left, err := newCatalog(g.builtins, parts)
	if err != nil {
		// The last one may offer what an edit has taken away.
		g.log.Error("catalog can't be built, the instances' tools are withheld", zap.String("tenant", tenantID), zap.Error(err))
		if c, left, err = newCatalog(g.builtins, nil); err != nil {
			c, left = &catalog{}, nil
		}
	}
	for _, m := range mounts {
		m.mu.Lock()
		m.left = left[m.instance.Load().ID]
		m.mu.Unlock()
	}
	g.tenantOf(tenantID).catalog.Store(c)
	g.streams.poke(tenantID)
}

// awaitLoaded waits, for a while, until the instances were read once after a
// start; before that every tool would look unknown.
func (g *Gateway) awaitLoaded(ctx context.Context) {
	select {
	case <-g.mounts.loaded:
		return
	default:
	}
	limit := time.NewTimer(g.cfg.ListWait)
	defer limit.Stop()
	select {
	case <-g.mounts.loaded:
	case <-limit.C:
	case <-ctx.Done():
	}
}

// WaitReady waits until every mount was tried once, or ctx ends.
func (g *Gateway) WaitReady(ctx context.Context) {
	select {
	case <-g.mounts.loaded:
	case <-ctx.Done():
		return
	}
	for _, m := range g.mounts.all() {
		select {
		case <-m.tried:
		case <-ctx.Done():
			return
		}
	}
}

// InstanceStatus is the state of an instance's connection (disabled,
// connecting, ready, down; "" = not known here) and, in words, what is wrong.
func (g *Gateway) InstanceStatus(id string) (state, problem string) {
	if m := g.mounts.get(id); m != nil {
		return m.status()
	}
	g.mounts.mu.Lock()
	defer g.mounts.mu.Unlock()
	if g.mounts.disabled[id] {
		return "disabled", ""
	}
	return "", ""
}

// unseen are the mounts whose tools the catalog does not know yet and whose
// first attempt is still on.
func (g *Gateway) unseen(t *tenant) []*mount {
	c := t.catalog.Load()
	return slices.DeleteFunc(g.mounts.ofTenant(t.id), func(m *mount) bool {
		if s := c.slugs[m.instance.Load().Slug]; s != nil && s.known {
			return true
		}
		select {
		case <-m.tried:
			return true
		default:
			return m.up == nil || m.up.Status().State == upstream.StateDown
		}
	})
}
