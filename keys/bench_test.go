package keys_test

import (
	"fmt"
	"testing"

	"github.com/bailiwick-mcp/bailiwick/keys"
)

// The cost of one authentication from the cache, which every request pays.
func BenchmarkAuthenticate(b *testing.B) {
	h := newHouse(b)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := h.svc.Authenticate(h.ctx, h.token); err != nil {
			b.Fatal(err)
		}
	}
}

// The cost of dropping one key of many from the cache.
func BenchmarkToggleBesideManyKeys(b *testing.B) {
	h := newHouse(b)
	var last keys.Issued
	for n := range 1000 {
		last = h.mint(h.op, keys.NewKey{Name: "k", Handle: fmt.Sprintf("k%d", n)})
		h.login(last.Secret)
	}
	for b.Loop() {
		if _, err := h.svc.ToggleKey(h.ctx, h.op, last.Key.ID, 0); err != nil {
			b.Fatal(err)
		}
	}
}
