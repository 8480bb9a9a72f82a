package mcp

import (
	"context"
	"errors"
	"slices"
	"sync"
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
	turn  sync.Mutex        // one save at a time, so that the last one is the newest
	again chan struct{}     // has an element while a save is to be tried again
	heard []keys.Definition // the last announcement; under the mount's mu
	open  bool              // it is not stored yet; under the mount's mu
}

// announced takes an upstream's whole lists. When it returns they are on offer,
// or the store could not be asked and they are when it can.
func (g *Gateway) announced(m *mount, lists upstream.Lists) {
	defer m.markTried()
	i := *m.instance.Load()
	if !m.hear(definitionsOf(i, lists, g.cfg.Now()), lists.Reads) {
		return
	}
	if changed, waits := m.hold(); changed {
		g.rebuild(i.TenantID)
		if !waits {
			m.markTried() // the save may wait for a database
		}
	}
	if !g.save(m) {
		select {
		case m.saves.again <- struct{}{}:
		default:
		}
	}
}

// hear tells whether the lists are others than what is in force and stored.
func (m *mount) hear(defs []keys.Definition, reads bool) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.known && !m.saves.open && m.reads == reads && sameDefinitions(m.defs, defs) {
		return false
	}
	m.reads = reads
	m.saves.heard, m.saves.open = defs, true
	return true
}

// hold puts in force what can be without the store, and tells whether it did,
// and whether the store has to say more. A tool that differs from its pin is
// held at once. A new one is in force when the store has answered, and what
// came with it as well, so that clients are told of one change and not of two.
func (m *mount) hold() (changed, waits bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	next := held(m.saves.heard, pinsOf(m.defs))
	waits = slices.ContainsFunc(next, unpinned)
	if !m.known || waits && !slices.ContainsFunc(next, differs) {
		return false, true
	}
	m.defs = next
	return true, waits
}

// unpinned tells a tool of which the store has told no pin; it may have none.
func unpinned(d keys.Definition) bool { return d.Kind == keys.KindTool && d.Pinned == "" }

// differs tells a tool that is not what its pin says.
func differs(d keys.Definition) bool { return d.Pinned != "" && d.Quarantined() }

// saveAgain tries saves again that have failed, until ctx ends.
func (g *Gateway) saveAgain(ctx context.Context, m *mount) {
	for {
		select {
		case <-m.saves.again:
		case <-ctx.Done():
			return
		}
		for saved := false; !saved; saved = g.save(m) {
			select {
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
	m.saves.turn.Lock()
	defer m.saves.turn.Unlock()
	i := *m.instance.Load()
	m.mu.Lock()
	heard, open := m.saves.heard, m.saves.open
	m.mu.Unlock()
	if !open {
		return true
	}
	ctx, done := context.WithTimeout(context.Background(), saveTimeout)
	defer done()
	saved, err := g.svc.SaveDefinitions(ctx, i, heard)
	switch {
	case errors.Is(err, keys.ErrNotFound): // deleted meanwhile
		return true
	case err != nil:
		g.log.Warn("tool definitions can't be stored; what is new or changed of them is withheld until they are",
			zap.String("instance", i.Slug), zap.Error(err))
	case waiting(&i, saved) > 0: // names are the upstream's words
		g.log.Warn("tools wait for approval, and nobody can call them: bailiwick instances diff shows what changed",
			zap.String("instance", i.Slug), zap.Int("tools", waiting(&i, saved)))
	}
	m.settle(heard, saved, err == nil)
	g.rebuild(i.TenantID)
	return err == nil
}

// waiting counts the tools that are quarantined.
func waiting(i *keys.Instance, defs []keys.Definition) (n int) {
	for d := range defs {
		if i.Quarantined(&defs[d]) {
			n++
		}
	}
	return n
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
