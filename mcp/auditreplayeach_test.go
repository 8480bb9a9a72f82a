package mcp_test

import (
	"slices"
	"testing"
	"time"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/policy"
)

// TestReplayOfEachReason: what each rule denies comes out the same, and the trail
// has a denial by each of them to tell it by.
func TestReplayOfEachReason(t *testing.T) {
	w := newWorld(t)
	up := newUpstream(t, tool("r", "r"), tool("w", "w")).with(others{templates: []string{template("x:t/{id}")}})
	up.onAny(func(fakeCall) string { return `{}` })
	locked := func(s *keys.InstanceSpec) { s.WriteEnabled = keys.Some(false) }
	w.mount("a1", up, func(s *keys.InstanceSpec) {
		s.Tools = keys.Some([]keys.ToolRule{{Match: "x:t*2", Category: "own"}})
	})
	w.mount("b2", newUpstream(t, tool("w", "w")), locked)
	ctx := t.Context()
	other, err := w.svc.CreateProject(ctx, w.op, keys.NewProject{Slug: "other", Name: "Other"})
	must(t, err)
	call := func(k keys.Issued, name string, path ...string) {
		w.modern(k, append(path, "/mcp")[0], "tools/call", `"name":`+quoted(name)+`,"arguments":{}`)
	}
	k := w.key()
	call(k, "a1__w")
	call(k, "a1__nope")
	call(k, "b2__w")
	call(k, "a1__w", "/mcp?readonly=true")
	call(w.key(func(n *keys.NewKey) { n.MCPReadOnly = keys.Some(true) }), "a1__w")
	call(w.key(func(n *keys.NewKey) { n.MCPPreset = keys.Some(policy.PresetReadOnly) }), "a1__w")
	call(w.key(func(n *keys.NewKey) { n.MCPInstanceIDs = keys.Some(policy.Only()) }), "a1__w")
	call(w.key(func(n *keys.NewKey) { n.MCPProjectIDs = keys.Some(policy.Only(other.ID)) }), "a1__w")
	call(w.key(func(n *keys.NewKey) { n.Permissions = keys.Some([]string{}) }), "list_projects")
	call(w.key(func(n *keys.NewKey) { n.Scope = keys.Some(policy.ScopeAPI) }), "a1__w")
	call(w.key(func(n *keys.NewKey) { n.MCPActive = keys.Some(false) }), "a1__w")
	call(w.key(func(n *keys.NewKey) {
		n.MCPAllowlistMode, n.MCPToolAllowlist = keys.Some(policy.ModeDeny), keys.Some([]string{"b2/*"})
	}), "b2__w")
	// A uri that a template allows is decided by itself, and is of another class.
	ordinary := w.key(func(n *keys.NewKey) { n.MCPPermissions = keys.Some(policy.Only("mcp:tools")) })
	for _, uri := range []string{"x:t/1", "x:t/2", "x:t/%32"} {
		w.modern(ordinary, "/mcp", "resources/read", `"uri":`+quoted(uri))
	}
	_, err = w.svc.UpdateTenant(ctx, w.op, keys.TenantPatch{MCPEnabled: keys.Some(false)})
	must(t, err)
	call(k, "a1__w")
	_, err = w.svc.UpdateTenant(ctx, w.op, keys.TenantPatch{MCPEnabled: keys.Some(true)})
	must(t, err)
	up.setTools(tool("r", "w"), tool("w", "w"))
	w.until("a call of the tool in quarantine is in the trail", func() bool {
		call(k, "a1__r")
		list, err := w.svc.AuditEvents(ctx, w.op, keys.AuditQuery{Limit: 100})
		return err == nil && slices.ContainsFunc(list, func(e keys.AuditEntry) bool {
			return slices.Contains(e.Failed, policy.RuleQuarantined.String())
		})
	})
	w.replayedAll(map[policy.Rule]bool{policy.RuleUnknown: true, policy.RuleInstanceWrite: true, policy.RuleNarrowed: true,
		policy.RuleReadOnly: true, policy.RulePreset: true, policy.RuleInstance: true, policy.RuleProject: true,
		policy.RulePermission: true, policy.RuleScope: true, policy.RulePaused: true, policy.RuleAllowlist: true,
		policy.RuleTenantMCP: true, policy.RuleQuarantined: true, policy.RuleNone: true})
}

// replayedAll replays, and holds the trail to having decisions for each reason.
func (w *world) replayedAll(want map[policy.Rule]bool) {
	w.t.Helper()
	if got := w.replayed(); got.Different != 0 || len(got.Skipped) != 0 {
		w.t.Errorf("%+v", got)
	}
	list, err := w.svc.AuditEvents(w.t.Context(), w.op, keys.AuditQuery{Limit: 1000})
	must(w.t, err)
	for rule := range want {
		if !slices.ContainsFunc(list, func(e keys.AuditEntry) bool {
			return rule == policy.RuleNone && e.Decision == "allow" && e.Seen != "" || slices.Contains(e.Failed, rule.String())
		}) {
			w.t.Errorf("nothing of %q is in the trail", rule)
		}
	}
}

// TestReplayOfALongCall: a call is decided as it began, whatever is edited and how
// late its entry is written.
func TestReplayOfALongCall(t *testing.T) {
	w := newWorld(t)
	up := newUpstream(t, tool("slow", "r"))
	w.mount("a1", up)
	begun, release := make(chan struct{}), make(chan struct{})
	up.on("slow", func(fakeCall) string {
		close(begun)
		<-release
		return `{"content":[]}`
	})
	at := w.clock.Now().Add(time.Hour)
	k := w.key(func(n *keys.NewKey) { n.ExpiresAt = &at })
	done := make(chan struct{})
	go func() {
		defer close(done)
		w.modern(k, "/mcp", "tools/call", `"name":"a1__slow","arguments":{}`)
	}()
	<-begun
	_, err := w.svc.UpdateKey(t.Context(), w.op, k.Key.ID, keys.KeyPatch{PolicyPatch: keys.PolicyPatch{
		MCPAllowlistMode: keys.Some(policy.ModeAllow), MCPToolAllowlist: keys.Some([]string{})}})
	must(t, err)
	w.clock.Advance(2 * time.Hour)
	close(release)
	<-done
	w.until("the call is recorded", func() bool {
		list, err := w.svc.AuditEvents(t.Context(), w.op, keys.AuditQuery{KeyID: k.Key.ID, Kind: "call"})
		return err == nil && len(list) == 1
	})
	if got := w.replayed(); got.Same != 1 || got.Different != 0 {
		t.Errorf("%+v", got)
	}
}
