package mcp

import (
	"context"
	"errors"
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/mcp/upstream"
)

// The pins of tools are the store's: it decides, in the transaction that saves
// an announcement, which definition of a tool counts as approved. A mount knows
// of a pin only what the store has told it, and a tool without one is
// quarantined (keys.Definition.Quarantined); so nothing new or changed is
// offered by a process that can't ask. What was told twice, by a save and by an
// edit that another process made, is in order by the pin's version.

const (
	saveTimeout = 30 * time.Second
	saveRetry   = time.Second
)

// announcements are what is to be stored of one mount.
type announcements struct {
	due   chan struct{}     // has an element while something is to be stored
	heard []keys.Definition // the last announcement; under the mount's mu
	open  bool              // it is not stored yet; under the mount's mu
}

func newAnnouncements() announcements { return announcements{due: make(chan struct{}, 1)} }

// announced takes an upstream's whole list of tools.
func (g *Gateway) announced(m *mount, tools []upstream.Tool) {
	i := *m.instance.Load()
	changed, waits := m.hear(definitionsOf(i, tools, g.cfg.Now()))
	if changed {
		g.rebuild(i.TenantID)
	}
	if !waits {
		m.markTried()
	}
}

// hear tells whether what is in force has changed, and whether the store has to
// say more of it. A tool that differs from its pin is held at once. A new one
// is in force when the store has answered, and what came with it as well, so
// that clients are told of one change and not of two.
func (m *mount) hear(defs []keys.Definition) (changed, waits bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.known && !m.saves.open && sameDefinitions(m.defs, defs) {
		return false, false
	}
	m.saves.heard, m.saves.open = defs, true
	select {
	case m.saves.due <- struct{}{}:
	default:
	}
	next := held(defs, pinsOf(m.defs))
	waits = !m.known || slices.ContainsFunc(next, unpinned)
	if waits && !slices.ContainsFunc(next, differs) {
		return false, true
	}
	m.defs = next
	return true, waits
}

// unpinned tells a tool of which the store has told no pin; it may have none.
func unpinned(d keys.Definition) bool { return d.Kind == keys.KindTool && d.Pinned == "" }

// differs tells a tool that is not what its pin says.
func differs(d keys.Definition) bool { return d.Pinned != "" && d.Quarantined() }

// keepSaved stores each announcement, until ctx ends and the last one is stored
// or could not be.
func (g *Gateway) keepSaved(ctx context.Context, m *mount) {
	for {
		select {
		case <-m.saves.due:
		case <-ctx.Done():
			select {
			case <-m.saves.due:
				g.save(m)
			default:
			}
			return
		}
		for !g.save(m) {
			select {
			case <-m.saves.due:
			case <-time.After(saveRetry):
			case <-ctx.Done():
				return
			}
		}
	}
}

// save stores the last announcement and puts it in force, as far as the store
// says; false means that it is to be tried again.
func (g *Gateway) save(m *mount) bool {
	defer m.markTried()
	i := *m.instance.Load()
	m.mu.Lock()
	heard := m.saves.heard
	m.mu.Unlock()
	ctx, done := context.WithTimeout(context.Background(), saveTimeout)
	defer done()
	saved, err := g.svc.SaveDefinitions(ctx, i, heard)
	switch {
	case errors.Is(err, keys.ErrNotFound): // deleted meanwhile
		return true
	case err != nil:
		g.log.Warn("tool definitions can't be stored; what is new or changed of them is withheld until they are",
			zap.String("instance", i.Slug), zap.Error(err))
	}
	m.settle(heard, saved, err == nil)
	g.rebuild(i.TenantID)
	return err == nil
}

// settle puts in force what the store has said of an announcement, or, where it
// could not be asked, that nothing is known of it.
func (m *mount) settle(heard, saved []keys.Definition, stored bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if stored && len(heard) == len(m.saves.heard) && (len(heard) == 0 || &heard[0] == &m.saves.heard[0]) {
		m.saves.open = false // and not another one since
	}
	m.defs = held(m.saves.heard, later(pinsOf(m.defs), pinsOf(saved)))
	m.known = m.known || stored
}

// applyPins takes the pins of an instance as they are read after an edit, and
// tells whether that may change what is in force.
func (m *mount) applyPins(pins []keys.Pin) bool {
	if len(pins) == 0 {
		return false
	}
	told := map[string]keys.Pin{}
	for _, p := range pins {
		told[p.Name] = p
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	before := m.defs
	m.defs = held(m.defs, later(pinsOf(m.defs), told))
	return !slices.EqualFunc(before, m.defs, func(a, b keys.Definition) bool { return a.Pin() == b.Pin() })
}

// pinsOf are the pins of the tools among definitions, by name.
func pinsOf(defs []keys.Definition) map[string]keys.Pin {
	pins := make(map[string]keys.Pin, len(defs))
	for i := range defs {
		if defs[i].Kind == keys.KindTool {
			pins[defs[i].Name] = defs[i].Pin()
		}
	}
	return pins
}

// later adds the pins that were told to those that were known, but for those
// that are older.
func later(known, told map[string]keys.Pin) map[string]keys.Pin {
	for name, pin := range told {
		if pin.Version >= known[name].Version {
			known[name] = pin
		}
	}
	return known
}

// held are the definitions, each tool held against its pin.
func held(defs []keys.Definition, pins map[string]keys.Pin) []keys.Definition {
	out := slices.Clone(defs) // others may be reading them
	for i := range out {
		d := &out[i]
		if d.Kind == keys.KindTool {
			pin := pins[d.Name]
			d.Pinned, d.PinVersion, d.Approved = pin.Digest, pin.Version, nil
		}
	}
	return out
}

// doubtPins notes of which instances an edit may have moved pins; of all when
// nobody knows what was edited.
func (t *mountTable) doubtPins(changes []keys.Change) {
	for _, c := range changes {
		if c.Kind == keys.ChangeInstance {
			t.repin[c.ID] = true
		}
	}
	if len(changes) > 0 {
		return
	}
	for _, m := range t.all() {
		t.repin[m.instance.Load().ID] = true
	}
}

// readPins reads the pins that are in doubt, by instance.
func (g *Gateway) readPins(ctx context.Context) (map[string][]keys.Pin, error) {
	out := map[string][]keys.Pin{}
	for id := range g.mounts.repin {
		m := g.mounts.get(id)
		if m == nil { // it reads them when it is mounted
			continue
		}
		pins, err := g.svc.Pins(ctx, *m.instance.Load())
		if err != nil && !errors.Is(err, keys.ErrNotFound) {
			return nil, err
		}
		out[id] = pins
	}
	return out, nil
}
