package mcp_test

import (
	"net/http"
	"testing"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/policy"
)

// TestUnseenInstancePath: the path of an instance whose tools nobody has seen
// answers like that of an unknown one, unless the key may have a tool there.
func TestUnseenInstancePath(t *testing.T) {
	w := newWorld(t)
	up := newUpstream(t)
	up.hold(make(chan struct{}))
	i, err := w.svc.CreateInstance(t.Context(), w.op, keys.InstanceSpec{Slug: keys.Some("secret-down"),
		Transport: keys.Some(keys.TransportHTTP), URL: keys.Some(up.server.URL),
		WriteEnabled: keys.Some(true), Tools: keys.Some([]keys.ToolRule{
			{Match: "look_*", Effect: policy.EffectRead}, {Match: "ops_*", Category: "ops"}})})
	must(t, err)
	w.until("the instance is mounted", func() bool { s, _ := w.gw.InstanceStatus(i.ID); return s != "" })
	allow := func(list ...string) func(*keys.NewKey) {
		return func(n *keys.NewKey) {
			n.MCPAllowlistMode, n.MCPToolAllowlist = keys.Some(policy.ModeAllow), keys.Some(list)
		}
	}
	readOnly := func(n *keys.NewKey) { n.MCPReadOnly = keys.Some(true) }
	for name, c := range map[string]struct {
		knows bool
		edits []func(*keys.NewKey)
	}{
		"everything":         {true, nil},
		"its ids":            {true, []func(*keys.NewKey){allow("secret-down/*")}},
		"its names":          {true, []func(*keys.NewKey){allow("secret-down__x")}},
		"a name anywhere":    {true, []func(*keys.NewKey){allow("x")}},
		"a category it has":  {true, []func(*keys.NewKey){allow("@ops")}},
		"another's ids":      {false, []func(*keys.NewKey){allow("a/*")}},
		"another's names":    {false, []func(*keys.NewKey){allow("a__*")}},
		"no such category":   {false, []func(*keys.NewKey){allow("@other")}},
		"nothing":            {false, []func(*keys.NewKey){allow()}},
		"what it may read":   {true, []func(*keys.NewKey){readOnly}},
		"no read known":      {false, []func(*keys.NewKey){readOnly, allow("other_x")}},
		"no instance":        {false, []func(*keys.NewKey){func(n *keys.NewKey) { n.MCPInstanceIDs = keys.Some(policy.Only()) }}},
		"denied whole":       {false, []func(*keys.NewKey){allow("secret-down/*"), func(n *keys.NewKey) { n.MCPAllowlistMode = keys.Some(policy.ModeDeny) }}},
		"only the built-ins": {false, []func(*keys.NewKey){func(n *keys.NewKey) { n.MCPPermissions = keys.Some(policy.Only("mcp:keys")) }}},
	} {
		k := w.key(c.edits...)
		got, unknown := w.post("/mcp/secret-down", initialize, auth(k)...), w.post("/mcp/nope", initialize, auth(k)...)
		if unknown.status != http.StatusNotFound {
			t.Errorf("%s: an unknown instance: %d", name, unknown.status)
		}
		if knows := got.status == http.StatusOK; knows != c.knows || !knows && (got.status != unknown.status || got.body != unknown.body) {
			t.Errorf("%s: %d %s", name, got.status, got.body)
		}
	}
}
