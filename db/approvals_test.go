package db_test

import (
	"errors"
	"testing"

	"github.com/bailiwick-mcp/bailiwick/db"
	"github.com/bailiwick-mcp/bailiwick/db/dbtest"
	"github.com/bailiwick-mcp/bailiwick/keys"
)

// Of many calls on two replicas one gets an approval; of two answers one counts; the
// same call asked for at once is one approval.
func TestApprovalIsUsedOnce(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, cfg db.Config) {
		r := newReplicas(t, cfg)
		issued, err := r.both[0].CreateKey(t.Context(), r.op, keys.NewKey{Name: "agent"})
		if err != nil {
			t.Fatal(err)
		}
		agent, err := r.both[0].Authenticate(t.Context(), issued.Secret)
		if err != nil {
			t.Fatal(err)
		}
		call := keys.HeldCall{Action: "tools/call", Subject: "notes/drop", Tool: "notes__drop", ArgsDigest: "d", Arguments: []byte(`{}`)}
		for range 5 {
			for _, err := range r.atOnce(6, func(svc *keys.Service) error {
				_, _, err := svc.HoldCall(t.Context(), agent, call)
				return err
			}) {
				if err != nil {
					t.Error(err)
				}
			}
			pending, err := r.both[1].CallApprovals(t.Context(), r.op, keys.CallApprovalQuery{Status: keys.ApprovalPending})
			if err != nil || len(pending) != 1 {
				t.Fatalf("pending: %+v %v", pending, err)
			}
			approved, used := 0, 0
			var conflict *keys.ConflictError
			for _, err := range r.atOnce(2, func(svc *keys.Service) error {
				_, err := svc.DecideCall(t.Context(), r.op, pending[0].ID, keys.ApprovalDecision{Approve: true})
				return err
			}) {
				if err == nil {
					approved++
				} else if !errors.As(err, &conflict) {
					t.Error(err)
				}
			}
			for _, err := range r.atOnce(6, func(svc *keys.Service) error {
				_, err := svc.UseApproval(t.Context(), agent, pending[0].ID, call, 0)
				return err
			}) {
				if err == nil {
					used++
				} else if !errors.Is(err, keys.ErrVersion) {
					t.Error(err)
				}
			}
			if approved != 1 || used != 1 {
				t.Errorf("approved %d times, used %d times", approved, used)
			}
		}
	})
}
