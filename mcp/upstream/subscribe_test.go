package upstream_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/mcp/upstream"
)

// subscribe subscribes, and says what came of it.
func (m *mounted) subscribe(uri string) (stop func(), err error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	return m.Subscribe(ctx, uri)
}

func (m *mounted) mustSubscribe(uri string) (stop func()) {
	m.t.Helper()
	stop, err := m.subscribe(uri)
	if err != nil {
		m.t.Fatalf("%s: %v", uri, err)
	}
	return stop
}

// librarian is a legacy server with resources that can be subscribed to, but for
// those called bad, and with a log. It notes what it is told; touch tells of its
// resources.
func librarian(m message, out func(string, ...any)) {
	var p struct{ URI, Level string }
	_ = json.Unmarshal(m.Params, &p)
	switch {
	case m.Method == "initialize":
		out(`{"jsonrpc":"2.0","id":%s,"result":{"protocolVersion":"2025-11-25","capabilities":{"tools":{},"logging":{},"resources":{"subscribe":true}}}}`, m.ID)
	case m.Method == "resources/subscribe" && strings.HasPrefix(p.URI, "bad"):
		out(`{"jsonrpc":"2.0","id":%s,"error":{"code":-32002,"message":"no such resource"}}`, m.ID)
	case m.Method == "resources/subscribe" || m.Method == "resources/unsubscribe" || m.Method == "logging/setLevel":
		note(m.Method + " " + p.URI + p.Level)
		out(`{"jsonrpc":"2.0","id":%s,"result":{}}`, m.ID)
	case m.Method == "resources/list" || m.Method == "resources/templates/list":
		out(`{"jsonrpc":"2.0","id":%s,"result":{"resources":[],"resourceTemplates":[]}}`, m.ID)
	case m.tool() == "touch":
		out(`{"jsonrpc":"2.0","method":"notifications/resources/updated","params":{ "uri":"a:1", "_meta":{"k":1.50,"io.modelcontextprotocol/subscriptionId":1}}}`)
		out(`{"jsonrpc":"2.0","method":"notifications/elicitation/complete","params":{"elicitationId":"e"}}`)
		out(`{"jsonrpc":"2.0","method":"notifications/tasks/status","params":{"taskId":"t"}}`)
		out(`{"jsonrpc":"2.0","method":"notifications/other"}`)
		out(`{"jsonrpc":"2.0","method":"notifications/broken","params":{},"params":{}}`)
		out(`{"jsonrpc":"2.0","id":%s,"result":{}}`, m.ID)
	default:
		legacy("2025-11-25", []string{"touch"}, misbehave)(m, out)
	}
}

func init() { stdioServers["librarian"] = func() { script(librarian) } }

// noted is how often a line was noted.
func noted(path, line string) (n int) {
	b, _ := os.ReadFile(path)
	for l := range strings.Lines(string(b)) {
		if strings.TrimSpace(l) == line {
			n++
		}
	}
	return n
}

func TestSubscriptionsOfALegacyUpstream(t *testing.T) {
	path, wait := notes(t)
	m := run(t, stdio(t, "librarian", "UPSTREAM_TEST_NOTES", path)).ready()
	stop, again := m.mustSubscribe("a:1"), m.mustSubscribe("a:1")
	other := m.mustSubscribe("a:2")
	if n := noted(path, "resources/subscribe a:1"); n != 1 {
		t.Errorf("subscribed %d times", n)
	}
	_, err := m.subscribe("bad:1")
	if own, ok := errors.AsType[*upstream.Error](err); !ok || own.Code != -32002 {
		t.Errorf("a refused one: %v", err)
	}
	for _, odd := range []string{"", "a:\n", strings.Repeat("x", 3000)} {
		if _, err := m.subscribe(odd); err == nil {
			t.Errorf("%.20q was subscribed to", odd)
		}
	}
	if err := m.SetLogLevel("warning"); err != nil {
		t.Error(err)
	}
	wait("logging/setLevel warning")

	// What was wanted is wanted of the next process, too.
	m.fails("crash", upstream.ErrDown)
	m.until("the restart", func() bool { return len(m.lists) == 2 })
	for late := 0; noted(path, "resources/subscribe a:1") < 2 || noted(path, "resources/subscribe a:2") < 2 || noted(path, "logging/setLevel warning") < 2; late++ {
		if <-m.wakeSoon(); late > 4000 {
			t.Fatal("the next process was not told")
		}
	}
	stop()
	stop()
	other()
	wait("resources/unsubscribe a:2")
	if n := noted(path, "resources/unsubscribe a:1"); n != 0 {
		t.Errorf("unsubscribed from what another still wants")
	}
	again()
	wait("resources/unsubscribe a:1")

	m.call("touch", `{}`)
	m.hears("notifications/other")
	want := []string{`notifications/resources/updated { "uri":"a:1", "_meta":{"k":1.50}}`, `notifications/elicitation/complete {"elicitationId":"e"}`,
		`notifications/tasks/status {"taskId":"t"}`, "notifications/other"}
	if !slices.Equal(m.heard, want) {
		t.Errorf("heard %q", m.heard)
	}
}

// A subscription that is made while the upstream is down is made when it is back.
func TestSubscribingWhileDown(t *testing.T) {
	path, wait := notes(t)
	cfg := stdio(t, "librarian", "UPSTREAM_TEST_NOTES", path)
	m := run(t, cfg)
	m.mustSubscribe("a:1")
	_, _ = m.subscribe("bad:1") // whose refusal nobody learns
	wait("resources/subscribe a:1")
	m.ready()
	if _, err := m.subscribe("bad:1"); err == nil {
		t.Error("the refused one was kept")
	}
}

func TestSubscribingIsUnsupported(t *testing.T) {
	for _, cfg := range []upstream.Config{stdio(t, "misbehave"), remote(keys.TransportHTTP, newWeb(t, modernWeb(named("a"))).URL)} {
		m := run(t, cfg)
		early, err := m.subscribe("a:1") // perhaps before it is known
		if err != nil && !errors.Is(err, upstream.ErrUnsupported) {
			t.Error(err)
		}
		m.ready()
		early()
		if _, err := m.subscribe("a:1"); !errors.Is(err, upstream.ErrUnsupported) {
			t.Errorf("error %v", err)
		}
		if err := m.SetLogLevel("info"); !errors.Is(err, upstream.ErrUnsupported) {
			t.Errorf("error %v", err)
		}
	}
}

func TestSubscriptionsAreBounded(t *testing.T) {
	u, err := upstream.New(upstream.Config{Name: "down", Transport: keys.TransportHTTP, URL: "http://127.0.0.1:1"})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 10_000 {
		if _, err := u.Subscribe(context.Background(), fmt.Sprint("a:", i)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := u.Subscribe(context.Background(), "a:0"); err != nil {
		t.Error(err)
	}
	if stop, err := u.Subscribe(context.Background(), "b:0"); err == nil || stop == nil {
		t.Errorf("one too many: %v", err)
	}
}
