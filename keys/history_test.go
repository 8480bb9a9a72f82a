package keys_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/keys/keystest"
)

// pair is two stores of which one is the store now: a primary, and the copy that
// takes over from it. The replicas are in both.
type pair struct {
	keys.Store
	mu   sync.Mutex
	now  *keystest.Memory
	down bool
	// committed is called once an edit is.
	committed func()
	heard     chan struct{} // closed: the connection that listens has ended; nil = there is none
}

func (p *pair) Listen(ctx context.Context, hear func()) error {
	p.mu.Lock()
	heard := p.heard
	p.mu.Unlock()
	if heard == nil {
		return keys.ErrNotHeard
	}
	hear()
	select {
	case <-ctx.Done():
	case <-heard:
	}
	return keys.ErrUnavailable
}

// replace has a copy take over without any request that fails.
func (p *pair) replace(with *keystest.Memory) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.now = with
	close(p.heard)
	p.heard = nil
}

func (p *pair) at() (*keystest.Memory, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.down {
		return p.now, keys.ErrUnavailable
	}
	return p.now, nil
}

// fail makes the store unreachable; with a copy given, that one is there instead.
func (p *pair) fail(down bool, to *keystest.Memory) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.down = down; to != nil {
		p.now = to
	}
}

func (p *pair) Read(ctx context.Context, fn func(keys.Reader) error) error {
	s, err := p.at()
	if err != nil {
		return err
	}
	return s.Read(ctx, fn)
}

func (p *pair) Edit(ctx context.Context, fn func(keys.Writer) error) (int64, error) {
	s, err := p.at()
	if err != nil {
		return 0, err
	}
	epoch, err := s.Edit(ctx, fn)
	if p.committed != nil {
		p.committed()
	}
	return epoch, err
}

func (p *pair) Epoch(ctx context.Context) (int64, error) {
	s, err := p.at()
	if err != nil {
		return 0, err
	}
	return s.Epoch(ctx)
}

func (p *pair) Changes(ctx context.Context, after int64, limit int) ([]keys.Change, error) {
	s, err := p.at()
	if err != nil {
		return nil, err
	}
	return s.Changes(ctx, after, limit)
}

func (p *pair) Replicas(ctx context.Context) ([]keys.Replica, error) {
	if _, err := p.at(); err != nil {
		return nil, err
	}
	return p.Store.Replicas(ctx)
}

func (p *pair) Beat(ctx context.Context, r keys.Replica) error {
	if _, err := p.at(); err != nil {
		return err
	}
	return p.Store.Beat(ctx, r)
}

// pairOf is a service on a store that can fail, with its first key.
func pairOf(t *testing.T, store *keystest.Memory, staleness time.Duration, heard chan struct{}) (*pair, *keys.Service) {
	t.Helper()
	p := &pair{Store: keystest.NewMemory(), now: store, heard: heard}
	svc, err := keys.New(t.Context(), keys.Config{Store: p, Root: rootSecret, Decides: true,
		MaxStaleness: staleness, PollInterval: 5 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); _ = svc.Run(ctx) }()
	t.Cleanup(func() { stop(); <-ended })
	return p, svc
}

// TestAnotherStoreComesBack lets a copy take over that lacks the last edits and
// has others under the same numbers, or fewer of them: what it says holds, and
// nothing that is known of the one that failed.
func TestAnotherStoreComesBack(t *testing.T) {
	for _, later := range []struct {
		name  string
		edits int // on the copy, after the revocation
	}{{"behind", 0}, {"ahead", 5}} {
		t.Run(later.name, func(t *testing.T) {
			first := keystest.NewMemory()
			p, svc := pairOf(t, first, time.Minute, nil)
			token, err := svc.Bootstrap(t.Context())
			if err != nil {
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
			for range 3 { // which the copy does not get
				if _, err := svc.CreateKey(t.Context(), op, keys.NewKey{Name: "lost"}); err != nil {
					t.Fatal(err)
				}
			}
			for _, token := range []keys.Secret{token, issued.Secret} {
				if _, err := svc.Authenticate(t.Context(), token); err != nil {
					t.Fatal(err)
				}
			}
			p.fail(true, nil)
			_, before := svc.Confirmed()
			editor, err := keys.New(t.Context(), keys.Config{Store: copied, Root: rootSecret})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := editor.RevokeKey(t.Context(), op, issued.Key.ID, keys.Revocation{}); err != nil {
				t.Fatal(err)
			}
			for range later.edits {
				if _, err := editor.CreateKey(t.Context(), op, keys.NewKey{Name: "later"}); err != nil {
					t.Fatal(err)
				}
			}
			time.Sleep(50 * time.Millisecond) // some polls fail
			p.fail(false, copied)
			for at := before; !at.After(before); time.Sleep(time.Millisecond) {
				_, at = svc.Confirmed()
			}
			if _, err := svc.Authenticate(t.Context(), issued.Secret); !errors.Is(err, keys.ErrBadCredential) {
				t.Errorf("a key that is revoked in the store that came back: %v", err)
			}
			if _, err := svc.Authenticate(t.Context(), token); err != nil {
				t.Errorf("another key: %v", err)
			}
		})
	}
}

// TestKnownKeysOutliveAnEditInTheDark lets the store fail right after an edit was
// committed: keys that it did not touch are decided on as before.
func TestKnownKeysOutliveAnEditInTheDark(t *testing.T) {
	p, svc := pairOf(t, keystest.NewMemory(), 2*time.Second, nil)
	token, err := svc.Bootstrap(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	op, err := svc.Operator(t.Context(), "default")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := svc.Authenticate(t.Context(), token); err != nil {
		t.Fatal(err)
	}
	stop := svc.Watch(func(changes []keys.Change) {
		if len(changes) > 0 {
			return
		}
		if _, err := svc.Authenticate(t.Context(), token); err != nil {
			t.Errorf("a key that the edit did not touch: %v", err)
		}
		p.fail(false, nil)
	})
	defer stop()
	p.committed = func() { p.fail(true, nil) }
	if _, err := svc.CreateKey(t.Context(), op, keys.NewKey{Name: "in the dark"}); err != nil {
		t.Fatal(err)
	}
	if _, err := p.at(); err != nil {
		t.Error("nobody was told of the edit")
	}
}

// TestEditsUnderOneNumber lets a copy take over that has, as its last edit, another
// one than the store that failed, with the same number: of meta values alone there,
// or of the same key.
func TestEditsUnderOneNumber(t *testing.T) {
	for _, lost := range []struct {
		name string
		edit func(*keys.Service, keys.Principal, *keystest.Memory, string) error
	}{
		{"of meta values", func(_ *keys.Service, _ keys.Principal, first *keystest.Memory, _ string) error {
			_, err := first.Edit(t.Context(), func(w keys.Writer) error { return w.PutMeta(t.Context(), "name", "value") })
			return err
		}},
		{"of the same key", func(svc *keys.Service, op keys.Principal, _ *keystest.Memory, id string) error {
			_, err := svc.UpdateKey(t.Context(), op, id, keys.KeyPatch{Name: keys.Some("renamed")})
			return err
		}},
	} {
		t.Run(lost.name, func(t *testing.T) {
			first := keystest.NewMemory()
			p, svc := pairOf(t, first, time.Minute, nil)
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
			before, _ := svc.Confirmed()
			if err := lost.edit(svc, op, first, issued.Key.ID); err != nil {
				t.Fatal(err)
			}
			for at := before; at != before+1; time.Sleep(time.Millisecond) {
				at, _ = svc.Confirmed()
			}
			if _, err := svc.Authenticate(t.Context(), issued.Secret); err != nil {
				t.Fatal(err)
			}
			p.fail(true, nil)
			_, confirmed := svc.Confirmed()
			editor, err := keys.New(t.Context(), keys.Config{Store: copied, Root: rootSecret})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := editor.RevokeKey(t.Context(), op, issued.Key.ID, keys.Revocation{}); err != nil {
				t.Fatal(err)
			}
			if epoch, _ := editor.Confirmed(); epoch != before+1 {
				t.Fatalf("the revocation is edit %d, not %d", epoch, before+1)
			}
			time.Sleep(50 * time.Millisecond) // some polls fail
			p.fail(false, copied)
			for at := confirmed; !at.After(confirmed); time.Sleep(time.Millisecond) {
				_, at = svc.Confirmed()
			}
			if _, err := svc.Authenticate(t.Context(), issued.Secret); !errors.Is(err, keys.ErrBadCredential) {
				t.Errorf("a key that is revoked in the store that came back: %v", err)
			}
		})
	}
}
