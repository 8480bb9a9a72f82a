package guard_test

import (
	"context"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/bailiwick-mcp/bailiwick/db/dbtest"
	"github.com/bailiwick-mcp/bailiwick/guard"
	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/store"
)

// TestPostgres: on a database that is still empty, with the secret in the program's
// hands: it migrates, has a first key, and a revocation beside it holds at once.
func TestPostgres(t *testing.T) {
	const secret = keys.Secret("test-root-secret-0123456789-abcdefghij")
	url := dbtest.Durable(t).URL() // ends with the test, so that nothing is left over
	cfg := guard.Config{Slug: "mine", DatabaseURL: url, Secret: secret}
	if _, err := guard.Open(t.Context(), server(), cfg); err == nil {
		t.Fatal("it opened a database without a schema")
	}
	cfg.Migrate = true
	g, err := guard.Open(t.Context(), server(), cfg)
	must(t, err)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- g.Run(ctx) }()
	web := httptest.NewServer(g.Handler())
	if status, body := call(t, web.URL+"/mcp", g.FirstKey(), "who"); status != 200 || !strings.Contains(body, "called by ") {
		t.Errorf("before: %d %s", status, body)
	}
	beside, err := store.Open(t.Context(), store.Config{DatabaseURL: url, Secret: secret}, keys.Config{})
	must(t, err)
	op, err := beside.Service.Operator(t.Context(), "default")
	must(t, err)
	k, err := beside.Service.FindKey(t.Context(), op, "first-key")
	must(t, err)
	_, err = beside.Service.RevokeKey(t.Context(), op, k.ID, keys.Revocation{})
	must(t, err)
	if status, body := call(t, web.URL+"/mcp", g.FirstKey(), "who"); status != 401 {
		t.Errorf("once it is revoked: %d %s", status, body)
	}
	must(t, beside.Close())
	web.Close()
	stop()
	must(t, <-ended)
	must(t, g.Close())
}
