package mcp_test

import (
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/mcp"
)

const sessionLimit = 512 // of one key

// TestManySessions: of a key that opens session after session those are held that
// it used last, which bounds the memory; the others are taken up when they come
// back, under the same bound. Nobody else's give way.
func TestManySessions(t *testing.T) {
	w := newWorld(t)
	k, sibling, other := w.key(), w.connect(w.key(), "/mcp"), w.bystander()
	foreign := w.connect(other.key, "/mcp")
	open := mcp.Sessions(w.gw)
	first, second := w.connect(k, "/mcp"), w.connect(k, "/mcp")
	began := heap()
	const rest = sessionLimit - 2
	w.open(k, rest)
	if n := mcp.Sessions(w.gw); n != open+sessionLimit {
		t.Fatalf("%d sessions are open, want %d", n, open+sessionLimit)
	}
	if grown := heap() - began; grown > rest*16<<10 {
		t.Errorf("a session takes %d bytes", grown/rest)
	}
	const ping = `{"jsonrpc":"2.0","id":1,"method":"ping"}`
	if a := first.send(ping); a.status != http.StatusOK {
		t.Fatalf("the first session: %d", a.status)
	}
	for opened := sessionLimit; opened < 5000; opened += sessionLimit - 1 {
		w.open(k, sessionLimit-1)
		if a := first.send(ping); a.status != http.StatusOK {
			t.Fatalf("after %d, the one in use: %d", opened, a.status)
		}
	}
	if grown := heap() - began; grown > rest*16<<10 {
		t.Errorf("after 5,000, sessions take %d bytes", grown)
	}
	other.served("a key opens sessions")
	if n := mcp.Sessions(w.gw); n != open+sessionLimit {
		t.Errorf("%d sessions are open, want %d", n, open+sessionLimit)
	}
	for what, c := range map[string]struct {
		client *legacy
		want   int
	}{
		"the one in use": {first, 200}, "the one not used longest": {second, 200},
		"another key's": {sibling, 200}, "another tenant's": {foreign, 200},
	} {
		if a := c.client.send(ping); a.status != c.want {
			t.Errorf("%s answers %d, want %d", what, a.status, c.want)
		}
	}
	if n := mcp.Sessions(w.gw); n != open+sessionLimit {
		t.Errorf("%d sessions are held after one was taken up, want %d", n, open+sessionLimit)
	}
	w.clock.Advance(2 * time.Hour)
	w.until("all have expired", func() bool { return mcp.Sessions(w.gw) == 0 })
}

// open opens n sessions.
func (w *world) open(k keys.Issued, n int) {
	w.t.Helper()
	var wg sync.WaitGroup
	for part := range 8 {
		wg.Go(func() {
			for i := part; i < n; i += 8 {
				if a := w.post("/mcp", initialize, auth(k)...); a.status != http.StatusOK {
					w.t.Errorf("initialize: %d %s", a.status, a.body)
					return
				}
			}
		})
	}
	wg.Wait()
}

// BenchmarkInitialize shows that a session costs the same, however many there are.
func BenchmarkInitialize(b *testing.B) {
	for _, n := range []int{0, 5_000, 50_000} {
		b.Run(fmt.Sprint(n, " open"), func(b *testing.B) {
			w := newWorld(b)
			for n > mcp.Sessions(w.gw) {
				mcp.OpenSessions(w.gw, w.principalOf(w.key()), sessionLimit)
			}
			k := w.key()
			for b.Loop() {
				w.connect(k, "/mcp")
			}
		})
	}
}

func (w *world) principalOf(k keys.Issued) keys.Principal {
	w.t.Helper()
	p, err := w.svc.Authenticate(w.t.Context(), k.Secret)
	must(w.t, err)
	return p
}
