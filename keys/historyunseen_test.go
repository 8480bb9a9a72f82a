package keys_test

import (
	"errors"
	"testing"
	"time"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/keys/keystest"
)

// TestAnotherStoreComesBackUnseen lets a copy take over between two requests, as where
// an address moves: that the connection which listens has ended is all that shows it.
func TestAnotherStoreComesBackUnseen(t *testing.T) {
	first := keystest.NewMemory()
	p, svc := pairOf(t, first, time.Minute, make(chan struct{}))
	if _, err := svc.Bootstrap(t.Context()); err != nil {
		t.Fatal(err)
	}
	op, err := svc.Operator(t.Context(), "default")
	if err != nil {
		t.Fatal(err)
	}
	issued, err := svc.CreateKey(t.Context(), op, keys.NewKey{Name: "a key"})
	if err != nil {
		t.Fatal(err)
	}
	copied := first.Copy()
	if _, err := svc.CreateKey(t.Context(), op, keys.NewKey{Name: "lost"}); err != nil {
		t.Fatal(err)
	}
	if _, err := svc.Authenticate(t.Context(), issued.Secret); err != nil {
		t.Fatal(err)
	}
	editor, err := keys.New(t.Context(), keys.Config{Store: copied, Root: rootSecret})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := editor.RevokeKey(t.Context(), op, issued.Key.ID, keys.Revocation{}); err != nil {
		t.Fatal(err)
	}
	p.replace(copied)
	for limit := time.Now().Add(20 * time.Second); ; time.Sleep(time.Millisecond) {
		_, err := svc.Authenticate(t.Context(), issued.Secret)
		if errors.Is(err, keys.ErrBadCredential) {
			return
		}
		if time.Now().After(limit) {
			t.Fatalf("a key that is revoked in the store that took over: %v", err)
		}
	}
}
