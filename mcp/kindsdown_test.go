package mcp_test

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/mcp"
	"github.com/bailiwick-mcp/bailiwick/policy"
)

// TestKindsOfADownInstance: after a restart with the upstream away everything is
// listed as stored, and a request is an error that names the instance.
func TestKindsOfADownInstance(t *testing.T) {
	w := newWorld(t)
	up := newUpstream(t, tool("t", "r")).with(everyKind())
	w.mount("a1", up)
	w.until("the definitions are stored", func() bool {
		defs, err := w.svc.Definitions(t.Context(), w.instance("a1"))
		return err == nil && len(defs) == 4
	})
	k := w.key()
	before := map[string]string{}
	lists := []string{"tools/list", "prompts/list", "resources/list", "resources/templates/list"}
	for _, method := range lists {
		before[method] = w.modern(k, "/mcp", method, "").body
	}
	up.server.CloseClientConnections()
	up.server.Close()
	s := w.second(func(c *mcp.Config) { c.ListWait = time.Hour })
	s.run()
	for _, method := range lists {
		if a := s.modern(k, "/mcp", method, ""); a.body != before[method] {
			t.Errorf("%s:\n got %s\nwant %s", method, a.body, before[method])
		}
	}
	for era, ask := range s.eras(k, "/mcp") {
		for _, r := range append(requests, struct{ method, params, want string }{"resources/read", `"uri":"x:t/7"`, ""}) {
			a := ask(r.method, r.params)
			if a.status != 200 || !strings.Contains(a.body, `"error":{"code":-32603,"message":"The instance a1 is not reachable right now.`) {
				t.Errorf("%s, %s: %d %s", era, r.method, a.status, a.body)
			}
		}
	}
}

// TestFirstReadWaits: a read that comes before an instance was tried for the
// first time waits for it, be the uri listed since before or not.
func TestFirstReadWaits(t *testing.T) {
	for name, uri := range map[string]string{"listed": "x:r", "of a template": "x:t/1"} {
		for _, stored := range []bool{true, false} {
			w := newWorld(t)
			up := newUpstream(t).with(everyKind())
			release, s := make(chan struct{}), w
			if stored {
				w.mount("a1", up)
				w.until("the definitions are stored", func() bool {
					defs, err := w.svc.Definitions(t.Context(), w.instance("a1"))
					return err == nil && len(defs) == 3
				})
				up.hold(release)
				s = w.second()
				s.run()
			} else {
				up.hold(release)
				i, err := w.svc.CreateInstance(t.Context(), w.op, keys.InstanceSpec{Slug: keys.Some("a1"),
					Transport: keys.Some(keys.TransportHTTP), URL: keys.Some(up.server.URL)})
				must(t, err)
				w.until("the instance is mounted", func() bool { state, _ := w.gw.InstanceStatus(i.ID); return state != "" })
			}
			k := w.key()
			before := s.authenticated.Load()
			got := make(chan answer, 1)
			go func() { got <- s.modern(k, "/mcp", "resources/read", `"uri":`+quoted(uri)) }()
			s.until("the request has come", func() bool { return s.authenticated.Load() > before })
			time.Sleep(20 * time.Millisecond)
			close(release)
			if a := <-got; !strings.Contains(a.body, `"contents"`) {
				t.Errorf("%s, stored %v: %s", name, stored, a.body)
			}
		}
	}
}

// TestKindsAreRecorded: what is read, got and completed is in the audit trail,
// with who, which and a digest, and so is what is denied.
func TestKindsAreRecorded(t *testing.T) {
	w := newWorld(t)
	up := newUpstream(t).with(everyKind())
	w.mount("a1", up)
	up.on("x:t/1", func(fakeCall) string { return answersError + `{"code":-32002,"message":"gone"}` })
	k := w.key(func(n *keys.NewKey) {
		n.MCPAllowlistMode, n.MCPToolAllowlist = keys.Some(policy.ModeDeny), keys.Some([]string{"no*"})
	})
	digest := func(s string) string { sum := sha256.Sum256([]byte(s)); return hex.EncodeToString(sum[:]) }
	const argument = `{"name":"a","value":"secret value"}`
	type row struct{ method, tool, subject, outcome, digest string }
	for era, ask := range w.eras(k, "/mcp") {
		want := []row{
			{"prompts/get", "a1__p", "a1/p", "ok", digest(`{"a":"secret value"}`)},
			{"resources/read", "x:r", "a1/x:r", "ok", digest("")},
			{"resources/read", "x:t/1", "a1/x:t/{id}", "upstream_error", digest("")},
			{"completion/complete", "a1__p", "a1/p", "ok", digest(argument)},
			{"completion/complete", "x:t/{id}", "a1/x:t/{id}", "ok", digest(argument)},
		}
		since := len(w.calls(k))
		ask("prompts/get", `"name":"a1__p","arguments":{"a":"secret value"}`)
		ask("resources/read", `"uri":"x:r"`)
		ask("resources/read", `"uri":"x:t/1"`)
		ask("completion/complete", `"ref":{"type":"ref/prompt","name":"a1__p"},"argument":`+argument)
		ask("completion/complete", `"ref":{"type":"ref/resource","uri":"x:t/{id}"},"argument":`+argument)
		var got []row
		w.until("all calls are recorded", func() bool { return len(w.calls(k)) == since+len(want) })
		for _, e := range w.calls(k) {
			if strings.Contains(string(e.Detail), "secret value") || e.KeyID != k.Key.ID || e.Client != "test/1" || e.Decision != "allow" {
				t.Errorf("%s: %+v", era, e)
			}
			got = append(got, row{e.Action, e.Tool, e.Subject, e.Outcome, e.ArgsDigest})
		}
		for _, r := range want {
			if !slices.Contains(got, r) {
				t.Errorf("%s: %+v is not in %+v", era, r, got)
			}
		}
		a := ask("prompts/get", `"name":"a1__no"`)
		ref := reference.FindStringSubmatch(a.body)
		if ref == nil {
			t.Fatalf("%s: %s", era, a.body)
		}
		w.until("the denial is recorded", func() bool {
			found, err := w.svc.AuditEvents(t.Context(), w.op, keys.AuditQuery{Ref: ref[1]})
			must(t, err)
			return len(found) == 1 && found[0].Action == "prompts/get" && found[0].Tool == "a1__no"
		})
	}
}

// calls are the recorded calls of a key.
func (w *world) calls(k keys.Issued) []keys.AuditEntry {
	w.t.Helper()
	list, err := w.svc.AuditEvents(w.t.Context(), w.op, keys.AuditQuery{KeyID: k.Key.ID, Kind: "call", Limit: 200})
	must(w.t, err)
	return list
}
