package keys_test

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/keys/keystest"
	"github.com/bailiwick-mcp/bailiwick/policy"
)

func TestFirstKey(t *testing.T) {
	h := newHouse(t)
	k := h.first.Key()
	if k.Name != "first key" || k.Scope != policy.ScopeFull || !slices.Equal(k.Permissions, []string{"*", "manage:tenants"}) ||
		k.Policy.Preset != policy.PresetFullAccess || k.Policy.ReadOnly || !k.Policy.Active || k.Policy.AllowlistMode != policy.ModeAll {
		t.Errorf("first key: %+v", k)
	}
	if h.first.Tenant().Slug != "default" || !h.first.Tenant().MCPEnabled {
		t.Errorf("tenant: %+v", h.first.Tenant())
	}
	projects, err := h.svc.Projects(h.ctx, h.first)
	if err != nil || len(projects) != 1 || projects[0].Slug != "default" {
		t.Errorf("projects: %+v, %v", projects, err)
	}
	if !h.first.Grant().Unrestricted() || !h.first.Can("manage:tenants", h.clock.Now()) {
		t.Error("the first key is restricted")
	}
}

// Eight processes have all seen the store empty before the first one writes.
func TestBootstrapOnceOfMany(t *testing.T) {
	store := &gatedStore{Memory: keystest.NewMemory(), open: make(chan struct{})}
	process := func() *keys.Service {
		svc, err := keys.New(t.Context(), keys.Config{Store: store, Root: rootSecret})
		if err != nil {
			t.Fatal(err)
		}
		return svc
	}
	process() // notes the fingerprint
	store.waitFor.Store(8)
	var mu sync.Mutex
	var tokens []keys.Secret
	var wg sync.WaitGroup
	for range 8 {
		svc := process()
		wg.Go(func() {
			token, err := svc.Bootstrap(t.Context())
			if err != nil {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			if token != "" {
				tokens = append(tokens, token)
			}
		})
	}
	wg.Wait()
	if len(tokens) != 1 {
		t.Fatalf("%d of 8 got the first key", len(tokens))
	}
	if token, err := process().Bootstrap(t.Context()); err != nil || token != "" {
		t.Errorf("again: %v", err)
	}
	if _, err := process().Authenticate(t.Context(), tokens[0]); err != nil {
		t.Error(err)
	}
}

// gatedStore holds edits back until so many have come.
type gatedStore struct {
	*keystest.Memory
	waitFor atomic.Int64
	open    chan struct{}
}

func (s *gatedStore) Edit(ctx context.Context, fn func(keys.Writer) error) (int64, error) {
	if s.waitFor.Load() > 0 {
		if s.waitFor.Add(-1) == 0 {
			close(s.open)
		}
		<-s.open
	}
	return s.Memory.Edit(ctx, fn)
}
