package keys

import (
	"context"
	"encoding/json"
	"fmt"
)

const (
	viewApprovals   = "view:approvals"
	manageApprovals = "manage:approvals"
)

// HoldCall answers the approval that stands for just this call of the principal:
// pending, approved, or denied, until it expires; where none does, a new pending one
// (made). So a client that gave up and calls again waits for the same one. Errors
// besides the Service's own: *PendingError.
func (s *Service) HoldCall(ctx context.Context, p Principal, call HeldCall) (a CallApproval, made bool, err error) {
	if !p.Valid() || p.ID() == "" {
		return a, false, ErrUnauthenticated
	}
	r, err := s.heldCall(p, &call)
	if err != nil {
		return a, false, err
	}
	var standing CallApprovalRecord
	// What stands already, and who has too many, must not keep edits waiting.
	err = s.cfg.Store.Read(ctx, func(reader Reader) (err error) {
		standing, err = s.standing(ctx, reader, r)
		return err
	})
	if standing.ID != "" || err != nil {
		return standing.CallApproval, false, err
	}
	_, err = s.cfg.Store.Edit(ctx, func(w Writer) (err error) {
		made = false
		if standing, err = s.standing(ctx, w, r); standing.ID != "" || err != nil {
			return err
		}
		standing, made = r, true
		return w.InsertCallApproval(ctx, &standing)
	})
	if err != nil {
		return a, false, err
	}
	return standing.CallApproval, made, nil
}

// heldCall is a new pending approval.
func (s *Service) heldCall(p Principal, call *HeldCall) (r CallApprovalRecord, err error) {
	now := s.now()
	r = CallApprovalRecord{CallApproval: CallApproval{
		TenantID: p.TenantID(), Status: ApprovalPending, Actor: p.ID(), KeyID: p.KeyID(), KeyHandle: p.of().key.Handle,
		KeyVersion: p.rightsVersion(), Action: call.Action, Subject: WithoutToken(call.Subject), Tool: WithoutToken(call.Tool),
		ArgsDigest: call.ArgsDigest, Client: WithoutToken(call.Client), Epoch: p.of().epoch,
		CreatedAt: now, ExpiresAt: now.Add(approvalLife),
	}, Binding: p.binding(call)}
	if r.ID, err = s.ids.next(); err != nil {
		return r, err
	}
	if len(call.Arguments) <= maxApprovalArguments {
		// As a text, for JSON would be written anew: a person is to see what came.
		r.Sealed, err = s.seal(r.row(), WithoutToken(string(call.Arguments)))
	}
	return r, err
}

// standing is the approval that holds for the call of a new one; one without an id
// says that none does, and that there is room for it.
func (s *Service) standing(ctx context.Context, r Reader, draft CallApprovalRecord) (none CallApprovalRecord, err error) {
	now := s.now()
	last, err := r.CallApprovals(ctx, draft.TenantID, CallApprovalQuery{Binding: draft.Binding, Limit: 1, At: now})
	if err != nil {
		return none, err
	}
	if len(last) == 1 {
		one := last[0].at(now)
		if one.Status.open() || one.Status == ApprovalDenied && now.Before(one.ExpiresAt) {
			return one, nil
		}
	}
	own, all, err := r.PendingCalls(ctx, draft.TenantID, draft.Actor, now)
	switch {
	case err != nil:
		return none, err
	case own >= maxPendingKey:
		return none, &PendingError{"key", maxPendingKey}
	case all >= maxPendingTenant:
		return none, &PendingError{"organization", maxPendingTenant}
	}
	return none, nil
}

// CallHeld answers how far an approval of the principal's own has come.
func (s *Service) CallHeld(ctx context.Context, p Principal, id string) (a CallApproval, err error) {
	err = s.cfg.Store.Read(ctx, func(r Reader) error {
		one, err := ownApproval(ctx, r, p, id)
		a = one.at(s.now()).CallApproval
		return err
	})
	return a, err
}

func ownApproval(ctx context.Context, r Reader, p Principal, id string) (CallApprovalRecord, error) {
	one, err := r.CallApproval(ctx, p.TenantID(), id)
	if err == nil && (one.Actor != p.ID() || !p.Valid()) {
		err = ErrNotFound
	}
	if err != nil {
		return CallApprovalRecord{}, err
	}
	return one, nil
}

// UseApproval takes an approval for one request of the call that it is for: uses is
// 0 for the request that makes the call, and what the answer to the one before it
// had for one that goes on with it. Exactly one request gets it; for any other, and
// where the principal's key was edited since, it is ErrVersion.
func (s *Service) UseApproval(ctx context.Context, p Principal, id string, call HeldCall, uses int64) (used int64, err error) {
	_, err = s.cfg.Store.Edit(ctx, func(w Writer) error {
		e := s.newEdit(w, "")
		if err := e.as(ctx, p); err != nil {
			return err
		}
		was, err := ownApproval(ctx, e, e.who, id)
		if isNotFound(err) {
			return ErrVersion
		}
		if err != nil {
			return err
		}
		want := ApprovalApproved
		if uses > 0 {
			want = ApprovalUsed
		}
		if was.at(e.now).Status != want || was.Uses != uses || was.Binding != e.who.binding(&call) {
			return ErrVersion
		}
		next := was
		next.Status, next.Uses = ApprovalUsed, uses+1
		if next.UsedAt == nil {
			next.UsedAt = &e.now
		}
		return e.UpdateCallApproval(ctx, &next, was)
	})
	if err != nil {
		return 0, err
	}
	return uses + 1, nil
}

// WithdrawCall takes back what the principal itself asked for, when nothing has
// come of it yet; else it does nothing.
func (s *Service) WithdrawCall(ctx context.Context, p Principal, id string) error {
	_, err := s.cfg.Store.Edit(ctx, func(w Writer) error {
		was, err := ownApproval(ctx, w, p, id)
		if err != nil || !was.at(s.now()).Status.open() {
			return err
		}
		next := was
		next.Status = ApprovalWithdrawn
		return w.UpdateCallApproval(ctx, &next, was)
	})
	s.heldCalls.ring()
	return err
}

// CallApprovals lists approvals without their arguments. It needs view:approvals.
func (s *Service) CallApprovals(ctx context.Context, p Principal, q CallApprovalQuery) (list []CallApproval, err error) {
	q.At, q.Binding = s.now(), [32]byte{}
	err = s.read(ctx, p, operation{"approval.list", viewApprovals}, func(r Reader) error {
		found, err := r.CallApprovals(ctx, p.TenantID(), q)
		list = make([]CallApproval, len(found))
		for i := range found {
			list[i] = found[i].at(q.At).CallApproval
		}
		return err
	})
	return list, err
}

// ShownApproval is an approval as somebody gets it.
type ShownApproval struct {
	CallApproval
	Arguments json.RawMessage // as received, but for tokens; nil = none, or not shown
	Omitted   bool            // they are larger than is kept
}

// CallApproval answers an approval. It needs view:approvals; the arguments are for
// those who hold manage:approvals.
func (s *Service) CallApproval(ctx context.Context, p Principal, id string) (a ShownApproval, err error) {
	var r CallApprovalRecord
	err = s.read(ctx, p, operation{"approval.get", viewApprovals}, func(reader Reader) (err error) {
		r, err = reader.CallApproval(ctx, p.TenantID(), id)
		return err
	})
	if err != nil {
		return a, err
	}
	return s.shown(p, r)
}

func (s *Service) shown(p Principal, r CallApprovalRecord) (a ShownApproval, err error) {
	a = ShownApproval{CallApproval: r.at(s.now()).CallApproval, Omitted: r.Sealed == nil}
	if a.Omitted || !p.Can(manageApprovals, s.now()) {
		return a, nil
	}
	var text string
	if err := s.unseal(r.row(), r.Sealed, &text); err != nil {
		return a, fmt.Errorf("opening the arguments of approval %s: %w", r.ID, err)
	}
	if text != "" {
		a.Arguments = json.RawMessage(text)
	}
	return a, nil
}

// ApprovalDecision is what a person makes of a call.
type ApprovalDecision struct {
	Approve bool
	Reason  string // at most 500 characters
}

// DecideCall approves or denies a call that waits. It needs manage:approvals, and a
// principal other than the one that calls, and no ancestor, child or maker's kin of
// it. One that is not pending is a *ConflictError.
func (s *Service) DecideCall(ctx context.Context, p Principal, id string, d ApprovalDecision) (a ShownApproval, err error) {
	var f faults
	f.text("reason", d.Reason, 0, maxReason)
	if err := f.err(); err != nil {
		return a, err
	}
	op := operation{"approval.deny", manageApprovals}
	status := ApprovalDenied
	if d.Approve {
		op.action, status = "approval.approve", ApprovalApproved
	}
	var r CallApprovalRecord
	_, err = s.commit(ctx, p, op, func(e *edit) error {
		was, err := e.CallApproval(ctx, e.who.TenantID(), id)
		if err != nil {
			return err
		}
		if err := e.mayAnswer(ctx, &was.CallApproval); err != nil {
			return err
		}
		if now := was.at(e.now).Status; now != ApprovalPending {
			return &ConflictError{Problem: "the approval is not pending any more: it is " + string(now)}
		}
		r = was
		r.Status, r.DecidedBy, r.DecidedAt, r.Reason = status, e.who.Actor(), &e.now, d.Reason
		if err := e.UpdateCallApproval(ctx, &r, was); err != nil {
			return err
		}
		return e.logDetail(ctx, r.ID, map[string]fields{"after": {"status": r.Status, "actor": r.Actor, "action": r.Action,
			"subject": r.Subject, "tool": r.Tool, "argsDigest": r.ArgsDigest, "reason": r.Reason}})
	})
	if err != nil {
		return a, err
	}
	s.heldCalls.ring()
	return s.shown(p, r)
}
