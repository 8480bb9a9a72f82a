package upstream

import (
	"sync"
	"time"
)

const (
	maxSending = 64   // messages without an answer that are on their way at once
	maxWaiting = 1000 // and how many more wait for that
)

// outbox sends what has no answer in the background: cancellations, and answers
// to what the upstream asks. An upstream decides how much there is of it and
// how long each takes, so neither goroutines nor connections grow with that:
// what is too much is dropped.
type outbox struct {
	mu      sync.Mutex
	senders sync.WaitGroup
	sending int // how many of them
	waiting []func()
}

// later sends when it is its turn; send must return within noteTimeout.
func (o *outbox) later(send func()) {
	o.mu.Lock()
	defer o.mu.Unlock()
	switch {
	case o.sending < maxSending:
		o.sending++
		o.senders.Go(func() {
			for send != nil {
				send()
				send = o.next()
			}
		})
	case len(o.waiting) < maxWaiting:
		o.waiting = append(o.waiting, send)
	}
}

// next is what waited longest, nil when nothing does.
func (o *outbox) next() (send func()) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.waiting) == 0 {
		o.sending--
		return nil
	}
	send, o.waiting = o.waiting[0], o.waiting[1:]
	return send
}

// flush waits until all is sent; what still waits after noteTimeout is dropped.
func (o *outbox) flush() {
	late := time.AfterFunc(noteTimeout, func() {
		o.mu.Lock()
		defer o.mu.Unlock()
		o.waiting = nil
	})
	defer late.Stop()
	o.senders.Wait()
}
