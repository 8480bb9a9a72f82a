package keys

import (
	"encoding/hex"
	"io"
	"sync"
	"time"
)

// ids makes UUIDv7 (RFC 9562, section 5.7) in rising order within the process:
// what would fall into one millisecond is told apart by a counter (method 1).
type ids struct {
	now  func() time.Time
	rand io.Reader

	mu     sync.Mutex
	last   int64   // milliseconds
	count  uint16  // 12 bits
	random [8]byte // here, so that reading it allocates nothing
}

func (g *ids) next() (string, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if _, err := io.ReadFull(g.rand, g.random[:]); err != nil {
		return "", err
	}
	ms, count := g.tick()
	var b [16]byte
	copy(b[8:], g.random[:])
	for i := range 6 {
		b[i] = byte(ms >> (40 - 8*i))
	}
	b[6] = 0x70 | byte(count>>8)
	b[7] = byte(count)
	b[8] = 0x80 | b[8]&0x3f
	text := make([]byte, 0, 36)
	for i, end := range []int{4, 6, 8, 10, 16} {
		if i > 0 {
			text = append(text, '-')
		}
		text = hex.AppendEncode(text, b[(len(text)-i)/2:end])
	}
	return string(text), nil
}

// tick is the time of the next id, and its number within it.
func (g *ids) tick() (int64, uint16) {
	if ms := g.now().UnixMilli(); ms > g.last {
		g.last, g.count = ms, 0
	} else if g.count++; g.count > 0xfff {
		g.last, g.count = g.last+1, 0
	}
	return g.last, g.count
}
