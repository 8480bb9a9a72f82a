package keys_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/keys/keystest"
)

// TestLongerLeaseOfAnother lets the store fail right after a revocation was
// committed, which another replica has not read that may decide for longer than the
// process that revokes: the answer waits for that one's lease.
func TestLongerLeaseOfAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		store := keystest.NewMemory()
		editing, deciding := &pair{Store: store, now: store}, &pair{Store: store, now: store}
		editor, err := keys.New(ctx, keys.Config{Store: editing, Root: rootSecret, MaxStaleness: time.Second})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := editor.Bootstrap(ctx); err != nil {
			t.Fatal(err)
		}
		op, err := editor.Operator(ctx, "default")
		if err != nil {
			t.Fatal(err)
		}
		issued, err := editor.CreateKey(ctx, op, keys.NewKey{Name: "a key"})
		if err != nil {
			t.Fatal(err)
		}
		svc, err := keys.New(ctx, keys.Config{Store: deciding, Root: rootSecret, Decides: true, MaxStaleness: time.Minute})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := svc.Authenticate(ctx, issued.Secret); err != nil {
			t.Fatal(err)
		}
		// As a command of its own, which knows nothing of the replicas yet.
		command, err := keys.New(ctx, keys.Config{Store: editing, Root: rootSecret, MaxStaleness: time.Second})
		if err != nil {
			t.Fatal(err)
		}
		editing.committed = func() { editing.fail(true, nil); deciding.fail(true, nil) }
		if _, err := command.RevokeKey(ctx, op, issued.Key.ID, keys.Revocation{}); err != nil {
			t.Fatal(err)
		}
		if _, err := svc.Authenticate(ctx, issued.Secret); err == nil {
			t.Error("a key was accepted after its revocation had answered")
		}
	})
}
