package policy

import (
	"math/bits"
	"time"
)

// Bitset marks tools of one catalog by index.
type Bitset []uint64

// Has tells whether bit i is set.
func (b Bitset) Has(i int) bool { return i >= 0 && i>>6 < len(b) && b[i>>6]&(1<<(i&63)) != 0 }

// Count is the number of bits set.
func (b Bitset) Count() int {
	n := 0
	for _, w := range b {
		n += bits.OnesCount64(w)
	}
	return n
}

// Equal tells whether both mark the same tools.
func (b Bitset) Equal(o Bitset) bool {
	if len(b) < len(o) {
		b, o = o, b
	}
	for i, w := range b {
		if i < len(o) && w != o[i] || i >= len(o) && w != 0 {
			return false
		}
	}
	return true
}

func (b Bitset) set(i int) { b[i>>6] |= 1 << (i & 63) }

func newBitset(n int) Bitset { return make(Bitset, (n+63)/64) }

// cachedBits is the last answer for one catalog.
type cachedBits struct {
	mark *catalogMark
	bits Bitset
}

// Visible marks the tools that Decide allows. The part that depends on neither
// time nor session is computed once per (grant, catalog) and kept, as is the
// session's part. The caller must not change the answer.
func (g *Grant) Visible(s *Session, c *Catalog, now time.Time) Bitset {
	if c == nil || !g.DecideKey(now).Allowed() {
		return nil
	}
	own := g.visible(c)
	if s == nil {
		return own
	}
	out := make(Bitset, len(own))
	for i, w := range s.visible(c) {
		out[i] = w & own[i]
	}
	return out
}

// visible looks at the rules from tool.unknown on; expiry and the other rules
// of the key are asked each time, so no answer outlives the key.
func (g *Grant) visible(c *Catalog) Bitset {
	if last := g.cached.Load(); last != nil && last.mark == c.mark {
		return last.bits
	}
	out := newBitset(len(c.views))
	for i := range c.views {
		if g.toolFailures(&c.views[i], false) == 0 {
			out.set(i)
		}
	}
	g.cached.Store(&cachedBits{c.mark, out})
	return out
}

func (s *Session) visible(c *Catalog) Bitset {
	if last := s.cached.Load(); last != nil && last.mark == c.mark {
		return last.bits
	}
	out := newBitset(len(c.views))
	for i := range c.views {
		if s.permits(&c.views[i]) {
			out.set(i)
		}
	}
	s.cached.Store(&cachedBits{c.mark, out})
	return out
}
