package rest_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/keys/bearer"
	"github.com/bailiwick-mcp/bailiwick/keys/rest"
)

// The same request under the same Idempotency-Key gets the same answer, with
// the plaintext, for 10 minutes, and is done once.
func TestIdempotency(t *testing.T) {
	const create, rotate = "/api/api-keys", "/api/api-keys/"
	for path, body := range map[string]string{create: `{"name":"a"}`, rotate: `{"graceSeconds":5}`} {
		t.Run(path, func(t *testing.T) {
			h := newHouse(t)
			path := path
			if path != create {
				k, _ := h.mint(keys.NewKey{})
				path += k.ID + "/rotate"
			}
			ask := func(body, key string) response {
				return h.ask("POST", path, body, "Idempotency-Key", key)
			}
			first := ask(body, "once")
			if h.want(first.status, first)["key"] == nil || first.status >= 300 {
				t.Fatalf("%d %s", first.status, first.body)
			}
			h.want(200, h.ask("PUT", "/api/tenant", `{"name":"another edit meanwhile"}`))
			before := h.epoch()
			again := ask(body, "once")
			if again.status != first.status || again.body != first.body || fmt.Sprint(again.header) != fmt.Sprint(first.header) {
				t.Errorf("asked again: %d %s %v, want %d %s %v", again.status, again.body, again.header, first.status, first.body, first.header)
			}
			h.refused(422, "idempotency_mismatch", ask(strings.Replace(body, "}", " }", 1), "once"))
			if h.epoch() != before {
				t.Error("something was changed")
			}
			if other := ask(body, "other"); other.status != first.status || other.body == first.body {
				t.Errorf("under another key: %d %s", other.status, other.body)
			}
			h.now = h.now.Add(10 * time.Minute)
			if late := ask(body, "once"); late.status != first.status || late.body == first.body {
				t.Errorf("after 10 minutes: %d %s", late.status, late.body)
			}
		})
	}
	h := newHouse(t)
	_, token := h.mint(keys.NewKey{Permissions: keys.Some([]string{"manage:api-keys"})})
	h.want(201, h.ask("POST", "/api/api-keys", `{"name":"b"}`, "Idempotency-Key", "mine"))
	if got := h.want(201, h.do(token, "POST", "/api/api-keys", `{"name":"b"}`, "Idempotency-Key", "mine")); got["handle"] != "b-2" {
		t.Errorf("another principal under the same key got %v", got)
	}
	// A refused request leaves nothing under the key.
	h.refused(422, "invalid", h.ask("POST", "/api/api-keys", `{"name":""}`, "Idempotency-Key", "late"))
	h.want(201, h.ask("POST", "/api/api-keys", `{"name":"c"}`, "Idempotency-Key", "late"))
}

// heldStore holds the first edit back until it is released.
type heldStore struct {
	keys.Store
	first            sync.Once
	reached, release chan struct{}
}

func (s *heldStore) Edit(ctx context.Context, fn func(keys.Writer) error) (int64, error) {
	s.first.Do(func() {
		close(s.reached)
		<-s.release
	})
	return s.Store.Edit(ctx, fn)
}

// While a request is being answered, the same one is told to wait, and another
// one under its key that the key is taken.
func TestIdempotencyInFlight(t *testing.T) {
	h := newHouse(t)
	held := &heldStore{Store: h.store, reached: make(chan struct{}), release: make(chan struct{})}
	svc, err := keys.New(h.ctx, keys.Config{Store: held, Root: keys.RootSecret{Version: 1, Value: "test-root-secret-0123456789-abcdefghij"},
		Now: func() time.Time { return h.now }})
	h.must(err)
	h.cfg.Service, h.cfg.Authenticate = svc, bearer.Authenticator{APIKeys: svc}.Authenticate
	h.api = rest.New(h.cfg)
	ask := func(body string) response {
		return h.ask("POST", "/api/api-keys", body, "Idempotency-Key", "once")
	}
	first := make(chan response)
	go func() { first <- ask(`{"name":"a"}`) }()
	<-held.reached
	again := ask(`{"name":"a"}`)
	h.refused(409, "idempotency_in_flight", again)
	if got := again.header.Get("Retry-After"); got != "1" {
		t.Errorf("Retry-After is %q", got)
	}
	h.refused(422, "idempotency_mismatch", ask(`{"name":"b"}`))
	close(held.release)
	if made := <-first; made.status != 201 {
		t.Errorf("the first one: %d %s", made.status, made.body)
	}
}

func TestBadIdempotencyKey(t *testing.T) {
	h := newHouse(t)
	k, token := h.mint(keys.NewKey{})
	before := h.epoch()
	for _, bad := range []string{strings.Repeat("x", 256), "a b", "é", token} {
		if fields := h.refused(422, "invalid", h.ask("POST", "/api/api-keys", `{"name":"a"}`, "Idempotency-Key", bad)); fmt.Sprint(fields) != "[Idempotency-Key]" {
			t.Errorf("%.20s: %v", bad, fields)
		}
	}
	h.refused(400, "malformed_header", h.ask("POST", "/api/api-keys", `{"name":"a"}`, "Idempotency-Key", "a", "Idempotency-Key", "b"))
	h.refused(400, "malformed_header", h.ask("PATCH", "/api/api-keys/"+k.ID+"/toggle", "", "Idempotency-Key", "a"))
	h.refused(400, "malformed_header", h.ask("POST", "/api/projects", `{"name":"a"}`, "Idempotency-Key", "a"))
	if h.epoch() != before {
		t.Error("something was changed")
	}
	h.want(200, h.ask("DELETE", "/api/api-keys/"+k.ID, `{"reason":"no more"}`, "Idempotency-Key", "a"))
	if got := h.want(200, h.ask("GET", "/api/api-keys/"+k.ID, "")); got["revokeReason"] != "no more" {
		t.Errorf("revoked: %v", got)
	}
}
