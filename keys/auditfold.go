package keys

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"sort"
	"strings"

	"github.com/bailiwick-mcp/bailiwick/policy"
)

// auditFold is what the changes in a tenant's trail say of all that decisions
// depend on: of the tenant, its presets and its keys, as of every edit. It keeps of
// each change the fields that decide and that differ, so it grows with the edits in
// the trail, not with the calls.
type auditFold struct {
	upTo   int64 // the last edit that is in it
	begins int64 // the first edit that the trail has left: of those from then on, it has all
	things map[foldID]*foldHistory
}

// foldID is what a change is about: its kind, as actions begin with it (key,
// preset, tenant), and its id; the name of a preset.
type foldID struct{ kind, id string }

// foldHistory is one thing's changes, and what it was as of each. A thing that is
// not anchored was made before what the trail has left: what the changes do not say
// of it has never changed since, so that the store has it.
type foldHistory struct {
	changes  []foldChange
	states   []foldState // made of the changes when it is first asked for
	anchored bool
	resolved bool
}

// foldChange is one change of one thing.
type foldChange struct {
	epoch         int64
	before, after map[string]json.RawMessage // the fields that differ; no before = made, no after = deleted
}

// foldState is what a thing was from one edit on, until the next state's.
type foldState struct {
	from   int64
	fields map[string]json.RawMessage // nil = it was not there
}

// deciders are the fields that decisions depend on, by kind of thing; the first of
// them is one that each thing is made with.
var deciders = map[string][]string{
	"key": append([]string{"scope", "permissions", "enabled", "projectId", "parentKeyId", "expiresAt", "revoked"},
		slices.Sorted(maps.Keys(policyFields(&policy.Policy{})))...),
	"preset": {"maxEffect", "permissions"},
	"tenant": {"mcpEnabled", "jwtPolicy"},
}

// add takes an entry of the trail, in any order. Others than changes of what
// decides are passed over; one that can't be read is an error.
func (f *auditFold) add(e *AuditEntry) error {
	kind, _, _ := strings.Cut(e.Action, ".")
	names := deciders[kind]
	if e.Kind != "change" || names == nil || e.Epoch > f.upTo {
		return nil
	}
	var detail struct{ Before, After map[string]json.RawMessage }
	if len(e.Detail) > 0 {
		if err := json.Unmarshal(e.Detail, &detail); err != nil {
			return fmt.Errorf("reading the change %s: %w", e.ID, err)
		}
	}
	other := func(name string, _ json.RawMessage) bool { return !slices.Contains(names, name) }
	maps.DeleteFunc(detail.Before, other)
	maps.DeleteFunc(detail.After, other)
	if len(detail.Before)+len(detail.After) == 0 {
		return nil
	}
	id := foldID{kind, e.Subject}
	h := f.things[id]
	if h == nil {
		h = &foldHistory{}
		f.things[id] = h
	}
	h.changes = append(h.changes, foldChange{epoch: e.Epoch, before: detail.Before, after: detail.After})
	return nil
}

// of is the history of a thing, which may have no changes at all.
func (f *auditFold) of(id foldID) *foldHistory {
	h := f.things[id]
	if h == nil {
		h = &foldHistory{}
		f.things[id] = h
	}
	return h
}

// resolve makes the states of the changes. now are the thing's fields in the store;
// nil where it is not there.
func (h *foldHistory) resolve(kind string, now map[string]json.RawMessage) {
	// Epochs are the order of edits; ids follow the clocks of several processes.
	slices.SortStableFunc(h.changes, func(a, b foldChange) int { return cmp.Compare(a.epoch, b.epoch) })
	made := len(h.changes) > 0 && h.changes[0].made(kind)
	base := map[string]json.RawMessage{}
	for _, name := range deciders[kind] {
		if value, there := now[name]; there {
			base[name] = value
		}
	}
	for _, c := range slices.Backward(h.changes) { // the first that changed a field knows what it was
		maps.Copy(base, c.before)
	}
	h.resolved, h.anchored = true, made
	h.states = []foldState{{}}
	if !made && (now != nil || len(h.changes) > 0) {
		h.states[0].fields = base
	}
	for _, c := range h.changes {
		var fields map[string]json.RawMessage
		switch last := h.states[len(h.states)-1].fields; {
		case c.made(kind): // of before a field came to be, the trail does not have it
			fields = maps.Clone(base)
		case c.after != nil:
			fields = map[string]json.RawMessage{}
			maps.Copy(fields, last)
		}
		maps.Copy(fields, c.after)
		h.states = append(h.states, foldState{from: c.epoch, fields: fields})
	}
	h.changes = nil
}

// made tells whether the change made the thing.
func (c *foldChange) made(kind string) bool {
	_, whole := c.after[deciders[kind][0]]
	return whole && c.before == nil
}

// at is the state as of an edit, and the first edit that it holds for no more; 0
// where it is the last.
func (h *foldHistory) at(epoch int64) (state foldState, until int64) {
	i := sort.Search(len(h.states), func(i int) bool { return h.states[i].from > epoch })
	if i < len(h.states) {
		until = h.states[i].from
	}
	return h.states[i-1], until
}

// read decodes the state into v; ok is false where a field that decides is not known.
func (s *foldState) read(kind string, v any) (ok bool, err error) {
	for _, name := range deciders[kind] {
		if _, there := s.fields[name]; !there {
			return false, nil
		}
	}
	text, err := json.Marshal(s.fields)
	if err == nil {
		err = json.Unmarshal(text, v)
	}
	return err == nil, err
}
