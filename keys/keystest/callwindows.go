package keystest

import (
	"context"
	"maps"

	"github.com/bailiwick-mcp/bailiwick/keys"
)

// TakeCalls counts under the lock of the store.
func (m *Memory) TakeCalls(ctx context.Context, w keys.CallWindow, want, most int64) (granted, left int64, err error) {
	err = m.update(ctx, func(s *state) error {
		if field := windowText(w); field != "" {
			return unstorable(field)
		}
		taken := s.calls[w]
		granted = max(-taken, min(want, max(most-taken, 0)))
		s.calls[w] = taken + granted
		left = max(most-taken-granted, 0)
		return nil
	})
	return granted, left, err
}

func windowText(w keys.CallWindow) string {
	for field, text := range map[string]string{"tenantId": w.TenantID, "keyId": w.KeyID, "rule": w.Rule} {
		if clean(text) != text {
			return field
		}
	}
	return ""
}

// DropCalls forgets periods that are over.
func (m *Memory) DropCalls(ctx context.Context, ended int64) error {
	return m.update(ctx, func(s *state) error {
		maps.DeleteFunc(s.calls, func(w keys.CallWindow, _ int64) bool { return w.Ends <= ended })
		return nil
	})
}
