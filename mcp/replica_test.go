package mcp_test

import (
	"context"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/mcp"
)

// replica is another process on the same store with the same root secret: nothing
// else leads from one to the other. What w has mounted it knows when it answers.
func (w *world) replica(edits ...func(*mcp.Config)) *world {
	w.t.Helper()
	svc, err := keys.New(context.Background(), keys.Config{Store: w.store, Now: w.clock.Now, AllowPrivateUpstreams: true,
		PollInterval: 20 * time.Millisecond,
		Root:         keys.RootSecret{Version: 1, Value: keys.Secret("0123456789abcdefghijklmnopqrstuvwxyz-root")}})
	must(w.t, err)
	s := w.second(append(edits, func(c *mcp.Config) { c.Service = svc })...)
	s.svc = svc
	ctx, stop := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { _ = svc.Run(ctx) })
	w.t.Cleanup(func() { stop(); wg.Wait() })
	s.run()
	mounts, err := w.svc.Mounts(ctx)
	must(w.t, err)
	s.until("its instances are ready", func() bool {
		return !slices.ContainsFunc(mounts, func(i keys.Instance) bool {
			state, _ := s.gw.InstanceStatus(i.ID)
			return state != "ready"
		})
	})
	return s
}

// at is the same client, sent to another server.
func (l *legacy) at(w *world) *legacy { return &legacy{w, l.path, l.headers} }

func (l *legacy) delete() answer {
	l.w.t.Helper()
	return l.w.do(http.MethodDelete, l.path, nil, l.headers...)
}
