package keys_test

import (
	"errors"
	"testing"
	"time"

	"github.com/bailiwick-mcp/bailiwick/keys"
)

func TestLoginIsDecidedOnce(t *testing.T) {
	h := newHouse(t)
	elsewhere := h.otherTenant("elsewhere")
	approve := func(p keys.Principal, id string) error {
		_, _, err := h.svc.ApproveLogin(h.ctx, p, id, keys.Approval{})
		return err
	}
	approved, _ := h.start()
	denied, poll := h.start()
	if err := errors.Join(approve(h.first, approved.ID), h.svc.DenyLogin(h.ctx, h.first, denied.ID)); err != nil {
		t.Fatal(err)
	}
	if e := h.lastEvent(h.op); e.Action != "login.deny" || e.Subject != denied.ID || e.Actor != h.first.KeyID() {
		t.Errorf("audit %+v", e)
	}
	if issued := h.poll(denied.ID, poll, keys.LoginDenied); issued != nil {
		t.Error("handed out though it was denied")
	}
	before := h.epoch()
	for name, err := range map[string]error{
		"approve again": approve(h.first, approved.ID), "deny an approved": h.svc.DenyLogin(h.ctx, h.first, approved.ID),
		"approve a denied": approve(h.first, denied.ID),
	} {
		if !isConflict(err) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := h.svc.DenyLogin(h.ctx, h.first, denied.ID); err != nil {
		t.Errorf("deny again: %v", err)
	}
	for _, id := range []string{approved.ID, denied.ID, "nothing"} {
		for name, err := range map[string]error{
			"show": errOf(h.svc.LoginForApproval(h.ctx, elsewhere, id)), "approve": approve(elsewhere, id),
			"deny": h.svc.DenyLogin(h.ctx, elsewhere, id),
		} {
			if err != keys.ErrNotFound {
				t.Errorf("%s of another tenant's: %v", name, err)
			}
		}
	}
	late, _ := h.start()
	h.clock.Advance(10 * time.Minute)
	for name, err := range map[string]error{
		"show": errOf(h.svc.LoginForApproval(h.ctx, h.first, late.ID)), "approve": approve(h.first, late.ID),
		"deny": h.svc.DenyLogin(h.ctx, h.first, late.ID),
	} {
		if err != keys.ErrNotFound {
			t.Errorf("%s of an expired one: %v", name, err)
		}
	}
	if h.epoch() != before {
		t.Error("something was edited")
	}
}

// A key that was revoked before it was collected is not handed out.
func TestRevokedBeforeItWasCollected(t *testing.T) {
	h := newHouse(t)
	l, poll := h.start()
	_, key, err := h.svc.ApproveLogin(h.ctx, h.first, l.ID, keys.Approval{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.svc.RevokeKey(h.ctx, h.op, key.ID, keys.Revocation{Reason: "mistaken"}); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if issued := h.poll(l.ID, poll, keys.LoginDenied); issued != nil {
			t.Error("handed out")
		}
	}
}

// Two polls that have both seen the sign-in approved.
func TestPollsBesideEachOther(t *testing.T) {
	h := newHouse(t)
	l, poll := h.start()
	if _, _, err := h.svc.ApproveLogin(h.ctx, h.first, l.ID, keys.Approval{}); err != nil {
		t.Fatal(err)
	}
	beside := func() {
		if issued := h.poll(l.ID, poll, keys.LoginApproved); issued == nil {
			t.Error("the first to write got nothing")
		}
	}
	h.store.beforeEdit.Store(&beside)
	if issued := h.poll(l.ID, poll, keys.LoginConsumed); issued != nil {
		t.Error("handed out twice")
	}
}

// A sealed token that somebody with the database moves to his own sign-in is
// not handed out.
func TestSealedTokenCantBeMoved(t *testing.T) {
	h := newHouse(t)
	own, poll := h.start()
	other, _ := h.start()
	for _, id := range []string{own.ID, other.ID} {
		if _, _, err := h.svc.ApproveLogin(h.ctx, h.first, id, keys.Approval{}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := h.store.Memory.Edit(h.ctx, func(w keys.Writer) error {
		mine, err1 := w.Login(h.ctx, own.ID)
		theirs, err2 := w.Login(h.ctx, other.ID)
		mine.Sealed, mine.KeyID = theirs.Sealed, theirs.KeyID
		return errors.Join(err1, err2, w.UpdateLogin(h.ctx, &mine))
	}); err != nil {
		t.Fatal(err)
	}
	if _, issued, err := h.svc.PollLogin(h.ctx, own.ID, poll); err == nil || issued != nil {
		t.Errorf("handed out: %v", err)
	}
}

// A device that asks while somebody fills the last place is told to wait.
func TestLastPlaceOfLogins(t *testing.T) {
	h := newHouse(t)
	for range 999 {
		h.start()
	}
	beside := func() { h.start() }
	h.store.beforeEdit.Store(&beside)
	var busy *keys.BusyError
	if _, _, err := h.svc.StartLogin(h.ctx, keys.NewLogin{}); !errors.As(err, &busy) {
		t.Errorf("%v", err)
	}
}

func TestSweep(t *testing.T) {
	h := newHouse(t)
	svc, err := keys.New(h.ctx, keys.Config{Store: h.store, Root: rootSecret, Now: h.clock.Now, SweepInterval: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	approve := func(id string) keys.Key {
		t.Helper()
		_, key, err := h.svc.ApproveLogin(h.ctx, h.first, id, keys.Approval{})
		if err != nil {
			t.Fatal(err)
		}
		return key
	}
	h.mint(h.first, keys.NewKey{Name: "k", Idempotency: once("one", "body")})
	h.start()
	collected, poll := h.start()
	kept := approve(collected.ID)
	h.poll(collected.ID, poll, keys.LoginApproved)
	gone, _ := h.start()
	forgotten := approve(gone.ID)
	h.clock.Advance(5 * time.Minute)
	young, youngPoll := h.start()
	waiting := approve(young.ID)
	h.clock.Advance(5*time.Minute - time.Microsecond)
	stop := h.run(svc)
	defer stop()
	time.Sleep(20 * time.Millisecond)
	if k, err := h.svc.Key(h.ctx, h.op, forgotten.ID); err != nil || k.RevokedAt != nil {
		t.Errorf("too early: %+v, %v", k, err)
	}
	h.clock.Advance(time.Microsecond)
	left := func() (n int) {
		err := h.store.Memory.Read(h.ctx, func(r keys.Reader) error {
			list, err := r.ExpiredLogins(h.ctx, h.clock.Now().Add(time.Hour))
			n = len(list)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	eventually(t, "what has expired is forgotten", func() bool { return left() == 1 && h.store.answers() == 0 })
	k, err := h.svc.Key(h.ctx, h.op, forgotten.ID)
	if err != nil || k.RevokedAt == nil || k.RevokeReason != "sign-in was never collected" {
		t.Errorf("%+v, %v", k, err)
	}
	if e := h.lastEvent(h.op); e.Action != "key.revoke" || e.Subject != forgotten.ID {
		t.Errorf("audit %+v", e)
	}
	for _, id := range []string{kept.ID, waiting.ID} {
		if k, err := h.svc.Key(h.ctx, h.op, id); err != nil || k.RevokedAt != nil {
			t.Errorf("revoked: %+v, %v", k, err)
		}
	}
	if issued := h.poll(young.ID, youngPoll, keys.LoginApproved); issued == nil {
		t.Error("not handed out")
	}
}
