package e2e_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	mcpclient "github.com/mark3labs/mcp-go/client"
	"github.com/mark3labs/mcp-go/client/transport"
	mcpgo "github.com/mark3labs/mcp-go/mcp"
)

// rollingDelay is the drain delay of the servers of these tests.
const rollingDelay = time.Second

// TestRollingRestart restarts three servers on one Postgres in turn, behind a
// balancer that knows no sessions, while clients of both eras call: no call fails,
// and no session is begun again.
func TestRollingRestart(t *testing.T) {
	t.Parallel()
	r := newRolling(t)
	for i := range 4 {
		r.run(func() { r.legacyClient(t, fmt.Sprint("session ", i), "notes__read_note", object{"title": "standup"}) })
		r.run(func() { r.modernClient(fmt.Sprint("modern ", i), "notes__read_note", object{"title": "standup"}) })
	}
	r.run(func() { r.legacyClient(t, "slow session", "slow__good", object{}) })
	r.run(func() { r.modernClient("slow modern", "slow__good", object{}) })
	for i := range 2 {
		r.run(func() { r.libraryClient(t, fmt.Sprint("library ", i)) })
	}
	for i := range 2 {
		r.run(func() { r.listener(t, fmt.Sprint("stream ", i)) })
	}
	fixture(t, "node_modules", "@modelcontextprotocol", "sdk")
	r.run(func() { r.sdkClient(t) })
	r.roll(t)
	r.end(t)
	const sessions = 4 + 1 + 2 + 2 + 1
	if n := r.balancer.initialized.Load(); n != sessions {
		t.Errorf("%d sessions were begun, want %d", n, sessions)
	}
}

// TestDrainedConnections does the same behind a balancer of connections, whose
// clients stay with a server for as long as they keep theirs: a server that ends has
// told each of them before it closes it, so no request can meet a closed one.
func TestDrainedConnections(t *testing.T) {
	t.Parallel()
	r := newRolling(t)
	d := openDoorman(t, r.balancer)
	r.url = d.url
	for i := range 4 {
		r.run(func() { r.legacyClient(t, fmt.Sprint("session ", i), "notes__read_note", object{"title": "standup"}) })
		r.run(func() { r.modernClient(fmt.Sprint("modern ", i), "notes__read_note", object{"title": "standup"}) })
	}
	r.run(func() { r.legacyClient(t, "slow session", "slow__good", object{}) })
	r.more(t, 100)
	r.restart(t, 0)
	r.more(t, 100)
	r.end(t)
	if told, untold := d.told.Load(), d.untold.Load(); told == 0 || untold > 0 {
		t.Errorf("a server closed %d connections that it had not told before, and %d that it had", untold, told)
	}
}

// rolling is three servers behind a balancer, and what their clients met.
type rolling struct {
	balancer *balancer
	url      string // that clients are given
	servers  [3]*server
	members  [3]*member
	token    string
	args     []string
	data     string

	clients sync.WaitGroup
	over    atomic.Bool
	calls   atomic.Int64
	mu      sync.Mutex
	bad     []string
}

func newRolling(t *testing.T) *rolling {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	config, err := json.Marshal(object{"mcpServers": object{
		"notes": object{"command": notesBin}, "slow": object{"command": self, "args": []string{"faulty-upstream", "slow"}}}})
	if err != nil {
		t.Fatal(err)
	}
	r := &rolling{balancer: openBalancer(t), data: t.TempDir()}
	path := filepath.Join(r.data, "mcp.json")
	if err := os.WriteFile(path, config, 0o600); err != nil {
		t.Fatal(err)
	}
	r.args = []string{"--database-url", postgresURL(t), "--mcp-config", path, "--drain-delay", rollingDelay.String(), "--migrate"}
	for i := range r.servers { // they share the folder, and so the root secret
		r.start(t, i)
	}
	r.url, r.token = r.balancer.url, r.servers[0].firstKey
	(&mounted{server: r.servers[0]}).settle(t, "notes__read_note", "slow__good")
	return r
}

// start starts a server and waits until the balancer sends to it.
func (r *rolling) start(t *testing.T, i int) {
	t.Helper()
	r.servers[i] = serveOn(t, filepath.Join(r.data, "shared"), nil, r.args...)
	r.members[i] = r.balancer.add(r.servers[i])
	eventually(t, "the server is ready", func() string {
		if !r.members[i].ready.Load() {
			return "not ready"
		}
		return ""
	})
}

// roll restarts each server, while calls go on before, between and after.
func (r *rolling) roll(t *testing.T) {
	t.Helper()
	r.more(t, 100)
	for i := range r.servers {
		if n := r.members[i].took.Load(); n == 0 {
			t.Errorf("server %d got no request", i)
		}
		r.restart(t, i)
		r.more(t, 100)
	}
}

func (r *rolling) restart(t *testing.T, i int) {
	t.Helper()
	s := r.servers[i]
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	select {
	case <-s.exited:
	case <-time.After(patience):
		t.Fatalf("server %d does not end", i)
	}
	if code := s.cmd.ProcessState.ExitCode(); code != 0 {
		t.Errorf("server %d ended with %d", i, code)
	}
	if strings.Contains(s.log.String(), "requests were cut off") {
		t.Errorf("server %d cut requests off", i)
	}
	r.start(t, i)
}

// more waits until clients have made n more calls.
func (r *rolling) more(t *testing.T, n int64) {
	t.Helper()
	until := r.calls.Load() + n
	eventually(t, "clients call", func() string {
		if now := r.calls.Load(); now < until {
			return fmt.Sprintf("%d calls to go", until-now)
		}
		return ""
	})
}

func (r *rolling) run(client func()) { r.clients.Go(client) }

// end ends the clients and says what they met.
func (r *rolling) end(t *testing.T) {
	t.Helper()
	r.over.Store(true)
	r.clients.Wait()
	t.Logf("%d calls", r.calls.Load())
	for _, list := range [][]string{r.bad, r.balancer.failed} {
		if len(list) > 0 {
			t.Errorf("%d went wrong, like %q", len(list), list[:min(3, len(list))])
		}
	}
}

func (r *rolling) failed(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.bad = append(r.bad, fmt.Sprintf(format, args...))
}

// check takes the answer to one call.
func (r *rolling) check(who string, a answer, err error) {
	r.calls.Add(1)
	var message struct {
		Result *struct {
			Content []struct{ Text string }
			IsError bool
		}
	}
	switch {
	case err != nil:
		r.failed("%s: %v", who, err)
	case a.status != http.StatusOK || json.Unmarshal(a.body, &message) != nil || message.Result == nil,
		message.Result.IsError, len(message.Result.Content) != 1:
		r.failed("%s: %d %s", who, a.status, a.body)
	}
}

func (r *rolling) legacyClient(t *testing.T, who, tool string, arguments object) {
	session := openSession(t, r.url+"/mcp", r.token)
	for !r.over.Load() {
		a, err := session.ask("tools/call", object{"name": tool, "arguments": arguments})
		r.check(who, a, err)
	}
}

func (r *rolling) modernClient(who, tool string, arguments object) {
	client := modern{r.url + "/mcp", r.token}
	for !r.over.Load() {
		a, err := client.ask("tools/call", object{"name": tool, "arguments": arguments})
		r.check(who, a, err)
	}
}

// libraryClient is mcp-go's, which gives a session up when it is told that there is
// none. It lists and calls.
func (r *rolling) libraryClient(t *testing.T, who string) {
	link, err := transport.NewStreamableHTTP(r.balancer.url+"/mcp", transport.WithHTTPHeaders(map[string]string{"Authorization": "Bearer " + r.token}))
	if err != nil {
		t.Error(err)
		return
	}
	client := mcpclient.NewClient(link, mcpclient.WithLegacyProtocolOnly())
	defer func() { _ = client.Close() }()
	ctx := context.Background()
	if err := client.Start(ctx); err != nil {
		t.Error(err)
		return
	}
	if _, err := client.Initialize(ctx, mcpgo.InitializeRequest{Params: mcpgo.InitializeParams{
		ProtocolVersion: legacyVersion, ClientInfo: mcpgo.Implementation{Name: "library", Version: "1"}}}); err != nil {
		t.Error(err)
		return
	}
	for !r.over.Load() {
		list, err := client.ListTools(ctx, mcpgo.ListToolsRequest{})
		r.calls.Add(1)
		if err != nil || !slices.ContainsFunc(list.Tools, func(t mcpgo.Tool) bool { return t.Name == "notes__read_note" }) {
			r.failed("%s: %v", who, err)
			continue
		}
		call := mcpgo.CallToolRequest{Params: mcpgo.CallToolParams{Name: "notes__read_note", Arguments: object{"title": "standup"}}}
		got, err := client.CallTool(ctx, call)
		r.calls.Add(1)
		if err != nil || got.IsError {
			r.failed("%s: %v", who, err)
		}
	}
}

// listener keeps a session's stream open, again whenever it ends.
func (r *rolling) listener(t *testing.T, who string) {
	session := openSession(t, r.balancer.url+"/mcp", r.token)
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	r.clients.Go(func() {
		defer stop()
		for !r.over.Load() {
			time.Sleep(probeEvery)
		}
	})
	for opened := 0; ; opened++ {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, session.url, nil)
		if err != nil {
			t.Error(err)
			return
		}
		request.Header = http.Header{"Authorization": {"Bearer " + r.token}, "Accept": {"text/event-stream"}, "Mcp-Session-Id": {session.session}}
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			if !errors.Is(err, context.Canceled) {
				r.failed("%s: %v", who, err)
			}
			return
		}
		if response.StatusCode != http.StatusOK {
			r.failed("%s: %d", who, response.StatusCode)
		}
		_, err = io.Copy(io.Discard, response.Body)
		_ = response.Body.Close()
		if err != nil {
			if ctx.Err() == nil {
				r.failed("%s was cut, not ended: %v", who, err)
			}
			if opened == 0 {
				r.failed("%s was never opened again", who)
			}
			return
		}
	}
}
