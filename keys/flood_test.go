package keys_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/bailiwick-mcp/bailiwick/keys"
)

// What the store may be asked, at a clock that stands: once for each turn that a
// host has, and that all have; the lookups under way may go beyond it.
const (
	floodOfHost = 100 + 4
	floodOfAll  = 1000 + 4
)

// flooded is a house with a process of its own, whose cache is empty.
type flooded struct {
	*house
	good, fresh keys.Secret // one that was used, one that was not
	before      int64
}

func newFlooded(t *testing.T) *flooded {
	h := newHouse(t)
	f := &flooded{house: h, good: h.mint(h.op, keys.NewKey{}).Secret, fresh: h.mint(h.op, keys.NewKey{}).Secret}
	h.svc = h.service()
	h.login(f.good)
	f.before = h.store.asked.Load()
	return f
}

// from asks with a token from an address.
func (f *flooded) from(addr string, token keys.Secret) error {
	_, err := f.svc.Authenticate(keys.WithRemote(f.ctx, addr), token)
	return err
}

func (f *flooded) asked() int64 { return f.store.asked.Load() - f.before }

func busy(err error) bool {
	var b *keys.BusyError
	return errors.As(err, &b) && b.RetryAfter > 0
}

// refused tells whether it is one of the answers that an unknown token may have.
func refused(err error) bool { return errors.Is(err, keys.ErrBadCredential) || busy(err) }

func TestBadChecksumsNeverReachTheStore(t *testing.T) {
	f := newFlooded(t)
	for i := range 100_000 {
		if err := f.from("192.0.2.1:1", keys.Secret(fmt.Sprintf("bwk_live_%049d", i))); !errors.Is(err, keys.ErrBadCredential) {
			t.Fatal(err)
		}
	}
	if asked := f.asked(); asked != 0 {
		t.Errorf("the store was asked %d times", asked)
	}
}

func TestFloodOfUnknownTokensIsBounded(t *testing.T) {
	for name, c := range map[string]struct {
		addr func(i int) string
		most int64
	}{
		"one host":    {func(i int) string { return fmt.Sprintf("192.0.2.1:%d", i) }, floodOfHost},
		"nobody said": {func(int) string { return "" }, floodOfHost},
		"a network":   {func(i int) string { return fmt.Sprintf("[2001:db8::%x]:1", i%60_000) }, floodOfHost},
		"many hosts":  {func(i int) string { return fmt.Sprintf("10.0.%d.%d:1", i/250, i%250) }, floodOfAll},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFlooded(t)
			for i := range 20_000 {
				if err := f.from(c.addr(i), newToken(t, "bwk_live_")); !refused(err) {
					t.Fatal(err)
				}
				if i%100 == 0 {
					f.login(f.good)
				}
			}
			asked := f.asked()
			if asked > c.most || asked < c.most/2 {
				t.Errorf("the store was asked %d times, want about %d", asked, c.most)
			}
			f.checkGood(t, c.addr(0))
		})
	}
}

// checkGood holds that the good keys pass: one from the flood's own address at
// its second try, and at once what was known before an edit dropped it.
func (f *flooded) checkGood(t *testing.T, addr string) {
	t.Helper()
	if err := f.from(addr, f.fresh); !busy(err) {
		t.Errorf("first try of a key that is not cached: %v, want to be told to wait", err)
	}
	if err := f.from(addr, f.fresh); err != nil {
		t.Errorf("second try of a key that is not cached: %v", err)
	}
	if _, err := f.svc.UpdateTenant(f.ctx, f.op, keys.TenantPatch{Name: keys.Some("renamed")}); err != nil {
		t.Fatal(err)
	}
	for _, token := range []keys.Secret{f.good, f.fresh} {
		if err := f.from(addr, token); err != nil {
			t.Errorf("a key that was known, after an edit: %v", err)
		}
	}
}

func TestOtherHostsAreLookedUpDuringAFlood(t *testing.T) {
	f := newFlooded(t)
	for range 500 {
		_ = f.from("192.0.2.1:1", newToken(t, "bwk_live_"))
	}
	if err := f.from("192.0.2.2:1", f.fresh); err != nil {
		t.Errorf("from another host: %v", err)
	}
	f.clock.Advance(10 * time.Second)
	before := f.store.asked.Load()
	for range 1000 {
		_ = f.from("192.0.2.1:1", newToken(t, "bwk_live_"))
	}
	if n := f.store.asked.Load() - before; n < 40 || n > 54 {
		t.Errorf("10 s later the host had %d turns, want 50", n)
	}
}

// TestRepeatedUnknownTokens: who sends each invented token twice reaches no more
// of the store than the turns of those that come again.
func TestRepeatedUnknownTokens(t *testing.T) {
	f := newFlooded(t)
	for range 5000 {
		token := newToken(t, "bwk_live_")
		for range 3 {
			if err := f.from("192.0.2.1:1", token); !refused(err) {
				t.Fatal(err)
			}
		}
	}
	if asked := f.asked(); asked > floodOfHost+104 {
		t.Errorf("the store was asked %d times", asked)
	}
}

// TestKeysOfTheStoreCostNoTurn: revoked keys are no flood, however many of their
// clients go on, and new processes see all keys for the first time.
func TestKeysOfTheStoreCostNoTurn(t *testing.T) {
	f := newFlooded(t)
	var tokens []keys.Secret
	for i := range 300 {
		made := f.mint(f.op, keys.NewKey{Handle: fmt.Sprintf("k%d", i)})
		tokens = append(tokens, made.Secret)
		if i%2 == 0 {
			continue
		}
		if _, err := f.svc.RevokeKey(f.ctx, f.op, made.Key.ID, keys.Revocation{}); err != nil {
			t.Fatal(err)
		}
	}
	f.svc = f.service()
	for i, token := range tokens {
		if err := f.from("192.0.2.1:1", token); (err == nil) != (i%2 == 0) || busy(err) {
			t.Errorf("key %d: %v", i, err)
		}
	}
	if err := f.from("192.0.2.1:1", newToken(t, "bwk_live_")); !errors.Is(err, keys.ErrBadCredential) {
		t.Errorf("an unknown token after them: %v", err)
	}
}

// TestFloodOfForeignTokensIsBounded: where keys were imported, tokens without a
// checksum are looked up, in the same bounds.
func TestFloodOfForeignTokensIsBounded(t *testing.T) {
	f := newFlooded(t)
	entry := keys.ImportedKey{NewKey: keys.NewKey{Name: "imported"}, Digest: sha256.Sum256([]byte("legacy-token"))}
	if _, err := f.svc.ImportKeys(f.ctx, f.op, []keys.ImportedKey{entry}); err != nil {
		t.Fatal(err)
	}
	before := f.store.asked.Load()
	for i := range 20_000 {
		if err := f.from("192.0.2.1:1", keys.Secret(fmt.Sprintf("guess-%d", i))); !refused(err) {
			t.Fatal(err)
		}
	}
	if n := f.store.asked.Load() - before; n > floodOfHost || n < floodOfHost/2 {
		t.Errorf("the store was asked %d times", n)
	}
	_ = f.from("192.0.2.1:1", "legacy-token")
	if err := f.from("192.0.2.1:1", "legacy-token"); err != nil {
		t.Errorf("the imported token, at its second try: %v", err)
	}
}

// TestLookupsLeaveTheStoreToOthers holds all lookups back: of many tokens few
// are in the store at a time, and one that gives up waiting leaves.
func TestLookupsLeaveTheStoreToOthers(t *testing.T) {
	f := newFlooded(t)
	release := make(chan struct{})
	inside := make(chan struct{}, 100)
	f.store.inRead.Store(new(func() { inside <- struct{}{}; <-release }))
	ended := make(chan error, 20)
	for range cap(ended) {
		token := newToken(t, "bwk_live_")
		go func() { ended <- f.from("192.0.2.1:1", token) }()
	}
	for range 4 {
		<-inside
	}
	ctx, cancel := context.WithTimeout(f.ctx, 50*time.Millisecond)
	defer cancel()
	beside := make(chan error, 1)
	go func() {
		_, err := f.svc.Authenticate(ctx, f.fresh)
		beside <- err
	}()
	select {
	case err := <-beside:
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a lookup beside them: %v", err)
		}
	case <-inside:
		t.Error("a fifth lookup is in the store")
	}
	f.login(f.good)
	f.store.inRead.Store(nil)
	close(release)
	for range cap(ended) {
		if err := <-ended; !errors.Is(err, keys.ErrBadCredential) {
			t.Error(err)
		}
	}
}
