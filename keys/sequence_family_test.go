package keys_test

import (
	"errors"
	"slices"
	"time"

	"pgregory.net/rapid"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/policy"
)

// builtins are in every catalog.
var builtins = []*policy.Tool{
	{ID: "bailiwick/list_api_keys", Name: "list_api_keys", Category: "keys", Effect: policy.EffectRead, Permission: "view:api-keys"},
	{ID: "bailiwick/rotate_api_key", Name: "rotate_api_key", Category: "keys", Effect: policy.EffectDestructive, Permission: "manage:api-keys"},
	{ID: "bailiwick/list_audit_events", Name: "list_audit_events", Category: "audit", Effect: policy.EffectRead, Permission: "view:audit"},
}

// meanwhile is what those in whose hands the keys are do not do.
func (w *world) meanwhile(action string) {
	switch action {
	case "wait":
		w.clock.Advance(time.Duration(rapid.IntRange(1, 45).Draw(w.r, "minutes")) * time.Minute)
		w.did[action]++
	case "operator":
		patch := w.drawPatch()
		if w.flip("as it was made") {
			patch = keys.KeyPatch{Permissions: keys.Some(w.first.Permissions), Enabled: keys.Some(true), PolicyPatch: samePolicy(w.first.Policy)}
		}
		w.operatorEdits(w.first.ID, patch)
	case "operator's child":
		// Widened or narrowed, it is met with what is above. A key that has no
		// parent is its maker's no more when the operator widens it.
		children := slices.DeleteFunc(w.standing(), func(k keys.Key) bool { return k.ParentKeyID == "" || w.held[k.ID] == "" })
		if len(children) > 0 {
			w.operatorEdits(rapid.SampledFrom(children).Draw(w.r, "child").ID, w.drawPatch())
		}
	}
}

func (w *world) operatorEdits(id string, patch keys.KeyPatch) {
	key, err := w.svc.UpdateKey(w.ctx, w.op, id, patch)
	if isInvalid(err) || isConflict(err) {
		return // an unknown preset; revoked
	}
	if id == w.first.ID && err == nil && w.limitsOf(key).Unrestricted() { // which may widen anything
		key, err = w.svc.UpdateKey(w.ctx, w.op, id, keys.KeyPatch{PolicyPatch: keys.PolicyPatch{MCPReadOnly: keys.Some(true)}})
	}
	if err != nil {
		w.r.Fatal(err)
	}
	if id == w.first.ID {
		w.starts = append(w.starts, w.limitsOf(key))
		w.did["operator"]++
		return
	}
	w.did["operator's child"]++
}

func samePolicy(from policy.Policy) keys.PolicyPatch {
	return keys.PolicyPatch{
		MCPActive: keys.Some(from.Active), MCPReadOnly: keys.Some(from.ReadOnly), MCPPreset: keys.Some(from.Preset),
		MCPPermissions: keys.Some(from.Permissions), MCPAllowlistMode: keys.Some(from.AllowlistMode),
		MCPToolAllowlist: keys.Some(from.ToolAllowlist), MCPProjectIDs: keys.Some(from.ProjectIDs), MCPInstanceIDs: keys.Some(from.InstanceIDs),
		MCPArgumentRules: keys.Some(from.ArgumentRules), MCPApprovals: keys.Some(from.Approvals), MCPLimits: keys.Some(from.Limits),
	}
}

// create makes a key, and holds a child of which no end was said to its hour.
func (w *world) create(p keys.Principal, n keys.NewKey) error {
	issued, err := w.svc.CreateKey(w.ctx, p, n)
	if err != nil {
		return err
	}
	w.got(p, issued)
	ends := issued.Key.ExpiresAt
	if n.ParentKeyID != "" && n.ExpiresAt == nil && (ends == nil || ends.After(w.clock.Now().Add(keys.ChildTTL))) {
		w.r.Fatalf("a child ends %v", ends)
	}
	return nil
}

// got takes a key, and holds it to what its maker, and the keys above that, can
// just now: an api key may hand on what its scope closes to itself.
func (w *world) got(p keys.Principal, issued keys.Issued) {
	w.held[issued.Key.ID] = issued.Secret
	made, err := w.svc.Authenticate(w.ctx, issued.Secret)
	if errors.Is(err, keys.ErrBadCredential) {
		return // disabled
	}
	if err != nil {
		w.r.Fatal(err)
	}
	all, tools, now := w.standing(), w.tools(), w.clock.Now()
	for _, id := range p.Chain() {
		k := all[slices.IndexFunc(all, func(k keys.Key) bool { return k.ID == id })]
		limits := w.limitsOf(k)
		for _, tool := range tools {
			for _, c := range calls {
				if c.passes(made.Grant(), tool, now) && !c.passes(limits, tool, now) {
					w.r.Fatalf("%+v came to %+v, and may call %+v as %+v: %v", issued.Key, k, tool, c, limits.Decide(nil, tool, now).Failed())
				}
			}
		}
		for _, permission := range policy.KnownPermissions() {
			if made.Can(permission, now) && !limits.Can(permission) {
				w.r.Fatalf("%+v came to %+v, and can %s", issued.Key, k, permission)
			}
		}
	}
}

// standing are the tenant's keys, revoked ones too.
func (w *world) standing() []keys.Key {
	all, _, err := w.svc.Keys(w.ctx, w.op, keys.KeyQuery{IncludeRevoked: true})
	if err != nil {
		w.r.Fatal(err)
	}
	return all
}

// above are the keys above one that works, each by itself as it stands.
func (w *world) above(all []keys.Key, id string) (out []*policy.Grant) {
	presets := w.presets()
	for {
		i := slices.IndexFunc(all, func(k keys.Key) bool { return k.ID == id })
		if i < 0 {
			w.r.Fatalf("no key %s", id)
		}
		k := all[i]
		if !k.Enabled || !k.Live(w.clock.Now()) {
			w.r.Fatalf("a key works, and %+v of its chain does not", k)
		}
		out = append(out, policy.Compile(policy.Subject{
			Revoked: k.RevokedAt != nil, Enabled: k.Enabled, ExpiresAt: k.ExpiresAt, TenantMCPEnabled: true,
			Scope: k.Scope, Permissions: k.Permissions, ProjectID: k.ProjectID, Policy: k.Policy, Presets: presets,
		}))
		if id = k.ParentKeyID; id == "" {
			return out
		}
	}
}

func (w *world) presets() map[string]policy.Preset {
	all, err := w.svc.Presets(w.ctx, w.op)
	if err != nil {
		w.r.Fatal(err)
	}
	out := map[string]policy.Preset{}
	for _, p := range all {
		out[p.Name] = p.Preset
	}
	return out
}

func anyOf(grants []*policy.Grant, is func(*policy.Grant) bool) bool {
	return slices.ContainsFunc(grants, is)
}
