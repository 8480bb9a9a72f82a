package keystest

import (
	"context"
	"slices"

	"github.com/bailiwick-mcp/bailiwick/keys"
)

// SaveDefinitions replaces what is stored of one instance.
func (m *Memory) SaveDefinitions(ctx context.Context, tenantID, instanceID string, defs []keys.Definition) (saved []keys.Definition, err error) {
	err = m.update(ctx, func(s *state) error {
		i, ok := s.instances[instanceID]
		if !ok || i.TenantID != tenantID {
			return keys.ErrNotFound
		}
		announced := make([]keys.Definition, len(defs))
		for n, d := range defs {
			if err := checkTexts(&d); err != nil {
				return err
			}
			d.InstanceID = instanceID
			announced[n] = cloneDefinition(d)
		}
		slices.SortFunc(announced, compareDefinitions)
		for n := range announced[min(1, len(announced)):] {
			if compareDefinitions(announced[n], announced[n+1]) == 0 {
				return &keys.ConflictError{Field: "name", Problem: "appears twice"}
			}
		}
		stored := keys.PinDefinitions(s.definitions[instanceID], announced, i.QuarantineNew)
		s.definitions[instanceID] = stored
		saved = announcedOf(stored)
		return nil
	})
	return saved, err
}

// announcedOf are clones of those that are not gone.
func announcedOf(stored []keys.Definition) []keys.Definition {
	defs := keys.Announced(stored)
	for n := range defs {
		defs[n] = cloneDefinition(defs[n])
	}
	return defs
}

func (r *reader) Definitions(ctx context.Context, tenantID, instanceID string) ([]keys.Definition, error) {
	if _, err := r.Instance(ctx, tenantID, instanceID); err != nil {
		return nil, err
	}
	return announcedOf(r.state.definitions[instanceID]), nil
}

func (r *reader) Pins(ctx context.Context, tenantID, instanceID string) ([]keys.Pin, error) {
	if _, err := r.Instance(ctx, tenantID, instanceID); err != nil {
		return nil, err
	}
	pins := []keys.Pin{}
	for _, d := range r.state.definitions[instanceID] {
		if d.Kind == keys.KindTool {
			pins = append(pins, d.Pin())
		}
	}
	return pins, nil
}

func (w *writer) ApproveTool(ctx context.Context, tenantID, instanceID, name, digest string) (keys.Definition, error) {
	if _, err := w.Instance(ctx, tenantID, instanceID); err != nil {
		return keys.Definition{}, err
	}
	defs := slices.Clone(w.state.definitions[instanceID])
	n := slices.IndexFunc(defs, func(d keys.Definition) bool { return d.Kind == keys.KindTool && d.Name == name && !d.Gone })
	if n < 0 {
		return keys.Definition{}, keys.ErrNotFound
	}
	was := cloneDefinition(defs[n])
	switch {
	case was.Digest != digest:
		return was, &keys.ConflictError{Field: "digest", Problem: "is not the announced one"}
	case was.Pinned == digest:
		return was, nil
	}
	defs[n].Pinned, defs[n].PinVersion, defs[n].Approved = digest, w.Epoch(), nil
	w.state.definitions[instanceID] = defs
	w.changed(tenantID, keys.ChangeInstance, instanceID)
	return was, nil
}
