package keys

import "sync"

// ApprovalNews is closed when this process has decided on a call, or taken one
// back; other processes' decisions are found by asking.
func (s *Service) ApprovalNews() <-chan struct{} { return s.heldCalls.next() }

// bell wakes all who wait for it.
type bell struct {
	mu sync.Mutex
	c  chan struct{}
}

func (b *bell) next() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.c == nil {
		b.c = make(chan struct{})
	}
	return b.c
}

func (b *bell) ring() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.c != nil {
		close(b.c)
		b.c = nil
	}
}
