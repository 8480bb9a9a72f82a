package keystest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync/atomic"
	"time"

	"github.com/bailiwick-mcp/bailiwick/keys"
)

// Memory is a keys.Store that keeps everything in memory. Reads see the state
// of the moment and never wait; edits wait for one another.
type Memory struct {
	// Now is the clock, which only stamps keys that a deletion changes.
	// Set it before use.
	Now func() time.Time

	writing chan struct{} // holds one token while nobody writes
	current atomic.Pointer[state]
	down    atomic.Bool
	signer  atomic.Pointer[keys.AuditSigner]
}

var _ keys.Store = (*Memory)(nil)

// NewMemory makes an empty store.
func NewMemory() *Memory {
	m := &Memory{Now: time.Now, writing: make(chan struct{}, 1)}
	m.writing <- struct{}{}
	m.current.Store(&state{
		meta: map[string]string{}, tenants: map[string]keys.Tenant{}, projects: map[string]keys.Project{},
		instances: map[string]keys.Instance{}, presets: map[presetID]keys.Preset{}, keys: map[string]keys.Key{},
		secrets: map[[32]byte]keys.KeySecret{}, definitions: map[string][]keys.Definition{},
		audit: map[string]keys.AuditEntry{}, chains: map[keys.AuditChainID]keys.AuditChain{}, answers: map[answerID]keys.Answer{},
		logins: map[string]keys.LoginRecord{}, replicas: map[string]keys.Replica{}, calls: map[keys.CallWindow]int64{},
	})
	return m
}

// SetDown makes every method fail with keys.ErrUnavailable, or work again.
func (m *Memory) SetDown(down bool) { m.down.Store(down) }

// Close makes every method fail.
func (m *Memory) Close() error {
	m.SetDown(true)
	return nil
}

type presetID struct{ tenantID, name string }

type answerID struct{ tenantID, principal, key string }

// state is immutable once it is current: an edit changes a copy. Its values
// share no memory with what callers hold.
type state struct {
	epoch       int64
	meta        map[string]string
	tenants     map[string]keys.Tenant
	projects    map[string]keys.Project
	instances   map[string]keys.Instance
	presets     map[presetID]keys.Preset
	keys        map[string]keys.Key
	secrets     map[[32]byte]keys.KeySecret
	definitions map[string][]keys.Definition // by instance; those that are gone too
	changes     []keys.Change
	audit       map[string]keys.AuditEntry
	chains      map[keys.AuditChainID]keys.AuditChain
	answers     map[answerID]keys.Answer
	logins      map[string]keys.LoginRecord
	replicas    map[string]keys.Replica
	calls       map[keys.CallWindow]int64 // taken
}

func (s *state) clone() *state {
	return &state{
		epoch: s.epoch, meta: maps.Clone(s.meta), tenants: maps.Clone(s.tenants), projects: maps.Clone(s.projects),
		instances: maps.Clone(s.instances), presets: maps.Clone(s.presets), keys: maps.Clone(s.keys),
		secrets: maps.Clone(s.secrets), definitions: maps.Clone(s.definitions),
		changes: slices.Clip(s.changes), audit: maps.Clone(s.audit), chains: maps.Clone(s.chains), answers: maps.Clone(s.answers),
		logins: maps.Clone(s.logins), replicas: maps.Clone(s.replicas), calls: maps.Clone(s.calls),
	}
}

func (m *Memory) check(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if m.down.Load() {
		return fmt.Errorf("%w: the memory store is down", keys.ErrUnavailable)
	}
	return nil
}

// lock waits to be the one writer; the answer gives the turn back.
func (m *Memory) lock(ctx context.Context) (unlock func(), err error) {
	if err := m.check(ctx); err != nil {
		return nil, err
	}
	select {
	case <-m.writing:
		return func() { m.writing <- struct{}{} }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Read runs fn over the state of now.
func (m *Memory) Read(ctx context.Context, fn func(keys.Reader) error) error {
	if err := m.check(ctx); err != nil {
		return err
	}
	r := &reader{store: m, state: m.current.Load()}
	defer r.over.Store(true)
	return fn(r)
}

// Edit runs fn on a copy, which becomes current when all went well.
func (m *Memory) Edit(ctx context.Context, fn func(keys.Writer) error) (int64, error) {
	unlock, err := m.lock(ctx)
	if err != nil {
		return 0, err
	}
	defer unlock()
	last := m.current.Load().epoch
	w := &writer{reader: reader{store: m, state: m.current.Load().clone()}, changes: map[keys.Change]bool{}}
	w.state.epoch++
	defer w.over.Store(true)
	if err := fn(w); err != nil {
		return 0, err
	}
	switch {
	case w.spoiled != nil:
		return 0, w.spoiled
	case len(w.changes) > 0 && !w.recorded:
		return 0, errors.New("an edit changed something and recorded no change in the audit trail")
	case len(w.changes) == 0 && !w.meta && !w.beside && w.recorded:
		return 0, errors.New("an edit recorded a change in the audit trail and changed nothing")
	case !w.wrote && !w.beside:
		return last, nil
	case !w.wrote:
		w.state.epoch = last
	}
	if err := m.check(ctx); err != nil {
		return 0, err
	}
	w.state.changes = append(w.state.changes, slices.SortedFunc(maps.Keys(w.changes), compareChanges)...)
	m.current.Store(w.state)
	return w.state.epoch, nil
}

// update changes the state without an edit.
func (m *Memory) update(ctx context.Context, fn func(*state) error) error {
	unlock, err := m.lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	next := m.current.Load().clone()
	if err := fn(next); err != nil {
		return err
	}
	m.current.Store(next)
	return nil
}

// Epoch is the last edit.
func (m *Memory) Epoch(ctx context.Context) (int64, error) {
	if err := m.check(ctx); err != nil {
		return 0, err
	}
	return m.current.Load().epoch, nil
}

// Changes pages through the feed by whole epochs.
func (m *Memory) Changes(ctx context.Context, after int64, limit int) ([]keys.Change, error) {
	if err := m.check(ctx); err != nil {
		return nil, err
	}
	page := []keys.Change{}
	all := m.current.Load().changes
	for len(all) > 0 {
		n := slices.IndexFunc(all, func(c keys.Change) bool { return c.Epoch != all[0].Epoch })
		if n < 0 {
			n = len(all)
		}
		if all[0].Epoch > after {
			if len(page) > 0 && len(page)+n > limit {
				break
			}
			page = append(page, all[:n]...)
		}
		all = all[n:]
	}
	return page, nil
}

// TouchKeys sets when keys were last used, never backwards.
func (m *Memory) TouchKeys(ctx context.Context, used map[string]time.Time) error {
	return m.update(ctx, func(s *state) error {
		for id, at := range used {
			k, ok := s.keys[id]
			if at := stamp(at); ok && (k.LastUsedAt == nil || k.LastUsedAt.Before(at)) {
				k.LastUsedAt = &at
				s.keys[id] = k
			}
		}
		return nil
	})
}

// Copy is another store that holds what this one holds now.
func (m *Memory) Copy() *Memory {
	c := NewMemory()
	c.Now = m.Now
	c.current.Store(m.current.Load())
	return c
}
