package mcp_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/mcp"
	"github.com/bailiwick-mcp/bailiwick/policy"
)

// TestTokenInURI: a key that stands in a uri, which a client may read without its
// being listed, reaches neither the audit trail nor a log.
func TestTokenInURI(t *testing.T) {
	core, logs := observer.New(zapcore.DebugLevel)
	w := newWorld(t, func(c *mcp.Config) { c.Log = zap.New(core) })
	up := newUpstream(t).with(others{resources: []string{resource("x:r")}, templates: []string{template("y:{+a}")}})
	w.mount("a1", up)
	k, canary := w.key(), w.key().Secret.Reveal()
	denied := w.key(func(n *keys.NewKey) {
		n.MCPAllowlistMode, n.MCPToolAllowlist = keys.Some(policy.ModeDeny), keys.Some([]string{"*/y:*"})
	})
	read := func(k keys.Issued, scheme string) {
		for era, ask := range w.eras(k, "/mcp") {
			if a := ask("resources/read", `"uri":`+quoted(scheme+canary)); a.status >= 500 {
				t.Errorf("%s: %d", era, a.status)
			}
		}
		w.modern(k, "/mcp", "resources/read", `"requestState":"made up","uri":`+quoted(scheme+canary))
	}
	read(k, "x:")
	read(k, "y:")
	read(denied, "y:")
	up.server.CloseClientConnections()
	up.server.Close() // calls fail now, and that is logged
	read(k, "x:")
	w.until("everything is in the trail", func() bool {
		list, err := w.svc.AuditEvents(t.Context(), w.op, keys.AuditQuery{KeyID: denied.Key.ID})
		return err == nil && len(list) >= 3
	})
	list, err := w.svc.AuditEvents(t.Context(), w.op, keys.AuditQuery{Limit: 200})
	must(t, err)
	all, err := json.Marshal(list)
	must(t, err)
	body := canary[len(canary)-30:]
	if strings.Contains(string(all), body) {
		t.Errorf("the trail holds the token: %s", all)
	}
	said := false
	for _, e := range logs.All() {
		line, err := json.Marshal(e.ContextMap())
		must(t, err)
		said = said || e.Message == "call failed" || e.Message == "a requestState was refused"
		if strings.Contains(e.Message+string(line), body) {
			t.Errorf("a log holds the token: %s %s", e.Message, line)
		}
	}
	if !said {
		t.Error("nothing was logged")
	}
}

// TestLongUpdate: an upstream that tells of a resource by a uri of megabytes,
// which no client can have subscribed to, holds nobody up.
func TestLongUpdate(t *testing.T) {
	w := newWorld(t)
	uris := []string{"x:a"}
	for i := range 20 {
		uris = append(uris, fmt.Sprintf("x:a/%d", i))
	}
	up, other := subscribable(t, false, uris...), subscribable(t, false, "x:b")
	w.mount("a1", up)
	w.mount("b2", other)
	e, granted := w.watch("legacy", w.key(), "/mcp", append(uris, "x:b")...)
	if len(granted) != len(uris)+1 {
		t.Fatalf("granted %v", granted)
	}
	up.updated("x:a" + strings.Repeat("/", 1<<21))
	up.updated("x:a")
	e.told("x:a")
	other.updated("x:b") // of another upstream
	e.told("x:b")
}
