package mcp_test

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/policy"
)

// jwt is what a client of a JWT sends, as if it were a key: the world knows
// what it says.
func (w *world) jwt(subject string, permissions ...string) keys.Issued {
	w.t.Helper()
	token := "jwt:" + subject + ":" + strings.Join(permissions, ":")
	w.subjects.Store(token, keys.SubjectClaims{Issuer: "https://idp.example", Subject: subject, Tenant: "default",
		Permissions: permissions, ExpiresAt: w.clock.Now().Add(time.Hour)})
	return keys.Issued{Secret: keys.Secret(token)}
}

func (w *world) jwtPolicy(edit func(*keys.PolicyPatch)) {
	w.t.Helper()
	pp := keys.PolicyPatch{MCPActive: keys.Some(true)}
	if edit != nil {
		edit(&pp)
	}
	_, err := w.svc.UpdateTenant(context.Background(), w.op, keys.TenantPatch{JWTPolicy: keys.Some(pp)})
	must(w.t, err)
}

func TestSubjectIsClosedAtFirst(t *testing.T) {
	w := newWorld(t)
	alice := w.jwt("alice", "*")
	if a := w.post("/mcp", initialize, auth(alice)...); a.status != 403 || a.code() != "key_paused" || !strings.Contains(a.body, "jwtPolicy") {
		t.Errorf("%d %s", a.status, a.body)
	}
	w.jwtPolicy(nil)
	w.connect(alice, "/mcp")
	w.jwtPolicy(func(pp *keys.PolicyPatch) { pp.MCPActive = keys.Some(false) })
	if a := w.post("/mcp", initialize, auth(alice)...); a.status != 403 {
		t.Errorf("closed again: %d %s", a.status, a.body)
	}
}

func TestSubjectTools(t *testing.T) {
	w := newWorld(t)
	w.mount("a1", newUpstream(t, tool("read_x", "r"), tool("write_x", "w"), tool("drop_x", "d")))
	w.jwtPolicy(func(pp *keys.PolicyPatch) {
		pp.MCPPreset, pp.MCPPermissions = keys.Some(policy.PresetFullAccess), keys.Some(policy.Only("mcp:tools", "mcp:keys"))
	})
	c := w.connect(w.jwt("alice", "view:api-keys"), "/mcp")
	if got := c.list(); !slices.Equal(got, []string{"a1__drop_x", "a1__read_x", "a1__write_x", "get_api_key", "list_api_keys", "whoami"}) {
		t.Errorf("permissions of the claim, limits of the tenant: %v", got)
	}
	who := into[struct {
		Kind    string
		Key     any
		Subject struct {
			Issuer, Subject string
			Permissions     []string
			MCPPreset       string
			MCPPermissions  []string
		}
	}](c, "whoami", `{}`)
	if who.Kind != "subject" || who.Key != nil || who.Subject.Subject != "alice" || who.Subject.Issuer != "https://idp.example" ||
		!slices.Equal(who.Subject.Permissions, []string{"view:api-keys"}) || who.Subject.MCPPreset != "full_access" || len(who.Subject.MCPPermissions) != 2 {
		t.Errorf("whoami: %+v", who)
	}
	w.jwtPolicy(func(pp *keys.PolicyPatch) { pp.MCPReadOnly = keys.Some(true) })
	if got := c.list(); !slices.Equal(got, []string{"a1__read_x", "get_api_key", "list_api_keys", "whoami"}) {
		t.Errorf("read-only: %v", got)
	}
}

// TestSubjectsAreApart: of two subjects of one issuer, none can use, see or
// end what is the other's, though both have no key.
func TestSubjectsAreApart(t *testing.T) {
	w := newWorld(t)
	w.mount("a1", newUpstream(t, tool("x", "r")))
	w.jwtPolicy(func(pp *keys.PolicyPatch) {
		pp.MCPInstanceIDs, pp.MCPReadOnly = keys.Some(policy.Only()), keys.Some(true)
	})
	alice, bob := w.connect(w.jwt("alice", "view:audit"), "/mcp"), w.connect(w.jwt("bob", "view:audit"), "/mcp")
	stolen := slices.Clone(bob.headers)
	stolen[len(stolen)-1] = alice.headers[len(alice.headers)-1]
	if a := w.post("/mcp", `{"jsonrpc":"2.0","id":1,"method":"ping"}`, stolen...); a.status != 404 {
		t.Errorf("another subject's session: %d %s", a.status, a.body)
	}
	if a := w.do(http.MethodDelete, "/mcp", nil, stolen...); a.status != 404 {
		t.Errorf("ending another subject's session: %d", a.status)
	}
	if a := alice.call("whoami", `{}`); a.status != 200 {
		t.Errorf("its own: %d", a.status)
	}
	// The same subject with a new token goes on.
	renewed := w.connect(w.jwt("alice", "view:audit", "view:projects"), "/mcp")
	renewed.headers[len(renewed.headers)-1] = alice.headers[len(alice.headers)-1]
	if a := renewed.call("whoami", `{}`); a.status != 200 {
		t.Errorf("with another token of the same subject: %d %s", a.status, a.body)
	}
	alice.call("a1__hidden", `{}`)
	type page struct {
		Events []struct{ Actor, Tool, KeyID *string }
	}
	told := func(c *legacy) (n int) {
		for _, e := range into[page](c, "list_audit_events", `{"limit":200}`).Events {
			if e.Tool != nil && *e.Tool == "a1__hidden" && *e.Actor == "jwt:idp.example|alice" && e.KeyID == nil {
				n++
			}
		}
		return n
	}
	w.until("its own denial is told", func() bool { return told(alice) == 1 })
	if n := told(bob); n != 0 {
		t.Errorf("another subject is told of %d", n)
	}
}

func TestSubjectMintsKeys(t *testing.T) {
	w := newWorld(t)
	w.jwtPolicy(nil)
	c := w.connect(w.jwt("alice", "manage:api-keys", "view:audit"), "/mcp")
	made := into[struct {
		ID, CreatedBy string
		ParentKeyID   *string
		ExpiresAt     *time.Time
	}](c, "create_api_key", `{"name":"n","reveal":true}`)
	if made.CreatedBy != "jwt:idp.example|alice" || made.ParentKeyID != nil || made.ExpiresAt == nil {
		t.Errorf("%+v", made)
	}
	c.refused("create_api_key", `{"name":"n","reveal":true,"permissions":["*"]}`, "permissions")
	c.refused("create_api_key", `{"name":"n","reveal":true,"expiresAt":"2999-01-01T00:00:00Z"}`, "expiresAt")
	if got := string(c.result("explain_access", `{"tool":"whoami"}`).Data); !strings.Contains(got, `"decision":"allow"`) || !strings.Contains(got, `"keyId":null`) {
		t.Errorf("explaining one's own: %s", got)
	}
}

func TestSubjectStreamsAndCalls(t *testing.T) {
	ends := map[string]struct {
		do     func(w *world)
		status int
	}{
		"the token expires":   {func(w *world) { w.clock.Advance(time.Hour) }, 401},
		"MCP is closed again": {func(w *world) { w.jwtPolicy(func(pp *keys.PolicyPatch) { pp.MCPActive = keys.Some(false) }) }, 403},
	}
	for name, end := range ends {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			up := newUpstream(t, tool("x", "r"), tool("drop", "d"))
			w.mount("a1", up)
			w.jwtPolicy(nil)
			alice := w.jwt("alice")
			listen, get := w.listen(alice), w.connect(alice, "/mcp")
			get.list()
			open := w.stream(http.MethodGet, "/mcp", "", get.headers...)
			w.jwtPolicy(func(pp *keys.PolicyPatch) { pp.MCPReadOnly = keys.Some(true) })
			for _, e := range []*events{listen, open} {
				if got := e.next(); !strings.Contains(got, "list_changed") {
					t.Errorf("narrowing tells %s", got)
				}
			}
			started, answered := make(chan struct{}), make(chan answer, 1)
			up.on("x", func(c fakeCall) string {
				close(started)
				<-c.done
				return `{"content":[]}`
			})
			go func() { answered <- get.call("a1__x", `{}`) }()
			<-started
			end.do(w)
			listen.cut()
			open.cut()
			if a := <-answered; a.status != end.status {
				t.Errorf("the running call: %d %s", a.status, a.body)
			}
		})
	}
}
