package rest_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/keys/bearer"
	"github.com/bailiwick-mcp/bailiwick/keys/keystest"
	"github.com/bailiwick-mcp/bailiwick/keys/rest"
)

// unrecorded is a store that takes no audit entries of what is no edit.
type unrecorded struct{ *keystest.Memory }

func (unrecorded) AppendAudit(context.Context, []keys.AuditEntry) error { return keys.ErrUnavailable }

// heldByTrail is how many entries are held in memory at most.
const heldByTrail = 4 * 4096

// TestDenialThatCannotBeRecorded: once the trail takes nothing more, what would be
// denied is refused for that (503, audit.full), and is not told to be denied.
func TestDenialThatCannotBeRecorded(t *testing.T) {
	t.Parallel() // it waits for seconds
	ctx, stop := context.WithCancel(t.Context())
	svc, err := keys.New(ctx, keys.Config{Store: unrecorded{keystest.NewMemory()},
		Root: keys.RootSecret{Version: 1, Value: "test-root-secret-0123456789-abcdefghij"}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := svc.Bootstrap(ctx); err != nil {
		t.Fatal(err)
	}
	op, err := svc.Operator(ctx, "default")
	if err != nil {
		t.Fatal(err)
	}
	viewer, err := svc.CreateKey(ctx, op, keys.NewKey{Name: "viewer", Permissions: keys.Some([]string{"view:projects"})})
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { defer close(ended); _ = svc.Run(ctx) }()
	t.Cleanup(func() { stop(); <-ended })
	server := httptest.NewServer(rest.New(rest.Config{Service: svc, Authenticate: bearer.Authenticator{APIKeys: svc}.Authenticate}))
	t.Cleanup(server.Close)
	h := &site{t: t, ctx: ctx, first: viewer, url: server.URL}

	if got := h.ask(http.MethodGet, "/api/api-keys", ""); got.status != http.StatusForbidden {
		t.Fatalf("with room for the record: %d %s", got.status, got.body)
	}
	e := keys.AuditEntry{TenantID: op.TenantID(), Kind: "decision", Action: "x", Decision: "deny"}
	var all sync.WaitGroup
	for range heldByTrail { // the later ones wait for room, all at the same time
		all.Go(func() { _ = svc.Record(ctx, e) })
	}
	all.Wait()
	got := h.ask(http.MethodGet, "/api/api-keys", "")
	if got.status != http.StatusServiceUnavailable || !strings.Contains(got.body, `"code":"audit.full"`) || got.header.Get("Retry-After") == "" {
		t.Errorf("%d %s %v, want 503 audit.full", got.status, got.body, got.header)
	}
	if got := h.ask(http.MethodGet, "/api/projects", ""); got.status != http.StatusOK { // which is not recorded
		t.Errorf("what is allowed: %d %s", got.status, got.body)
	}
}
