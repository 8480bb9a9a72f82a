package keys_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/policy"
)

func TestWrongChecksumNeverReachesTheStore(t *testing.T) {
	h := newHouse(t)
	svc := h.service()
	before := h.store.asked.Load()
	token := []byte(h.token.Reveal())
	for i := range token {
		changed := slices.Clone(token)
		if changed[i]++; changed[i] > 'z' {
			changed[i] = '0'
		}
		for _, text := range []string{string(changed), string(token[:i]), string(token[i+1:])} {
			if _, err := svc.Authenticate(h.ctx, keys.Secret(text)); !errors.Is(err, keys.ErrBadCredential) {
				t.Errorf("%q: %v", text, err)
			}
		}
	}
	if asked := h.store.asked.Load() - before; asked != 0 {
		t.Errorf("the store was asked %d times", asked)
	}
}

func TestCacheAnswersWithoutTheStore(t *testing.T) {
	h := newHouse(t)
	unknown := newToken(t, "bwk_live_")
	h.login(h.token)
	_, _ = h.svc.Authenticate(h.ctx, unknown)
	before := h.store.asked.Load()
	for range 100 {
		p := h.login(h.token)
		if _, err := h.svc.Refresh(h.ctx, p); err != nil {
			t.Fatal(err)
		}
		if _, err := h.svc.Authenticate(h.ctx, unknown); !errors.Is(err, keys.ErrBadCredential) {
			t.Fatal(err)
		}
	}
	if asked := h.store.asked.Load() - before; asked != 0 {
		t.Errorf("the store was asked %d times", asked)
	}
}

// Whatever an edit touches is seen by the next request of the same process, and
// what it does not touch stays in the cache.
func TestEditsTakeEffectOnTheNextRequest(t *testing.T) {
	h := newHouse(t)
	preset := keys.NewPreset{Name: "mine", Permissions: []string{"mcp:*"}, MaxEffect: policy.EffectWrite}
	if _, err := h.svc.CreatePreset(h.ctx, h.op, preset); err != nil {
		t.Fatal(err)
	}
	n := keys.NewKey{Name: "k", PolicyPatch: keys.PolicyPatch{MCPPreset: keys.Some("mine"), MCPReadOnly: keys.Some(false)}}
	token := h.mint(h.op, n).Secret
	id := h.login(token).KeyID()
	tool := &policy.Tool{ID: "a1/put", Name: "a1__put", Category: "tools", Effect: policy.EffectWrite, InstanceID: "i", ProjectID: "p", WriteEnabled: true}
	allowed := func() bool {
		p := h.login(token)
		return p.Grant().Decide(nil, tool, h.clock.Now()).Allowed()
	}
	for _, step := range []struct {
		name string
		edit func() error
		want bool
	}{
		{"as made", func() error { return nil }, true},
		{"paused", func() error { return errOf(h.svc.ToggleKey(h.ctx, h.op, id, 0)) }, false},
		{"resumed", func() error { return errOf(h.svc.ToggleKey(h.ctx, h.op, id, 0)) }, true},
		{"preset narrowed", func() error {
			return errOf(h.svc.UpdatePreset(h.ctx, h.op, keys.NewPreset{Name: "mine", Permissions: []string{"mcp:*"}, MaxEffect: policy.EffectRead}, 0))
		}, false},
		{"preset widened", func() error { return errOf(h.svc.UpdatePreset(h.ctx, h.op, preset, 0)) }, true},
		{"tenant off", func() error {
			return errOf(h.svc.UpdateTenant(h.ctx, h.op, keys.TenantPatch{MCPEnabled: keys.Some(false)}))
		}, false},
		{"tenant on", func() error {
			return errOf(h.svc.UpdateTenant(h.ctx, h.op, keys.TenantPatch{MCPEnabled: keys.Some(true)}))
		}, true},
	} {
		if err := step.edit(); err != nil {
			t.Fatalf("%s: %v", step.name, err)
		}
		if got := allowed(); got != step.want {
			t.Errorf("%s: allowed = %v", step.name, got)
		}
	}
	h.login(h.token)
	before := h.store.asked.Load()
	if _, err := h.svc.ToggleKey(h.ctx, h.op, id, 0); err != nil {
		t.Fatal(err)
	}
	edits := h.store.asked.Load() - before
	h.login(h.token)
	if h.store.asked.Load()-before != edits {
		t.Error("an edit of one key dropped another from the cache")
	}
}

// A load that read the old state before an edit, and ends after it, is neither
// kept nor answered.
func TestLoadBeforeInvalidationIsNotInstalled(t *testing.T) {
	for name, edit := range map[string]func(h *house, id string) error{
		"its own edit": func(h *house, id string) error { return errOf(h.svc.RevokeKey(h.ctx, h.op, id, keys.Revocation{})) },
		"of the tenant": func(h *house, _ string) error {
			return errOf(h.svc.UpdateTenant(h.ctx, h.op, keys.TenantPatch{MCPEnabled: keys.Some(false)}))
		},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t)
			k := h.mint(h.op, keys.NewKey{Name: "k"})
			during := func() {
				if err := edit(h, k.Key.ID); err != nil {
					t.Error(err)
				}
			}
			h.store.afterRow.Store(&during)
			for range 2 {
				p, err := h.svc.Authenticate(h.ctx, k.Secret)
				if err == nil && p.Grant().DecideKey(h.clock.Now()).Allowed() {
					t.Error("rights that were taken away are answered")
				}
			}
		})
	}
}

// A token that was tried before it existed works once it does.
func TestUnknownTokenIsForgottenOnChange(t *testing.T) {
	h := newHouse(t)
	k := h.mint(h.op, keys.NewKey{Name: "k", Enabled: keys.Some(false)})
	for range 2 {
		if _, err := h.svc.Authenticate(h.ctx, k.Secret); !errors.Is(err, keys.ErrBadCredential) {
			t.Fatal(err)
		}
	}
	if _, err := h.svc.UpdateKey(h.ctx, h.op, k.Key.ID, keys.KeyPatch{Enabled: keys.Some(true)}); err != nil {
		t.Fatal(err)
	}
	h.login(k.Secret)
}

func TestOtherProcessesEditsArrive(t *testing.T) {
	h := newHouse(t)
	other := h.service()
	k := h.mint(h.op, keys.NewKey{Name: "k"})
	if _, err := other.Authenticate(h.ctx, k.Secret); err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var seen []keys.Change
	stop := other.Watch(func(changes []keys.Change) {
		mu.Lock()
		defer mu.Unlock()
		seen = append(seen, changes...)
	})
	defer stop()
	ctx, cancel := context.WithCancel(h.ctx)
	done := make(chan error)
	go func() { done <- other.Run(ctx) }()
	if _, err := h.svc.RevokeKey(h.ctx, h.op, k.Key.ID, keys.Revocation{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the revoke arrives", func() bool {
		_, err := other.Authenticate(h.ctx, k.Secret)
		return errors.Is(err, keys.ErrBadCredential)
	})
	for range 20 { // a store that is down for a while loses nothing
		h.mint(h.op, keys.NewKey{Name: "more"})
	}
	h.store.SetDown(true)
	time.Sleep(20 * time.Millisecond)
	h.store.SetDown(false)
	last := h.epoch()
	eventually(t, "all changes arrive", func() bool {
		epoch, at := other.Confirmed()
		return epoch == last && at.Equal(h.clock.Now())
	})
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	mu.Lock()
	defer mu.Unlock()
	if !slices.IsSortedFunc(seen, func(a, b keys.Change) int { return int(a.Epoch - b.Epoch) }) || seen[len(seen)-1].Epoch != last {
		t.Errorf("seen %v, last %d", seen, last)
	}
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("never: %s", what)
		}
	}
}

func TestWatchTellsOwnEditsBeforeTheMethodReturns(t *testing.T) {
	h := newHouse(t)
	var kinds []string
	stop := h.svc.Watch(func(changes []keys.Change) {
		for _, c := range changes {
			kinds = append(kinds, fmt.Sprint(c.Kind))
		}
	})
	h.mint(h.op, keys.NewKey{Name: "k"})
	h.project("p")
	stop()
	h.project("q")
	if !slices.Equal(kinds, []string{"key", "project"}) {
		t.Errorf("told of %v", kinds)
	}
}

// TestTenantsEditReachesEveryKey: all that is cached of a tenant goes at once, and
// nothing of another.
func TestTenantsEditReachesEveryKey(t *testing.T) {
	h := newHouse(t)
	var tokens []keys.Secret
	for range 20 {
		tokens = append(tokens, h.mint(h.op, keys.NewKey{Name: "k"}).Secret)
	}
	for _, enabled := range []bool{false, true, false} {
		for _, token := range tokens {
			h.login(token)
		}
		if _, err := h.svc.UpdateTenant(h.ctx, h.op, keys.TenantPatch{MCPEnabled: keys.Some(enabled)}); err != nil {
			t.Fatal(err)
		}
		for i, token := range tokens {
			if p := h.login(token); p.Tenant().MCPEnabled != enabled {
				t.Errorf("key %d still sees the switch at %v", i, !enabled)
			}
		}
	}
}

func TestCacheIsBounded(t *testing.T) {
	h := newHouse(t)
	svc, err := keys.New(h.ctx, keys.Config{Store: h.store, Root: rootSecret, Now: h.clock.Now, CacheSize: 4})
	if err != nil {
		t.Fatal(err)
	}
	var tokens []keys.Secret
	for range 20 {
		tokens = append(tokens, h.mint(h.op, keys.NewKey{Name: "k"}).Secret)
	}
	for range 3 {
		for _, token := range tokens {
			if _, err := svc.Authenticate(h.ctx, token); err != nil {
				t.Fatal(err)
			}
		}
	}
	for range 11_000 { // the unknown ones are bounded too, and hide nothing
		h.clock.Advance(time.Second) // as slowly as they may come
		token, err := keys.NewToken(rand.Reader, "x_")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := svc.Authenticate(h.ctx, token); !errors.Is(err, keys.ErrBadCredential) {
			t.Fatal(err)
		}
	}
	if _, err := svc.Authenticate(h.ctx, tokens[0]); err != nil {
		t.Fatal(err)
	}
}

func TestLastUsedIsFlushed(t *testing.T) {
	h := newHouse(t)
	version := h.first.Key().Version
	h.clock.Advance(time.Minute)
	h.login(h.token)
	h.store.SetDown(true)
	ctx, cancel := context.WithCancel(h.ctx)
	cancel()
	if err := h.svc.Run(ctx); err == nil {
		t.Error("Run hides that it could not write")
	}
	h.store.SetDown(false)
	h.runOnce(h.svc)
	k, err := h.svc.Key(h.ctx, h.op, h.first.KeyID())
	if err != nil || k.LastUsedAt == nil || !k.LastUsedAt.Equal(h.clock.Now()) || k.Version != version {
		t.Errorf("%+v, %v", k, err)
	}
}
