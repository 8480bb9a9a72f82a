package keystest_test

import (
	"errors"
	"testing"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/keys/keystest"
)

func TestMemory(t *testing.T) {
	keystest.Run(t, func(t *testing.T) keys.Store { return keystest.NewMemory() })
}

func TestMemoryDown(t *testing.T) {
	m := keystest.NewMemory()
	m.SetDown(true)
	if _, err := m.Epoch(t.Context()); !errors.Is(err, keys.ErrUnavailable) {
		t.Errorf("got %v, want ErrUnavailable", err)
	}
	m.SetDown(false)
	if _, err := m.Epoch(t.Context()); err != nil {
		t.Error(err)
	}
	if err := m.Close(); err != nil {
		t.Error(err)
	}
	if err := m.Read(t.Context(), func(keys.Reader) error { return nil }); !errors.Is(err, keys.ErrUnavailable) {
		t.Errorf("got %v, want ErrUnavailable", err)
	}
}
