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

	mu    sync.Mutex
	last  int64  // milliseconds
	count uint16 // 12 bits
}

func (g *ids) next() (string, error) {
	var b [16]byte
	if _, err := io.ReadFull(g.rand, b[8:]); err != nil {
		return "", err
	}
	ms, count := g.tick()
	for i := range 6 {
		b[i] = byte(ms >> (40 - 8*i))
	}
	b[6] = 0x70 | byte(count>>8)
	b[7] = byte(count)
	b[8] = 0x80 | b[8]&0x3f
	h := hex.EncodeToString(b[:])
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:], nil
}

func (g *ids) tick() (int64, uint16) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if ms := g.now().UnixMilli(); ms > g.last {
		g.last, g.count = ms, 0
	} else if g.count++; g.count > 0xfff {
		g.last, g.count = g.last+1, 0
	}
	return g.last, g.count
}
