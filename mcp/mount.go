package mcp

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"go.uber.org/zap"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/mcp/upstream"
)

// mount is one enabled instance with its connection. An edit that leaves the
// connection as it is changes the instance in place; any other makes a new one.
type mount struct {
	instance atomic.Pointer[keys.Instance]
	up       *upstream.Upstream // nil = its configuration can't be used
	problem  string             // why up is nil
	stop     context.CancelFunc
	done     chan struct{} // closed when Run has returned
	stored   bool          // its tools were known before it ran
	tried    chan struct{} // closed when the first attempt showed something
	tryOnce  sync.Once

	saves announcements
	retry func(ctx context.Context) // saves again what could not be saved, until ctx ends

	mu    sync.Mutex
	defs  []keys.Definition // as stored or announced, each tool with its pin
	known bool              // defs were stored once
	reads bool              // it has resources, be they listed or not
	left  []skipped         // what the catalog could not offer
}

func (m *mount) definitions() (defs []keys.Definition, known bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.defs, m.known
}

// setDefinitions tells whether they differ from what was there.
func (m *mount) setDefinitions(defs []keys.Definition, reads bool) (changed bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	changed = !m.known || m.reads != reads || !sameDefinitions(m.defs, defs)
	m.defs, m.known, m.reads = defs, true, reads
	return changed
}

// part is the mount as a catalog takes it.
func (m *mount) part(bare bool) mounted {
	m.mu.Lock()
	defer m.mu.Unlock()
	return mounted{mount: m, instance: *m.instance.Load(), defs: m.defs, known: m.known, reads: m.reads, bare: bare}
}

func (m *mount) markTried() { m.tryOnce.Do(func() { close(m.tried) }) }

// call passes one call on; without a connection it is ErrDown.
func (m *mount) call(ctx context.Context, c upstream.Call) (upstream.Reply, error) {
	if m.up == nil {
		return upstream.Reply{}, fmt.Errorf("%s: %w", m.instance.Load().Slug, upstream.ErrDown)
	}
	return m.up.Call(ctx, c)
}

// modern tells whether the upstream speaks 2026-07-28, as far as is known now.
func (m *mount) modern() bool { return m.up != nil && m.up.Offers().Modern }

// status is the connection's state and, in one line, what is wrong.
func (m *mount) status() (state, problem string) {
	if m.up == nil {
		return string(upstream.StateDown), m.problem
	}
	s := m.up.Status()
	var parts []string
	if s.Problem != "" {
		parts = append(parts, s.Problem)
	}
	skips := slices.Clone(s.Skipped)
	m.mu.Lock()
	for _, l := range m.left {
		skips = append(skips, l.name+": "+l.reason)
	}
	m.mu.Unlock()
	if len(skips) > 0 {
		parts = append(parts, fmt.Sprintf("%d left out of its lists: %s", len(skips), strings.Join(skips, "; ")))
	}
	return string(s.State), strings.Join(parts, "; ")
}

// sameConnection tells whether both configure one and the same connection.
func sameConnection(a, b *keys.Instance) bool {
	return a.Slug == b.Slug && a.Transport == b.Transport && a.Command == b.Command && slices.Equal(a.Args, b.Args) &&
		a.URL == b.URL && string(a.Sealed) == string(b.Sealed) && a.AllowPrivate == b.AllowPrivate
}

// sameClasses tells whether both give their tools the same place in policies.
func sameClasses(a, b *keys.Instance) bool {
	return a.ProjectID == b.ProjectID && a.WriteEnabled == b.WriteEnabled &&
		a.TrustAnnotations == b.TrustAnnotations && slices.Equal(a.Tools, b.Tools)
}

// newMount makes a mount with what is stored of its tools; nothing runs yet.
func (g *Gateway) newMount(ctx context.Context, i keys.Instance) *mount {
	m := &mount{done: make(chan struct{}), tried: make(chan struct{}), saves: announcements{again: make(chan struct{}, 1)}}
	m.retry = func(ctx context.Context) { g.saveAgain(ctx, m) }
	m.instance.Store(&i)
	reading, done := context.WithTimeout(ctx, readLimit)
	defer done()
	stored, err := g.svc.Definitions(reading, i)
	if err != nil && ctx.Err() == nil { // an end is no fault
		g.log.Warn("stored tool definitions can't be read", zap.String("instance", i.Slug), zap.Error(err))
	}
	m.defs, m.known = stored, len(stored) > 0
	m.reads = haveResources(stored)
	m.stored = m.known
	m.up, err = g.connect(i, m)
	if err != nil {
		m.up, m.problem = nil, err.Error()
		g.log.Warn("instance can't be mounted", zap.String("instance", i.Slug), zap.Error(err))
	}
	return m
}

func (g *Gateway) connect(i keys.Instance, m *mount) (*upstream.Upstream, error) {
	creds, err := g.svc.Credentials(i)
	if err != nil {
		return nil, fmt.Errorf("the stored environment and headers can't be opened; write them again")
	}
	up, err := upstream.New(upstream.Config{
		Name: i.Slug, Transport: i.Transport, Command: i.Command, Args: i.Args, URL: i.URL,
		Env: secrets(creds.Env), Headers: secrets(creds.Headers),
		AllowPrivate: g.svc.PrivateUpstreamAllowed(i),
		Version:      g.cfg.Version, Log: g.log.Named("upstream"),
		Asks:    true,
		Handler: g.cfg.Embedded.handler(),
		OnLists: func(lists upstream.Lists) { g.announced(m, lists) },
		OnStatus: func(s upstream.Status) {
			if s.State == upstream.StateDown {
				m.markTried()
			}
		},
		OnNotification: func(method string, params json.RawMessage) { g.noticed(m, method, params) },
	})
	if err == nil {
		// Everything, so that what one client hears does not depend on what another
		// asked for; each gets what it wants of it (loglevel.go).
		_ = up.SetLogLevel(string(levels[0])) // one that sends none needs no level
	}
	return up, err
}

func secrets(plain map[string]string) map[string]keys.Secret {
	out := make(map[string]keys.Secret, len(plain))
	for k, v := range maps.All(plain) {
		out[k] = keys.Secret(v)
	}
	return out
}

// run supervises the connection after the one that it replaces is gone.
func (m *mount) run(ctx context.Context, log *zap.Logger, previous *mount) {
	defer close(m.done)
	if previous != nil {
		<-previous.done
	}
	if m.up == nil {
		m.markTried()
		return
	}
	saving, stop := context.WithCancel(ctx)
	var saves sync.WaitGroup
	saves.Go(func() { m.retry(saving) })
	if err := m.up.Run(ctx); err != nil && ctx.Err() == nil {
		log.Error("upstream stopped", zap.String("instance", m.instance.Load().Slug), zap.Error(err))
	}
	stop()
	saves.Wait()
	m.markTried()
}
