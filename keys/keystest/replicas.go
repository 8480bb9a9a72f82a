package keystest

import (
	"context"
	"maps"
	"slices"

	"github.com/bailiwick-mcp/bailiwick/keys"
)

// Register adds a replica.
func (m *Memory) Register(ctx context.Context, r keys.Replica) error {
	return m.update(ctx, func(s *state) error {
		if err := checkTexts(&r); err != nil {
			return err
		}
		if _, there := s.replicas[r.ID]; there {
			return &keys.ConflictError{Field: "id", Problem: "is already taken"}
		}
		r.StartedAt = stamp(r.StartedAt)
		s.replicas[r.ID] = r
		return nil
	})
}

// Beat updates what a replica has applied.
func (m *Memory) Beat(ctx context.Context, r keys.Replica) error {
	return m.update(ctx, func(s *state) error {
		row, there := s.replicas[r.ID]
		if !there {
			return keys.ErrNotFound
		}
		row.Applied, row.Beat = r.Applied, r.Beat
		s.replicas[r.ID] = row
		return nil
	})
}

// EndReplica removes a replica whose last beat is known.
func (m *Memory) EndReplica(ctx context.Context, id string, beat int64) error {
	return m.update(ctx, func(s *state) error {
		row, there := s.replicas[id]
		switch {
		case !there:
			return keys.ErrNotFound
		case row.Beat != beat:
			return keys.ErrVersion
		}
		delete(s.replicas, id)
		return nil
	})
}

// Replicas are those that are registered.
func (m *Memory) Replicas(ctx context.Context) ([]keys.Replica, error) {
	if err := m.check(ctx); err != nil {
		return nil, err
	}
	return slices.Collect(maps.Values(m.current.Load().replicas)), nil
}
