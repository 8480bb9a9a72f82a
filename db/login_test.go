package db_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/bailiwick-mcp/bailiwick/db"
	"github.com/bailiwick-mcp/bailiwick/db/dbtest"
	"github.com/bailiwick-mcp/bailiwick/keys"
)

// Of many polls on two replicas one gets the key, and the others are told that
// it is gone; of two approvals one makes a key.
func TestLoginIsHandedOutOnce(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, cfg db.Config) {
		r := newReplicas(t, cfg)
		for range 5 {
			l, poll, err := r.both[0].StartLogin(t.Context(), keys.NewLogin{})
			if err != nil {
				t.Fatal(err)
			}
			approved := 0
			for _, err := range r.atOnce(2, func(svc *keys.Service) error {
				_, _, err := svc.ApproveLogin(t.Context(), r.op, l.ID, keys.Approval{})
				return err
			}) {
				var conflict *keys.ConflictError
				if err == nil {
					approved++
				} else if !errors.As(err, &conflict) {
					t.Error(err)
				}
			}
			var mu sync.Mutex
			states := map[keys.LoginState]int{}
			for _, err := range r.atOnce(6, func(svc *keys.Service) error {
				l, issued, err := svc.PollLogin(t.Context(), l.ID, poll)
				mu.Lock()
				defer mu.Unlock()
				if states[l.State]++; (issued != nil) != (l.State == keys.LoginApproved) {
					t.Errorf("%s with %v", l.State, issued)
				}
				return err
			}) {
				if err != nil {
					t.Error(err)
				}
			}
			if approved != 1 || states[keys.LoginApproved] != 1 || states[keys.LoginConsumed] != 5 {
				t.Errorf("%d approvals, polls %v", approved, states)
			}
		}
	})
}

// Two replicas that sweep at once revoke what was not collected, once.
func TestTwoReplicasSweep(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, cfg db.Config) {
		ctx, cancel := context.WithCancel(t.Context())
		var late sync.Map // the clock of the sweepers is ahead once this has a value
		now := func() time.Time {
			if _, ok := late.Load("late"); ok {
				return time.Now().Add(11 * time.Minute)
			}
			return time.Now()
		}
		r := newReplicas(t, cfg)
		made := map[string]bool{}
		for range 20 {
			l, _, err1 := r.both[0].StartLogin(ctx, keys.NewLogin{})
			_, key, err2 := r.both[0].ApproveLogin(ctx, r.op, l.ID, keys.Approval{})
			if err := errors.Join(err1, err2); err != nil {
				t.Fatal(err)
			}
			made[key.ID] = true
		}
		var all sync.WaitGroup
		for range 2 {
			svc, err := keys.New(ctx, keys.Config{
				Store: dbtest.Open(t, cfg), Root: keys.RootSecret{Value: "test-root-secret-0123456789-abcdefghij"},
				Now: now, SweepInterval: 2 * time.Millisecond,
			})
			if err != nil {
				t.Fatal(err)
			}
			all.Go(func() {
				if err := svc.Run(ctx); err != nil {
					t.Error(err)
				}
			})
		}
		late.Store("late", true)
		revocations := func() (n int) {
			events, err := r.both[0].AuditEvents(t.Context(), r.op, keys.AuditQuery{Kind: "change", Limit: 200})
			for _, e := range events {
				if e.Action == "key.revoke" && made[e.Subject] {
					n++
				}
			}
			if err != nil {
				t.Error(err)
			}
			return n
		}
		for deadline := time.Now().Add(10 * time.Second); revocations() < 20 && time.Now().Before(deadline); {
			time.Sleep(5 * time.Millisecond)
		}
		time.Sleep(20 * time.Millisecond) // for a second revocation, were there one
		if n := revocations(); n != 20 {
			t.Errorf("%d revocations of 20 keys", n)
		}
		cancel()
		all.Wait()
	})
}
