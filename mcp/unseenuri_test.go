package mcp_test

import (
	"strings"
	"testing"
	"time"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/mcp"
	"github.com/bailiwick-mcp/bailiwick/policy"
)

// TestDeniedURIWaitsLikeUnknown: while an instance that the key reaches has not
// shown what it has, a uri that is denied waits for it as one does that is not
// there, for it may be had there, and by the wait nobody is to tell the two apart.
func TestDeniedURIWaitsLikeUnknown(t *testing.T) {
	w := newWorld(t, func(c *mcp.Config) { c.ListWait = time.Hour })
	w.mount("a1", newUpstream(t).with(others{resources: []string{resource("x:no"), resource("x:both")}, templates: []string{template("x:no/{id}")}}))
	up := newUpstream(t).with(others{resources: []string{resource("x:both")}})
	release := make(chan struct{})
	up.hold(release)
	_, err := w.svc.CreateInstance(t.Context(), w.op, keys.InstanceSpec{Slug: keys.Some("b2"),
		Transport: keys.Some(keys.TransportHTTP), URL: keys.Some(up.server.URL)})
	must(t, err)
	w.until("the instance is mounted", func() bool { state, _ := w.gw.InstanceStatus(w.instance("b2").ID); return state != "" })
	k := w.key(func(n *keys.NewKey) {
		n.MCPAllowlistMode, n.MCPToolAllowlist = keys.Some(policy.ModeDeny), keys.Some([]string{"a1/*", "b2/x:no*"})
	})
	complete := func(text string) string {
		return `"ref":{"type":"ref/resource","uri":` + quoted(text) + `},"argument":{"name":"id","value":""}`
	}
	before, got := w.authenticated.Load(), map[string]chan answer{}
	ask := func(method, name, params string) {
		c := make(chan answer, 1)
		got[name] = c
		go func() { c <- w.modern(k, "/mcp", method, params) }()
	}
	for _, uri := range []string{"x:no", "x:no/1", "x:nope", "x:both"} {
		ask("resources/read", uri, `"uri":`+quoted(uri))
	}
	ask("completion/complete", "x:no/{id}", complete("x:no/{id}"))
	ask("completion/complete", "x:nope/{id}", complete("x:nope/{id}"))
	w.until("the requests have come", func() bool { return w.authenticated.Load() == before+int64(len(got)) })
	time.Sleep(100 * time.Millisecond)
	for name, c := range got {
		if len(c) > 0 {
			t.Errorf("%s was answered at once", name)
		}
	}
	close(release)
	for name, c := range got {
		if a := <-c; strings.Contains(a.body, `"contents"`) != (name == "x:both") {
			t.Errorf("%s: %s", name, a.body)
		}
	}
}
