package keys_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/policy"
)

func once(key, body string) keys.Idempotency {
	return keys.Idempotency{Key: key, Digest: sha256.Sum256([]byte(body))}
}

// kindOf is the kind of an IdempotencyError, "" for any other error.
func kindOf(err error) keys.IdempotencyKind {
	var e *keys.IdempotencyError
	if errors.As(err, &e) {
		return e.Kind
	}
	return ""
}

func TestAskedAgain(t *testing.T) {
	h := newHouse(t)
	n := keys.NewKey{
		Name: "k", Idempotency: once("one", "create"), Tags: []string{"a"},
		PolicyPatch: keys.PolicyPatch{MCPProjectIDs: keys.Some(policy.Only()), MCPToolAllowlist: keys.Some([]string{"x*"})},
	}
	first := h.mint(h.first, n)
	epoch := h.epoch()
	for _, svc := range []*keys.Service{h.svc, h.service()} { // this process and another
		again, err := svc.CreateKey(h.ctx, h.first, n)
		if err != nil || again.Secret != first.Secret || !reflect.DeepEqual(again.Key, first.Key) {
			t.Errorf("create: %+v, want %+v, %v", again.Key, first.Key, err)
		}
	}
	r := keys.Rotation{Grace: time.Minute, IfVersion: first.Key.Version, Idempotency: once("two", "rotate")}
	rotated, err := h.svc.RotateKey(h.ctx, h.first, first.Key.ID, r)
	if err != nil {
		t.Fatal(err)
	}
	again, err := h.service().RotateKey(h.ctx, h.first, first.Key.ID, r)
	if err != nil || again.Secret != rotated.Secret || !reflect.DeepEqual(again.Key, rotated.Key) {
		t.Errorf("rotate: %+v, %v", again.Key, err)
	}
	if now := h.epoch(); now != epoch+1 {
		t.Errorf("epoch %d after %d: asking again edited", now, epoch)
	}
	h.login(first.Secret) // still in its grace
	h.login(rotated.Secret)
	if h.mint(h.first, keys.NewKey{Name: "k"}).Secret == first.Secret {
		t.Error("without a key an answer is answered again")
	}
}

func TestAskedOtherwise(t *testing.T) {
	h := newHouse(t)
	id := once("one", "body")
	k := h.mint(h.first, keys.NewKey{Name: "k", Idempotency: id})
	other := h.mint(h.first, keys.NewKey{Name: "other"}).Key
	if _, err := h.svc.RotateKey(h.ctx, h.first, other.ID, keys.Rotation{Idempotency: once("two", "rotate")}); err != nil {
		t.Fatal(err)
	}
	epoch := h.epoch()
	for name, err := range map[string]error{
		"another body":                 errOf(h.svc.CreateKey(h.ctx, h.first, keys.NewKey{Name: "k", Idempotency: once("one", "else")})),
		"another operation":            errOf(h.svc.RotateKey(h.ctx, h.first, k.Key.ID, keys.Rotation{Idempotency: id})),
		"another operation, on no key": errOf(h.svc.RotateKey(h.ctx, h.first, "", keys.Rotation{Idempotency: id})),
		"another key":                  errOf(h.svc.RotateKey(h.ctx, h.first, k.Key.ID, keys.Rotation{Idempotency: once("two", "rotate")})),
	} {
		if kindOf(err) != keys.IdempotencyMismatch {
			t.Errorf("%s: %v", name, err)
		}
	}
	if h.epoch() != epoch {
		t.Error("something was edited")
	}
	// Somebody else's idempotency key is another one.
	elsewhere := h.otherTenant("elsewhere")
	for name, p := range map[string]keys.Principal{
		"the operator": h.op, "another key": h.manager(full()), "another tenant": elsewhere,
	} {
		issued, err := h.svc.CreateKey(h.ctx, p, keys.NewKey{Name: "k", Idempotency: id})
		if err != nil || issued.Secret == k.Secret {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, bad := range []string{"a b", "ü", "\x00", strings.Repeat("k", 256), h.token.Reveal()} {
		err := errOf(h.svc.CreateKey(h.ctx, h.first, keys.NewKey{Name: "k", Idempotency: once(bad, "body")}))
		if fields := fieldsOf(err); !isInvalid(err) || len(fields) != 1 || fields[0] != "Idempotency-Key" {
			t.Errorf("%q: %v", bad, err)
		}
	}
	h.mint(h.first, keys.NewKey{Name: "k", Idempotency: once(strings.Repeat("k", 255), "body")})
}

func TestAnswersExpire(t *testing.T) {
	h := newHouse(t)
	n := keys.NewKey{Name: "k", Idempotency: once("one", "body")}
	first := h.mint(h.first, n)
	h.clock.Advance(10*time.Minute - time.Microsecond)
	if h.mint(h.first, n).Secret != first.Secret {
		t.Error("forgotten before its end")
	}
	h.clock.Advance(time.Microsecond)
	changed := keys.NewKey{Name: "else", Idempotency: once("one", "else")}
	second := h.mint(h.first, changed) // what has expired does not even differ
	if second.Secret == first.Secret || h.mint(h.first, changed).Secret != second.Secret {
		t.Error("an expired answer counts")
	}
	h.clock.Advance(time.Hour)
	h.mint(h.first, keys.NewKey{Name: "k", Idempotency: once("two", "body")})
	if kept := h.store.answers(); kept != 1 {
		t.Errorf("%d answers are kept", kept)
	}
}

func TestFailuresAreNotKept(t *testing.T) {
	h := newHouse(t)
	id := once("one", "body")
	if err := errOf(h.svc.CreateKey(h.ctx, h.first, keys.NewKey{Idempotency: id})); !isInvalid(err) {
		t.Fatal(err)
	}
	h.mint(h.first, keys.NewKey{Name: "k", Idempotency: id})
}

// Asking again needs the right to ask.
func TestAskedAgainWithoutTheRight(t *testing.T) {
	h := newHouse(t)
	p := h.manager(full())
	n := keys.NewKey{Name: "k", Idempotency: once("one", "body")}
	h.mint(p, n)
	set := func(patch keys.KeyPatch) {
		t.Helper()
		if _, err := h.svc.UpdateKey(h.ctx, h.op, p.KeyID(), patch); err != nil {
			t.Fatal(err)
		}
	}
	set(keys.KeyPatch{Permissions: keys.Some([]string{"view:api-keys"})})
	if err := errOf(h.svc.CreateKey(h.ctx, p, n)); !isDenied(err) {
		t.Errorf("without the permission: %v", err)
	}
	set(keys.KeyPatch{Permissions: keys.Some([]string{"manage:api-keys"}), Enabled: keys.Some(false)})
	if err := errOf(h.svc.CreateKey(h.ctx, p, n)); !errors.Is(err, keys.ErrBadCredential) {
		t.Errorf("disabled: %v", err)
	}
	if err := errOf(h.svc.CreateKey(h.ctx, keys.Principal{}, n)); !errors.Is(err, keys.ErrUnauthenticated) {
		t.Errorf("nobody: %v", err)
	}
}

// What was answered to wider rights is not answered to narrower ones.
func TestAskedAgainWithNarrowerRights(t *testing.T) {
	h := newHouse(t)
	maker := h.as(keys.NewKey{Name: "maker", Permissions: keys.Some([]string{"manage:api-keys", "view:audit"})})
	n := keys.NewKey{Name: "wide", Permissions: keys.Some([]string{"view:audit"}), Idempotency: once("one", "create")}
	wide := h.mint(maker, n).Key
	r := keys.Rotation{Idempotency: once("two", "rotate")}
	if _, err := h.svc.RotateKey(h.ctx, maker, wide.ID, r); err != nil {
		t.Fatal(err)
	}
	narrower := keys.KeyPatch{Permissions: keys.Some([]string{"manage:api-keys"})}
	if _, err := h.svc.UpdateKey(h.ctx, h.op, maker.KeyID(), narrower); err != nil {
		t.Fatal(err)
	}
	if _, err := h.svc.CreateKey(h.ctx, maker, n); !isDenied(err) {
		t.Errorf("create: %v", err)
	}
	if _, err := h.svc.RotateKey(h.ctx, maker, wide.ID, r); !isDenied(err) {
		t.Errorf("rotate: %v", err)
	}
}

func TestAskedWhileBeingAnswered(t *testing.T) {
	h := newHouse(t)
	n := keys.NewKey{Name: "k", Idempotency: once("one", "body")}
	during := func() {
		err := errOf(h.svc.CreateKey(h.ctx, h.first, n))
		var busy *keys.IdempotencyError
		if kindOf(err) != keys.IdempotencyInFlight || !errors.As(err, &busy) || busy.RetryAfter != time.Second {
			t.Errorf("the same: %v", err)
		}
		err = errOf(h.svc.CreateKey(h.ctx, h.first, keys.NewKey{Name: "k", Idempotency: once("one", "else")}))
		if kindOf(err) != keys.IdempotencyMismatch {
			t.Errorf("another body: %v", err)
		}
	}
	h.store.beforeEdit.Store(&during)
	first := h.mint(h.first, n)
	if h.mint(h.first, n).Secret != first.Secret {
		t.Error("not answered again afterwards")
	}
	down := func() { h.store.SetDown(true) }
	h.store.beforeEdit.Store(&down)
	n.Idempotency = once("two", "body")
	if err := errOf(h.svc.CreateKey(h.ctx, h.first, n)); !errors.Is(err, keys.ErrUnavailable) {
		t.Fatal(err)
	}
	h.store.SetDown(false)
	h.mint(h.first, n) // a failed one is no longer being answered
}

// A row that somebody with the database moves to his own name, or to another
// request, is not answered.
func TestAnswerCantBeMoved(t *testing.T) {
	h := newHouse(t)
	h.mint(h.first, keys.NewKey{Name: "k", Idempotency: once("one", "body")})
	thief := h.manager(keys.PolicyPatch{})
	if _, err := h.store.Memory.Edit(h.ctx, func(w keys.Writer) error {
		a, err := w.Answer(h.ctx, h.op.TenantID(), "key "+h.first.KeyID(), "one")
		if err != nil {
			return err
		}
		a.Principal = "key " + thief.KeyID()
		return w.PutAnswer(h.ctx, &a)
	}); err != nil {
		t.Fatal(err)
	}
	if issued, err := h.svc.CreateKey(h.ctx, thief, keys.NewKey{Name: "k", Idempotency: once("one", "body")}); err == nil || issued.Secret != "" {
		t.Errorf("answered to somebody else: %v", err)
	}
}

// answers is how many answers the store keeps.
func (s *watchedStore) answers() (n int) {
	_, _ = s.Memory.Edit(context.Background(), func(w keys.Writer) (err error) {
		n, err = w.DropAnswers(context.Background(), time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC))
		return errors.Join(err, errors.New("leave them"))
	})
	return n
}
