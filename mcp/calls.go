package mcp

import (
	"context"
	"sync"

	"github.com/bailiwick-mcp/bailiwick/keys"
)

// runningCall is one tools/call that was let through and is not answered yet.
type runningCall struct {
	principal keys.Principal
	cancel    context.CancelFunc
}

// callTable holds the running calls, so that those of a key that no longer
// counts can be ended.
type callTable struct {
	quota *quota

	mu   sync.Mutex
	open map[*runningCall]struct{}
}

func newCallTable() *callTable {
	return &callTable{quota: newQuota(maxCalls), open: map[*runningCall]struct{}{}}
}

// begin registers a call; done must be called.
func (t *callTable) begin(ctx context.Context, p keys.Principal) (_ context.Context, done func()) {
	ctx, cancel := context.WithCancel(ctx)
	c := &runningCall{principal: p, cancel: cancel}
	t.mu.Lock()
	t.open[c] = struct{}{}
	t.mu.Unlock()
	return ctx, func() {
		t.mu.Lock()
		delete(t.open, c)
		t.mu.Unlock()
		cancel()
	}
}

func (t *callTable) all() []*runningCall {
	t.mu.Lock()
	defer t.mu.Unlock()
	out := make([]*runningCall, 0, len(t.open))
	for c := range t.open {
		out = append(out, c)
	}
	return out
}

func (t *callTable) cancelAll() {
	for _, c := range t.all() {
		c.cancel()
	}
}
