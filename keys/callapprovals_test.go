package keys_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/bailiwick-mcp/bailiwick/keys"
)

// held is a call of the tool notes/drop with these arguments.
func held(arguments string) keys.HeldCall {
	return keys.HeldCall{Action: "tools/call", Subject: "notes/drop", Tool: "notes__drop", ToolDigest: "t",
		ArgsDigest: fmt.Sprintf("%064x", arguments), Arguments: []byte(arguments), Client: "agent/1"}
}

func (h *house) hold(p keys.Principal, call keys.HeldCall) (a keys.CallApproval, made bool) {
	h.t.Helper()
	a, made, err := h.svc.HoldCall(h.ctx, p, call)
	if err != nil {
		h.t.Fatal(err)
	}
	return a, made
}

func (h *house) decide(p keys.Principal, id string, approve bool) error {
	_, err := h.svc.DecideCall(h.ctx, p, id, keys.ApprovalDecision{Approve: approve, Reason: "why"})
	return err
}

// canaryCall has calls wait whose arguments have a token in them.
func (h *house) canaryCall(say func(any, error)) {
	h.t.Helper()
	a, _, err := h.svc.HoldCall(h.ctx, h.login(h.mint(h.op, keys.NewKey{}).Secret), held(`{"key":"`+h.token.Reveal()+`"}`))
	say(a, err)
	shown, err := h.svc.CallApproval(h.ctx, h.op, a.ID)
	say(string(shown.Arguments), err)
	_, err = h.svc.DecideCall(h.ctx, h.op, a.ID, keys.ApprovalDecision{Reason: h.token.Reveal()})
	say(nil, err)
	if err == nil {
		h.t.Error("a token was taken as a reason")
	}
}

// TestCallApproval: one approval stands for a call, lets it through once, and takes no
// epoch but for the decision.
func TestCallApproval(t *testing.T) {
	h := newHouse(t)
	agent := h.as(keys.NewKey{})
	before := h.epoch()
	a, made := h.hold(agent, held(`{"id":1}`))
	again, twice := h.hold(agent, held(`{"id":1}`))
	if other, _ := h.hold(agent, held(`{"id":2}`)); !made || twice || again.ID != a.ID || other.ID == a.ID || h.epoch() != before {
		t.Errorf("held: %+v, again %+v, epoch %d to %d", a, again, before, h.epoch())
	}
	use := func(call keys.HeldCall, uses int64) error {
		_, err := h.svc.UseApproval(h.ctx, agent, a.ID, call, uses)
		return err
	}
	unusable := func(why string, err error) {
		t.Helper()
		if !errors.Is(err, keys.ErrVersion) {
			t.Errorf("%s: got %v, want ErrVersion", why, err)
		}
	}
	unusable("pending", use(held(`{"id":1}`), 0))
	if err := h.decide(h.op, a.ID, true); err != nil || h.epoch() != before+1 {
		t.Fatalf("approved: %v, epoch %d to %d", err, before, h.epoch())
	}
	unusable("other arguments", use(held(`{"id":2}`), 0))
	for name, edit := range map[string]func(*keys.HeldCall){
		"another action": func(c *keys.HeldCall) { c.Action = "prompts/get" }, "another tool": func(c *keys.HeldCall) { c.Subject = "notes/x" },
		"another name": func(c *keys.HeldCall) { c.Tool = "x" }, "another definition": func(c *keys.HeldCall) { c.ToolDigest = "u" },
	} {
		call := held(`{"id":1}`)
		edit(&call)
		unusable(name, use(call, 0))
	}
	if _, err := h.svc.UseApproval(h.ctx, h.as(keys.NewKey{}), a.ID, held(`{"id":1}`), 0); !errors.Is(err, keys.ErrVersion) {
		t.Errorf("another key: %v", err)
	}
	unusable("a later round", use(held(`{"id":1}`), 1))
	if err := use(held(`{"id":1}`), 0); err != nil {
		t.Fatal(err)
	}
	unusable("again", use(held(`{"id":1}`), 0))
	if err := use(held(`{"id":1}`), 1); err != nil {
		t.Errorf("the next round: %v", err)
	}
	unusable("that round again", use(held(`{"id":1}`), 1))
	if h.epoch() != before+2 { // the other key
		t.Errorf("using took an epoch: %d to %d", before, h.epoch())
	}
}

// TestNobodyAnswersForItself: neither the key that calls, nor its kin, nor a key that
// it made.
func TestNobodyAnswersForItself(t *testing.T) {
	h := newHouse(t)
	may := keys.NewKey{Permissions: keys.Some([]string{"manage:approvals", "manage:api-keys"}), PolicyPatch: full()}
	parent := h.as(may)
	child := may
	child.ParentKeyID = parent.KeyID()
	agent := h.login(h.mint(parent, child).Secret)
	grandchild := may
	grandchild.ParentKeyID = agent.KeyID()
	made := h.login(h.mint(agent, may).Secret) // no child of it, but of its making
	madeLater := h.login(h.mint(made, may).Secret)
	sibling := h.login(h.mint(parent, child).Secret)
	weak := h.as(keys.NewKey{Permissions: keys.Some([]string{"view:approvals"})})
	a, _ := h.hold(agent, held(`{}`))
	var denied *keys.PermissionError
	for name, p := range map[string]keys.Principal{"itself": agent, "its parent": parent, "its child": h.login(h.mint(agent, grandchild).Secret),
		"a key that it made": made, "a key that this one made": madeLater} {
		for _, approve := range []bool{true, false} {
			if err := h.decide(p, a.ID, approve); !errors.As(err, &denied) || !strings.Contains(denied.Hint, "own calls") {
				t.Errorf("%s: got %v", name, err)
			}
		}
	}
	if err := h.decide(weak, a.ID, true); !errors.As(err, &denied) || denied.Needed != "manage:approvals" {
		t.Errorf("without the permission: %v", err)
	}
	if err := h.decide(sibling, a.ID, true); err != nil {
		t.Errorf("a sibling: %v", err)
	}
	b, _ := h.hold(agent, held(`{"b":1}`))
	if err := h.decide(h.as(may), b.ID, false); err != nil {
		t.Errorf("a stranger: %v", err)
	}
	var conflict *keys.ConflictError
	if err := h.decide(h.op, b.ID, true); !errors.As(err, &conflict) {
		t.Errorf("a second answer: %v", err)
	}
}

// TestApprovalOfAnotherTenant is one that is not there.
func TestApprovalOfAnotherTenant(t *testing.T) {
	h := newHouse(t)
	a, _ := h.hold(h.as(keys.NewKey{}), held(`{}`))
	if _, err := h.svc.CreateTenant(h.ctx, h.op, keys.NewTenant{Slug: "other", Name: "Other"}); err != nil {
		t.Fatal(err)
	}
	other, err := h.svc.Operator(h.ctx, "other")
	if err != nil {
		t.Fatal(err)
	}
	list, err1 := h.svc.CallApprovals(h.ctx, other, keys.CallApprovalQuery{})
	_, err2 := h.svc.CallApproval(h.ctx, other, a.ID)
	err3 := h.decide(other, a.ID, true)
	if len(list) != 0 || err1 != nil || !errors.Is(err2, keys.ErrNotFound) || !errors.Is(err3, keys.ErrNotFound) {
		t.Errorf("%v %v %v %v", list, err1, err2, err3)
	}
}

// TestApprovalArguments: they are for who may decide, and not kept above 64 KiB.
func TestApprovalArguments(t *testing.T) {
	h := newHouse(t)
	agent := h.as(keys.NewKey{})
	viewer := h.as(keys.NewKey{Permissions: keys.Some([]string{"view:approvals"})})
	large := `{"x":"` + strings.Repeat("x", 64<<10) + `"}`
	for text, omitted := range map[string]bool{`{"b":1, "a":"<"}`: false, "": false, large: true} {
		a, _ := h.hold(agent, held(text))
		shown, err1 := h.svc.CallApproval(h.ctx, h.op, a.ID)
		seen, err2 := h.svc.CallApproval(h.ctx, viewer, a.ID)
		want := text
		if omitted {
			want = ""
		}
		if err1 != nil || err2 != nil || string(shown.Arguments) != want || shown.Omitted != omitted || seen.Arguments != nil || seen.Omitted != omitted {
			t.Errorf("%.20s: %+v %v, to a viewer %+v %v", text, shown, err1, seen, err2)
		}
	}
}

// TestApprovalEnds: what has expired can be neither answered nor used, and is forgotten
// a day later.
func TestApprovalEnds(t *testing.T) {
	h := newHouse(t)
	agent := h.as(keys.NewKey{})
	pending, _ := h.hold(agent, held(`{"a":1}`))
	approved, _ := h.hold(agent, held(`{"a":2}`))
	if err := h.decide(h.op, approved.ID, true); err != nil {
		t.Fatal(err)
	}
	h.clock.Advance(10 * time.Minute)
	var conflict *keys.ConflictError
	if err := h.decide(h.op, pending.ID, true); !errors.As(err, &conflict) || !strings.Contains(conflict.Problem, "expired") {
		t.Errorf("late: %v", err)
	}
	if _, err := h.svc.UseApproval(h.ctx, agent, approved.ID, held(`{"a":2}`), 0); !errors.Is(err, keys.ErrVersion) {
		t.Errorf("used late: %v", err)
	}
	if a, err := h.svc.CallHeld(h.ctx, agent, pending.ID); err != nil || a.Status != keys.ApprovalExpired {
		t.Errorf("%+v %v", a, err)
	}
	if next, made := h.hold(agent, held(`{"a":2}`)); !made || next.ID == approved.ID {
		t.Error("an expired approval stands")
	}
	count := func() int {
		t.Helper()
		list, err := h.svc.CallApprovals(h.ctx, h.op, keys.CallApprovalQuery{})
		if err != nil {
			t.Fatal(err)
		}
		return len(list)
	}
	h.clock.Advance(24*time.Hour - time.Second)
	if err := keys.Sweep(h.ctx, h.svc); err != nil {
		t.Fatal(err)
	}
	if n := count(); n != 3 {
		t.Errorf("%d are left after less than a day", n)
	}
	h.clock.Advance(time.Second)
	if err := keys.Sweep(h.ctx, h.svc); err != nil {
		t.Fatal(err)
	}
	if n := count(); n != 1 {
		t.Errorf("%d are left after a day", n)
	}
}

// TestApprovalWithdrawn: only its own, and only what is open.
func TestApprovalWithdrawn(t *testing.T) {
	h := newHouse(t)
	agent := h.as(keys.NewKey{})
	a, _ := h.hold(agent, held(`{}`))
	if err := h.svc.WithdrawCall(h.ctx, h.as(keys.NewKey{}), a.ID); !errors.Is(err, keys.ErrNotFound) {
		t.Errorf("another key's: %v", err)
	}
	for range 2 {
		if err := h.svc.WithdrawCall(h.ctx, agent, a.ID); err != nil {
			t.Fatal(err)
		}
	}
	var conflict *keys.ConflictError
	if err := h.decide(h.op, a.ID, true); !errors.As(err, &conflict) {
		t.Errorf("approved what was withdrawn: %v", err)
	}
	if _, made := h.hold(agent, held(`{}`)); !made {
		t.Error("a withdrawn one stands")
	}
}

// TestPendingIsBounded: 16 of a key, 256 of a tenant; those that are answered make room.
func TestPendingIsBounded(t *testing.T) {
	h := newHouse(t)
	var full *keys.PendingError
	var last keys.CallApproval
	for range 16 {
		agent := h.as(keys.NewKey{})
		for n := range 16 {
			last, _ = h.hold(agent, held(fmt.Sprintf(`{"n":%d}`, n)))
		}
		if _, _, err := h.svc.HoldCall(h.ctx, agent, held(`{"n":16}`)); !errors.As(err, &full) || full.Whose != "key" || full.Most != 16 {
			t.Fatalf("one too many of a key: %v", err)
		}
	}
	next := h.as(keys.NewKey{})
	if _, _, err := h.svc.HoldCall(h.ctx, next, held(`{}`)); !errors.As(err, &full) || full.Whose != "organization" || full.Most != 256 {
		t.Errorf("one too many of a tenant: %v", err)
	}
	if err := h.decide(h.op, last.ID, false); err != nil {
		t.Fatal(err)
	}
	h.hold(next, held(`{}`))
}

// TestWithdrawnCallsKeepTheirPlace: who takes each call back could else have as many kept
// as it makes, with their arguments, and each in an edit of its own.
func TestWithdrawnCallsKeepTheirPlace(t *testing.T) {
	h := newHouse(t)
	agent := h.as(keys.NewKey{})
	for n := range 16 {
		a, _ := h.hold(agent, held(fmt.Sprintf(`{"n":%d}`, n)))
		if err := h.svc.WithdrawCall(h.ctx, agent, a.ID); err != nil {
			t.Fatal(err)
		}
	}
	var full *keys.PendingError
	if _, _, err := h.svc.HoldCall(h.ctx, agent, held(`{}`)); !errors.As(err, &full) || full.Whose != "key" {
		t.Errorf("after 16 withdrawn ones: %v", err)
	}
	h.clock.Advance(10 * time.Minute)
	h.hold(agent, held(`{}`))
}

// TestApprovalOfASubject: a JWT's subject has approvals of its own, which an edit of the
// tenant voids.
func TestApprovalOfASubject(t *testing.T) {
	h := newHouse(t)
	subject := func(name string) keys.Principal {
		t.Helper()
		p, err := h.svc.Subject(h.ctx, keys.SubjectClaims{Issuer: "https://idp.example", Subject: name, Tenant: "default",
			Permissions: []string{"manage:approvals"}, ExpiresAt: h.clock.Now().Add(time.Hour)})
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	alice := subject("alice")
	a, _ := h.hold(alice, held(`{}`))
	var denied *keys.PermissionError
	if err := h.decide(alice, a.ID, true); !errors.As(err, &denied) {
		t.Errorf("its own: %v", err)
	}
	if err := h.decide(subject("bob"), a.ID, true); err != nil {
		t.Fatal(err)
	}
	if _, err := h.svc.UpdateTenant(h.ctx, h.op, keys.TenantPatch{Name: keys.Some("x")}); err != nil {
		t.Fatal(err)
	}
	if _, err := h.svc.UseApproval(h.ctx, alice, a.ID, held(`{}`), 0); !errors.Is(err, keys.ErrVersion) {
		t.Errorf("after an edit: %v", err)
	}
}
