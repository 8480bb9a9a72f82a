package keys_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/keys/keystest"
)

// uncutStore is one that may refuse to be cut.
type uncutStore struct {
	*keystest.Memory
	refuses atomic.Pointer[error]
}

func (s *uncutStore) CutAudit(ctx context.Context, tenantID string, ids []string, cuts []keys.AuditCut) error {
	if err := s.refuses.Load(); err != nil {
		return *err
	}
	return s.Memory.CutAudit(ctx, tenantID, ids, cuts)
}

// retention is a service that keeps audit entries for a day, and a trail of two
// tenants.
type retention struct {
	t          *testing.T
	store      *uncutStore
	signer     *keys.AuditSigner
	svc        *keys.Service
	complaints chan error
}

const kept = 24 * time.Hour

func newRetention(t *testing.T) *retention {
	r := &retention{t: t, store: &uncutStore{Memory: keystest.NewMemory()}, complaints: make(chan error, 100)}
	var err error
	if r.signer, err = keys.NewAuditSigner(rootSecret); err != nil {
		t.Fatal(err)
	}
	r.svc, err = keys.New(t.Context(), keys.Config{Store: r.store, Root: rootSecret, AuditRetention: kept,
		Complain: func(err error) { r.complaints <- err }})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.svc.Bootstrap(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := r.svc.CreateTenant(t.Context(), r.operator("default"), keys.NewTenant{Slug: "second", Name: "Second"}); err != nil {
		t.Fatal(err)
	}
	return r
}

func (r *retention) operator(tenant string) keys.Principal {
	r.t.Helper()
	p, err := r.svc.Operator(r.t.Context(), tenant)
	if err != nil {
		r.t.Fatal(err)
	}
	return p
}

// call records n calls of now in a tenant.
func (r *retention) call(tenant string, n int) {
	r.t.Helper()
	var batch []keys.AuditEntry
	for range n {
		batch = append(batch, keys.AuditEntry{ID: uuid.Must(uuid.NewV7()).String(), TenantID: r.operator(tenant).TenantID(), Time: time.Now(),
			Kind: "call", Action: "tools/call", Decision: "allow", Outcome: "ok", Writer: "w1"})
	}
	if err := r.store.AppendAudit(r.t.Context(), batch); err != nil {
		r.t.Fatal(err)
	}
}

// trail is what a tenant's trail has, which verifies: calls, and records of a cut,
// which grow old like all else.
func (r *retention) trail(tenant string) (calls, cuts int) {
	r.t.Helper()
	p := r.operator(tenant)
	verdicts, err := keys.VerifyAudit(r.t.Context(), r.store, r.signer, p.TenantID())
	if err != nil {
		r.t.Fatal(err)
	}
	for _, v := range verdicts {
		if v.Problem != "" || v.Signature != "valid" {
			r.t.Errorf("%s, chain %s: %s, signature %s", tenant, v.Writer, v.Problem, v.Signature)
		}
	}
	list, err := r.svc.AuditEvents(r.t.Context(), p, keys.AuditQuery{Limit: 200})
	if err != nil {
		r.t.Fatal(err)
	}
	for _, e := range list {
		switch {
		case e.Kind == "call":
			calls++
		case e.Kind == "change" && e.Action == "audit.prune" && e.Actor == "operator":
			cuts++
		}
	}
	return calls, cuts
}

func (r *retention) equal(when, tenant string, calls, cuts int) {
	r.t.Helper()
	if gotCalls, gotCuts := r.trail(tenant); gotCalls != calls || gotCuts != cuts {
		r.t.Errorf("%s, %s: %d calls and %d records of a cut, want %d and %d", when, tenant, gotCalls, gotCuts, calls, cuts)
	}
}

func (r *retention) complained() (list []error) {
	for {
		select {
		case err := <-r.complaints:
			list = append(list, err)
		default:
			return list
		}
	}
}

// TestRetention: a service cuts the trails of all tenants when it starts and once
// an hour, tells what goes wrong with it, and tries again in an hour.
func TestRetention(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRetention(t)
		r.call("default", 5)
		r.call("second", 7)
		time.Sleep(kept + time.Minute)
		r.call("default", 3)
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- r.svc.Run(ctx) }()
		after := func(d time.Duration) { time.Sleep(d); synctest.Wait() }

		after(time.Second)
		r.equal("at the start", "default", 3, 1)
		r.equal("at the start", "second", 0, 1)
		after(2 * time.Hour)
		r.equal("nothing is old", "default", 3, 1)
		after(kept)
		r.equal("a day later", "default", 0, 1)

		r.call("default", 4)
		r.call("second", 2)
		if got := r.complained(); len(got) > 0 {
			t.Errorf("complained of %v", got)
		}
		broken := errors.New("the disk is full")
		r.store.refuses.Store(&broken)
		after(kept + 3*time.Hour)
		r.equal("the store refuses", "default", 4, 1)
		got := r.complained()
		if len(got) < 2 || !errors.Is(got[0], broken) {
			t.Errorf("complained of %v", got)
		}
		r.store.refuses.Store(nil)
		after(time.Hour)
		r.equal("the store is well again", "default", 0, 1)
		r.equal("the store is well again", "second", 0, 1)
		if got := r.complained(); len(got) > 0 {
			t.Errorf("complained of %v", got)
		}

		r.call("default", 4)
		faster := keys.ErrVersion // another process was
		r.store.refuses.Store(&faster)
		after(kept + 2*time.Hour)
		if got := r.complained(); len(got) > 0 {
			t.Errorf("complained of %v", got)
		}
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}
