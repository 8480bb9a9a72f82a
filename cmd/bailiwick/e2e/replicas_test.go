package e2e_test

import (
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

var revocations = flag.Int("revocations", 80, "how many keys TestReplicas revokes")

// replicaStaleness is how long one of these servers decides without the store.
const replicaStaleness = 2 * time.Second

// TestReplicas lets three servers on one Postgres decide while keys are revoked,
// paused and narrowed, and one server is stopped (SIGSTOP), one cut off from the
// database, one killed: of the calls that began after an edit had answered, none
// is accepted that it took away, at any server.
func TestReplicas(t *testing.T) {
	r := newReplicas(t)
	third := max(*revocations/4, 1)
	phases := []struct {
		name          string
		before, after func()
	}{
		{"all healthy", func() {}, func() {}},
		{"one is stopped", func() { r.signal(t, 1, syscall.SIGSTOP) }, func() { r.signal(t, 1, syscall.SIGCONT) }},
		{"one is cut off", func() { r.way.cut(true) }, func() { r.way.cut(false) }},
		{"one is killed", func() { r.servers[1].kill() }, func() {}},
	}
	for _, p := range phases {
		p.before()
		tokens := r.revokeMany(t, p.name, third)
		p.after()
		for _, token := range tokens { // a server that goes on must not begin with old rights
			for i, s := range r.servers {
				if r.call(s, token) == http.StatusOK {
					t.Errorf("%s, and over: server %d accepts", p.name, i)
				}
			}
		}
	}
	if r.accepted.Load() == 0 || r.refused.Load() == 0 {
		t.Errorf("%d calls accepted, %d refused: one side was never tried", r.accepted.Load(), r.refused.Load())
	}
}

type replicas struct {
	servers           [3]*server
	way               *way // of the last one to the database
	client            *http.Client
	accepted, refused atomic.Int64
}

// newCallers have no servers yet.
func newCallers(t *testing.T) *replicas {
	t.Helper()
	r := &replicas{client: &http.Client{Timeout: replicaStaleness / 2, Transport: &http.Transport{MaxIdleConnsPerHost: 200}}}
	t.Cleanup(r.client.CloseIdleConnections)
	return r
}

func newReplicas(t *testing.T) *replicas {
	t.Helper()
	r := newCallers(t)
	database := postgresURL(t)
	r.way = openWay(t, database)
	data := t.TempDir()
	for i := range r.servers {
		at := database
		if i == 2 {
			at = r.way.url
		}
		args := []string{"--database-url", at, "--max-staleness", replicaStaleness.String()}
		if i == 0 {
			args = append(args, "--migrate")
		}
		folder := filepath.Join(data, fmt.Sprint(i))
		if i > 0 { // they share the root secret
			secret, err := os.ReadFile(filepath.Join(r.servers[0].data, "root.secret"))
			if err != nil {
				t.Fatal(err)
			}
			args = append(args, "--secret-file", filepath.Join(data, "secret"))
			if err := os.WriteFile(filepath.Join(data, "secret"), secret, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		r.servers[i] = serveOn(t, folder, nil, args...)
	}
	return r
}

func (r *replicas) signal(t *testing.T, i int, s syscall.Signal) {
	t.Helper()
	if err := r.servers[i].cmd.Process.Signal(s); err != nil {
		t.Fatal(err)
	}
}

// edits take a key's right to call whoami away, each in another way.
var takings = []struct {
	method, path, body string
}{
	{http.MethodDelete, "", ""},
	{http.MethodPut, "", `{"mcpActive":false}`},
	{http.MethodPut, "", `{"enabled":false}`},
}

// revokeMany takes n keys' rights away, some at a time, each while it calls at
// every server.
func (r *replicas) revokeMany(t *testing.T, phase string, n int) (tokens []string) {
	admin := r.servers[0].rest()
	var mu sync.Mutex
	var took []time.Duration
	var wg sync.WaitGroup
	const atOnce = 5
	for part := range atOnce {
		wg.Go(func() {
			for i := part; i < n; i += atOnce {
				id, token := admin.key(t, with(fullAccess(), object{"name": fmt.Sprint(phase, i)}))
				d := r.revokeOne(t, phase, takings[i%len(takings)], admin, id, token)
				mu.Lock()
				took, tokens = append(took, d), append(tokens, token)
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	slices.Sort(took)
	t.Logf("%s: %d edits answered, p50 %s, p99 %s", phase, len(took), took[len(took)/2].Round(time.Millisecond), took[len(took)*99/100].Round(time.Millisecond))
	return tokens
}

func (r *replicas) revokeOne(t *testing.T, phase string, taking struct{ method, path, body string }, admin rest, id, token string) time.Duration {
	var over atomic.Bool
	var callers sync.WaitGroup
	began := make(chan struct{}, len(r.servers))
	for i, s := range r.servers {
		callers.Go(func() {
			for after := 0; after < 3; {
				late := over.Load()
				status := r.call(s, token)
				switch {
				case status == http.StatusOK && late:
					t.Errorf("%s: server %d accepted a call that began after %s %s had answered", phase, i, taking.method, taking.body)
					return
				case status == http.StatusOK:
					r.accepted.Add(1)
				case status != 0 && status != 401 && status != 403 && status != 503:
					t.Errorf("%s: server %d answered %d", phase, i, status)
				default:
					r.refused.Add(1)
				}
				if late && status == 0 { // it is stopped or dead
					return
				}
				if late {
					after++
				}
				select {
				case began <- struct{}{}:
				default:
				}
			}
		})
	}
	<-began
	begun := time.Now()
	status, body := admin.do(t, taking.method, "/api/api-keys/"+id, bodyOf(taking.body))
	took := time.Since(begun)
	over.Store(true)
	if status >= 300 {
		t.Errorf("%s: %s: %d %s", phase, taking.method, status, body)
	}
	callers.Wait()
	return took
}

func bodyOf(text string) any {
	switch text {
	case "":
		return nil
	case `{"mcpActive":false}`:
		return object{"mcpActive": false}
	}
	return object{"enabled": false}
}

// call answers the status of a call of whoami, 0 where the server gives none.
func (r *replicas) call(s *server, token string) int {
	const body = `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"whoami","arguments":{},"_meta":{` +
		`"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}}}`
	req, err := http.NewRequest(http.MethodPost, s.url+"/mcp", strings.NewReader(body))
	if err != nil {
		return 0
	}
	for name, value := range map[string]string{"Authorization": "Bearer " + token, "Content-Type": "application/json",
		"Accept": "application/json, text/event-stream", "Mcp-Protocol-Version": "2026-07-28", "Mcp-Method": "tools/call", "Mcp-Name": "whoami"} {
		req.Header.Set(name, value)
	}
	res, err := r.client.Do(req)
	if err != nil {
		return 0
	}
	defer func() { _ = res.Body.Close() }()
	_, _ = io.Copy(io.Discard, res.Body)
	return res.StatusCode
}

// way is a TCP connection's way to the database that can be cut.
type way struct {
	url             string
	network, target string
	closed          atomic.Bool

	mu    sync.Mutex
	conns map[net.Conn]struct{}
}

func openWay(t *testing.T, database string) *way {
	t.Helper()
	cfg, err := pgconn.ParseConfig(database)
	if err != nil {
		t.Fatal(err)
	}
	w := &way{conns: map[net.Conn]struct{}{}}
	w.network, w.target = pgconn.NetworkAddress(cfg.Host, cfg.Port)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	u := url.URL{Scheme: "postgres", User: url.UserPassword(cfg.User, cfg.Password), Host: l.Addr().String(),
		Path: "/" + cfg.Database, RawQuery: "sslmode=disable"}
	w.url = u.String()
	var all sync.WaitGroup
	all.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() { w.carry(conn) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		w.cut(true)
		all.Wait()
	})
	return w
}

// cut cuts all connections and refuses new ones, or lets them through again.
func (w *way) cut(on bool) {
	w.closed.Store(on)
	w.mu.Lock()
	defer w.mu.Unlock()
	for conn := range w.conns {
		if on {
			_ = conn.Close()
		}
	}
}

func (w *way) carry(conn net.Conn) {
	defer func() { _ = conn.Close() }()
	to, err := net.Dial(w.network, w.target)
	if err != nil || w.closed.Load() {
		return
	}
	defer func() { _ = to.Close() }()
	for _, c := range []net.Conn{conn, to} {
		w.mu.Lock()
		w.conns[c] = struct{}{}
		w.mu.Unlock()
		defer func() { w.mu.Lock(); delete(w.conns, c); w.mu.Unlock() }()
	}
	if w.closed.Load() {
		return
	}
	var both sync.WaitGroup
	for _, d := range [][2]net.Conn{{conn, to}, {to, conn}} {
		both.Go(func() {
			_, _ = io.Copy(d[0], d[1])
			_ = d[0].Close()
			_ = d[1].Close()
		})
	}
	both.Wait()
}
