package e2e_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// balancer sends each request to the next server in turn that is ready, whatever
// session it is of. One that was sent is never sent again: only a server that can't
// be dialed is passed over.
type balancer struct {
	url         string
	initialized atomic.Int64 // initialize requests that came by

	mu      sync.Mutex
	members []*member
	next    int
	failed  []string // requests that got no answer
}

// member is one server as the balancer sees it.
type member struct {
	host  string
	pool  *http.Transport // keeps connections, as balancers do
	ready atomic.Bool
	took  atomic.Int64 // requests
}

// probeEvery is how often the balancer looks whether a server is ready.
const probeEvery = 100 * time.Millisecond

func openBalancer(t *testing.T) *balancer {
	t.Helper()
	b := &balancer{}
	proxy := &httputil.ReverseProxy{Transport: b, FlushInterval: -1, ErrorHandler: b.unanswered, ErrorLog: log.New(io.Discard, "", 0),
		Rewrite: func(p *httputil.ProxyRequest) { p.Out.Host, p.Out.URL.Scheme = p.In.Host, "http" }}
	server := httptest.NewServer(proxy)
	b.url = server.URL
	ctx, stop := context.WithCancel(context.Background())
	var probing sync.WaitGroup
	probing.Go(func() { b.probe(ctx) })
	t.Cleanup(func() {
		stop()
		probing.Wait()
		server.CloseClientConnections()
		server.Close()
		for _, m := range b.all() {
			m.pool.CloseIdleConnections()
		}
	})
	return b
}

// add makes a server one of those that get requests once they are ready.
func (b *balancer) add(s *server) *member {
	m := &member{host: strings.TrimPrefix(s.url, "http://"), pool: &http.Transport{MaxIdleConnsPerHost: 100}}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.members = append(b.members, m)
	return m
}

func (b *balancer) all() []*member {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]*member{}, b.members...)
}

func (b *balancer) probe(ctx context.Context) {
	client := &http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}}
	for ctx.Err() == nil {
		for _, m := range b.all() {
			response, err := client.Get("http://" + m.host + "/readyz")
			m.ready.Store(err == nil && response.StatusCode == http.StatusOK)
			if err == nil {
				_ = response.Body.Close()
			}
		}
		select {
		case <-time.After(probeEvery):
		case <-ctx.Done():
		}
	}
}

// inTurn are the servers that are ready, the one whose turn it is first.
func (b *balancer) inTurn() (ready []*member) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.next++
	for i := range b.members {
		if m := b.members[(b.next+i)%len(b.members)]; m.ready.Load() {
			ready = append(ready, m)
		}
	}
	return ready
}

// RoundTrip sends a request on.
func (b *balancer) RoundTrip(r *http.Request) (*http.Response, error) {
	var body []byte
	if r.Body != nil {
		var err error
		if body, err = io.ReadAll(r.Body); err != nil {
			return nil, err
		}
		_ = r.Body.Close()
	}
	if bytes.Contains(body, []byte(`"method":"initialize"`)) {
		b.initialized.Add(1)
	}
	for _, m := range b.inTurn() {
		// Without GetBody, so that net/http sends it once, too.
		out := r.Clone(r.Context())
		out.URL.Host, out.Body, out.ContentLength = m.host, io.NopCloser(bytes.NewReader(body)), int64(len(body))
		response, err := m.pool.RoundTrip(out)
		var dial *net.OpError
		if errors.As(err, &dial) && dial.Op == "dial" && errors.Is(err, syscall.ECONNREFUSED) {
			continue
		}
		m.took.Add(1)
		return response, err
	}
	return nil, errors.New("no server is ready")
}

func (b *balancer) unanswered(w http.ResponseWriter, r *http.Request, err error) {
	if r.Context().Err() == nil {
		b.mu.Lock()
		b.failed = append(b.failed, fmt.Sprintf("%s to %s: %v", r.Method, r.URL.Host, err))
		b.mu.Unlock()
	}
	w.WriteHeader(http.StatusBadGateway)
}
