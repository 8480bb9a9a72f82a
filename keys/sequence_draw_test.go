package keys_test

import (
	"time"

	"pgregory.net/rapid"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/policy"
)

func (w *world) flip(what string) bool { return rapid.Bool().Draw(w.r, what) }

// maybe leaves a field out in half of the draws.
func maybe[T any](w *world, what string, values ...T) keys.Opt[T] {
	if w.flip(what + " given") {
		return keys.Some(rapid.SampledFrom(values).Draw(w.r, what))
	}
	return keys.Opt[T]{}
}

func (w *world) drawKey() keys.NewKey {
	in := w.clock.Now().Add(time.Hour)
	n := keys.NewKey{
		Name:        "k",
		Scope:       maybe(w, "scope", policy.ScopeFull, policy.ScopeMCPOnly, policy.ScopeAPI),
		Permissions: maybe(w, "permissions", []string{"manage:api-keys"}, []string{"*"}, []string{"manage:instances", "manage:api-keys"}, []string{}),
		Enabled:     maybe(w, "enabled", true, true, false),
		PolicyPatch: keys.PolicyPatch{
			MCPActive:        maybe(w, "active", true, true, false),
			MCPReadOnly:      maybe(w, "readOnly", false, true),
			MCPPreset:        maybe(w, "preset", policy.PresetFullAccess, policy.PresetStandard, policy.PresetReadOnly, policy.PresetCustom, "x", "y"),
			MCPPermissions:   maybe(w, "mcpPermissions", policy.Unlimited(), policy.Only("mcp:*"), policy.Only("mcp:tools"), policy.Only()),
			MCPAllowlistMode: maybe(w, "mode", policy.ModeAll, policy.ModeAllow, policy.ModeDeny),
			MCPToolAllowlist: maybe(w, "list", []string{"*"}, []string{"read"}, []string{"p1-i0/*"}, []string{"drop", "p2-*"}, []string{}),
			MCPProjectIDs:    maybe(w, "projects", policy.Unlimited(), policy.Only(w.projectID("p1")), policy.Only()),
			MCPInstanceIDs:   w.drawInstances(),
		},
	}
	w.drawRules(&n.PolicyPatch)
	if w.flip("expires") {
		n.ExpiresAt = &in
	}
	return n
}

// drawKeyOf is in half of the draws as its maker, but for one permission and the
// rules for calls: else most are refused.
func (w *world) drawKeyOf(p keys.Principal) keys.NewKey {
	n := w.drawKey()
	if w.flip("as its maker") {
		n = keys.NewKey{Name: "k", Permissions: keys.Some([]string{"manage:api-keys"}), PolicyPatch: samePolicy(p.Key().Policy)}
		w.drawRules(&n.PolicyPatch)
	}
	return n
}

// drawRules sets any of the rules for calls.
func (w *world) drawRules(to *keys.PolicyPatch) {
	patch(&to.MCPArgumentRules, maybe(w, "argument rules", nil, []policy.ArgumentRule{{Tool: "*", Pointer: "/repo", Allow: []string{"acme/*"}}},
		[]policy.ArgumentRule{{Tool: "*", Pointer: "/repo", Allow: []string{"acme/web", "other"}}}))
	patch(&to.MCPApprovals, maybe(w, "approvals", nil, []policy.ApprovalRule{{Tool: "*", Effect: policy.EffectWrite}},
		[]policy.ApprovalRule{{Tool: "*"}}, []policy.ApprovalRule{{Tool: "read"}, {Tool: "p2-*", Effect: policy.EffectDestructive}}))
	patch(&to.MCPLimits, maybe(w, "limits", nil, []policy.RateLimit{{Tool: "*", Requests: 4, Per: policy.PerMinute}},
		[]policy.RateLimit{{Tool: "*", Requests: 2, Per: policy.PerMinute}}, []policy.RateLimit{{Tool: "*", Requests: 1, Per: policy.PerMinute}},
		[]policy.RateLimit{{Tool: "p1-i0/*", Requests: 4, Per: policy.PerHour}}))
}

func patch[T any](to *keys.Opt[T], drawn keys.Opt[T]) {
	if drawn.Set {
		*to = drawn
	}
}

func (w *world) drawInstances() keys.Opt[policy.Limit] {
	if !w.flip("instances given") {
		return keys.Opt[policy.Limit]{}
	}
	all, err := w.svc.Mounts(w.ctx)
	if err != nil {
		w.r.Fatal(err)
	}
	limits := []policy.Limit{policy.Unlimited(), policy.Only()}
	for _, i := range all {
		limits = append(limits, policy.Only(i.ID))
	}
	return keys.Some(rapid.SampledFrom(limits).Draw(w.r, "instances"))
}

// drawPatch changes any field that can be changed.
func (w *world) drawPatch() keys.KeyPatch {
	n := w.drawKey()
	return keys.KeyPatch{Permissions: n.Permissions, PolicyPatch: n.PolicyPatch, Enabled: n.Enabled}
}

func (w *world) drawPreset() keys.NewPreset {
	return keys.NewPreset{
		Name:        rapid.SampledFrom([]string{"x", "y", "z"}).Draw(w.r, "preset"),
		Permissions: rapid.SampledFrom([][]string{{"mcp:*"}, {"mcp:tools"}, {}}).Draw(w.r, "categories"),
		MaxEffect:   rapid.SampledFrom([]policy.Effect{policy.EffectRead, policy.EffectWrite, policy.EffectDestructive}).Draw(w.r, "effect"),
	}
}
