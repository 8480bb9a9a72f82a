package keys_test

import (
	"slices"
	"sync"
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

func TestBootstrapOnceOfMany(t *testing.T) {
	h := newHouse(t)
	empty := newHouse(t)
	empty.store.Memory = keystest.NewMemory()
	var mu sync.Mutex
	var tokens []keys.Secret
	var wg sync.WaitGroup
	for range 8 {
		svc := empty.service()
		wg.Go(func() {
			token, err := svc.Bootstrap(h.ctx)
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
	if token, err := empty.service().Bootstrap(h.ctx); err != nil || token != "" {
		t.Errorf("again: %v", err)
	}
	if _, err := empty.service().Authenticate(h.ctx, tokens[0]); err != nil {
		t.Error(err)
	}
}
