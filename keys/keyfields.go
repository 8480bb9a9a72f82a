package keys

import (
	"context"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/bailiwick-mcp/bailiwick/policy"
)

const (
	maxName        = 200
	maxDescription = 2000
	maxTags        = 32
	maxTag         = 64
	maxHandle      = 64
	maxReason      = 500
	maxPermissions = 100  // distinct ones, of which there are fewer
	maxIDs         = 1000 // in mcpProjectIds and in mcpInstanceIds
)

const sourceMCP = "mcp"

var keySources = []string{"dashboard", "api", "cli", "agent", sourceMCP}

// applyTo overlays the MCP fields that are there; null is what d has.
func (pp *PolicyPatch) applyTo(p *policy.Policy, d policy.Policy) {
	patch(&p.Active, pp.MCPActive, d.Active)
	patch(&p.ReadOnly, pp.MCPReadOnly, d.ReadOnly)
	patch(&p.Preset, pp.MCPPreset, d.Preset)
	patch(&p.Permissions, pp.MCPPermissions, policy.Unlimited())
	patch(&p.AllowlistMode, pp.MCPAllowlistMode, d.AllowlistMode)
	patch(&p.ToolAllowlist, pp.MCPToolAllowlist, d.ToolAllowlist)
	patch(&p.ProjectIDs, pp.MCPProjectIDs, policy.Unlimited())
	patch(&p.InstanceIDs, pp.MCPInstanceIDs, policy.Unlimited())
	patch(&p.ArgumentRules, pp.MCPArgumentRules, d.ArgumentRules)
	patch(&p.Approvals, pp.MCPApprovals, d.Approvals)
	patch(&p.Limits, pp.MCPLimits, d.Limits)
	*p = p.Canonical()
}

// applyShadow puts a draft policy on the key, whose own is already patched.
func (k *Key) applyShadow(o ShadowPatch) {
	switch {
	case o.Set && o.Null:
		k.Shadow = nil
	case o.Set:
		draft := k.Policy
		o.Value.applyTo(&draft, policy.Default())
		k.Shadow = &draft
	}
}

// open names the MCP fields that the request left out.
func (pp *PolicyPatch) open() []string {
	var out []string
	for field, set := range map[string]bool{
		"mcpActive": pp.MCPActive.Set, "mcpReadOnly": pp.MCPReadOnly.Set,
		"mcpPreset": pp.MCPPreset.Set, "mcpPermissions": pp.MCPPermissions.Set,
		"mcpAllowlistMode": pp.MCPAllowlistMode.Set, "mcpToolAllowlist": pp.MCPToolAllowlist.Set,
		"mcpProjectIds": pp.MCPProjectIDs.Set, "mcpInstanceIds": pp.MCPInstanceIDs.Set,
		"mcpArgumentRules": pp.MCPArgumentRules.Set, "mcpApprovals": pp.MCPApprovals.Set, "mcpLimits": pp.MCPLimits.Set,
	} {
		if !set {
			out = append(out, field)
		}
	}
	return out
}

// checks hold what is to be written, or might be, against what is there.
type checks struct{ Reader }

// checkKey lists what is wrong with a key as it is to be written; was is the
// key that it replaces, the zero Key for a new one.
func (e checks) checkKey(ctx context.Context, f *faults, k, was *Key) error {
	f.text("name", k.Name, 1, maxName)
	f.text("description", k.Description, 0, maxDescription)
	f.text("deviceName", k.DeviceName, 0, maxName)
	checkTags(f, k.Tags)
	checkPermissions(f, k)
	if err := e.checkPolicy(ctx, f, k.TenantID, &k.Policy, &was.Policy); err != nil || k.Shadow == nil {
		return err
	}
	had := was.Shadow
	if had == nil {
		had = &was.Policy
	}
	var draft faults
	err := e.checkPolicy(ctx, &draft, k.TenantID, k.Shadow, had)
	for _, problem := range draft {
		*f = append(*f, policy.Problem{Field: "mcpShadow." + problem.Field, Problem: problem.Problem})
	}
	return err
}

// checkPolicy lists what is wrong with a policy as it is to be written in place
// of was.
func (e checks) checkPolicy(ctx context.Context, f *faults, tenantID string, p, was *policy.Policy) error {
	presets, err := e.Presets(ctx, tenantID)
	if err != nil {
		return err
	}
	known := make(map[string]policy.Preset, len(presets))
	for _, preset := range presets {
		known[preset.Name] = preset.Preset
	}
	for _, pattern := range p.ToolAllowlist {
		if len(pattern) <= policy.MaxPatternLength && holdsToken(pattern) && !slices.Contains(was.ToolAllowlist, pattern) {
			f.add("mcpToolAllowlist", hasToken)
			break
		}
	}
	tokensInRules(f, p, was)
	*f = append(*f, p.Validate(known)...)
	err = e.checkIDs(f, "mcpProjectIds", "project", p.ProjectIDs, was.ProjectIDs, func(id string) error {
		_, err := e.Project(ctx, tenantID, id)
		return err
	})
	if err != nil {
		return err
	}
	return e.checkIDs(f, "mcpInstanceIds", "instance", p.InstanceIDs, was.InstanceIDs, func(id string) error {
		_, err := e.Instance(ctx, tenantID, id)
		return err
	})
}

// checkIDs takes an id that is already on the key again: what it named may
// have been deleted, and the list must stay a list.
func (e checks) checkIDs(f *faults, field, noun string, ids, had policy.Limit, find func(string) error) error {
	old := had.Values()
	if n := len(ids.Values()); n > maxIDs {
		f.add(field, "has more than %d entries", maxIDs)
		return nil
	}
	for _, id := range ids.Values() {
		if slices.Contains(old, id) {
			continue
		}
		if err := find(id); isNotFound(err) {
			f.add(field, "no such %s: %q", noun, clip(id))
		} else if err != nil {
			return err
		}
	}
	return nil
}

// tokensInRules refuses new rules that hold a token.
func tokensInRules(f *faults, p, was *policy.Policy) {
	check := func(field string, known bool, texts ...string) {
		for _, text := range texts {
			if !known && len(text) <= 4*policy.MaxPatternLength && holdsToken(text) {
				f.add(field, hasToken)
				return
			}
		}
	}
	for _, r := range p.ArgumentRules {
		known := slices.ContainsFunc(was.ArgumentRules, func(o policy.ArgumentRule) bool { return reflect.DeepEqual(o, r) })
		check("mcpArgumentRules", known, append([]string{r.Tool, r.Pointer}, r.Allow...)...)
	}
	for _, r := range p.Approvals {
		check("mcpApprovals", slices.Contains(was.Approvals, r), r.Tool)
	}
	for _, r := range p.Limits {
		check("mcpLimits", slices.Contains(was.Limits, r), r.Tool, string(r.Per))
	}
}

// checkConfinement lists what is wrong with a new key's scope and project.
func (e checks) checkConfinement(ctx context.Context, f *faults, k *Key) error {
	if !k.Scope.Known() {
		f.add("scope", "unknown scope %q: use api, mcp_only or full", clip(string(k.Scope)))
	}
	if k.ProjectID == "" {
		return nil
	}
	_, err := e.Project(ctx, k.TenantID, k.ProjectID)
	if isNotFound(err) {
		f.add("projectId", "no such project: %q", clip(k.ProjectID))
		return nil
	}
	return err
}

func checkTags(f *faults, tags []string) {
	if len(tags) > maxTags {
		f.add("tags", "has more than %d entries", maxTags)
		return
	}
	for _, tag := range tags {
		f.text("tags", tag, 1, maxTag)
	}
}

// checkPermissions also holds a key that is confined to a project to
// permissions that mean something within one.
func checkPermissions(f *faults, k *Key) {
	if len(k.Permissions) > maxPermissions {
		f.add("permissions", "has more than %d entries", maxPermissions)
		return
	}
	for _, permission := range k.Permissions {
		if _, err := policy.ParsePermission(permission); err != nil {
			f.add("permissions", "unknown permission %q: use * or view: or manage: with a resource", clip(permission))
			continue
		}
		_, resource, _ := strings.Cut(permission, ":")
		if k.ProjectID != "" && resource != "projects" && resource != "instances" {
			f.add("permissions", "%s can't stand on a key with a projectId: only permissions on projects and instances can", permission)
		}
	}
}

func checkHandle(f *faults, handle string) {
	bad := func(r rune) bool { return r > '~' || !isAlphanumeric(byte(r)) && !strings.ContainsRune("._-", r) }
	if holdsToken(handle) {
		f.add("handle", hasToken)
	}
	if handle == "" || len(handle) > maxHandle || handle == "." || handle == ".." || strings.ContainsFunc(handle, bad) {
		f.add("handle", "must be 1 to %d of letters, digits, '.', '_' and '-', and not . or ..", maxHandle)
	}
}

// freeHandle derives a handle of the name: across-shapes, across-shapes-2, ...
func (e *edit) freeHandle(ctx context.Context, tenantID, name string) (string, error) {
	base := slugOf(name, "key", maxHandle-5, "._")
	for n := 1; ; n++ {
		handle := base
		switch {
		case n > 20: // a name that many keys bear: stop counting
			suffix, err := randomBase62(e.svc.cfg.Rand, 4)
			if err != nil {
				return "", err
			}
			handle += "-" + strings.ToLower(suffix)
		case n > 1:
			handle += fmt.Sprintf("-%d", n)
		}
		_, err := e.KeyByHandle(ctx, tenantID, handle)
		if isNotFound(err) {
			return handle, nil
		}
		if err != nil {
			return "", err
		}
	}
}

// fields are the key's settings for the audit trail.
func (k *Key) fields() fields {
	var expires any
	if k.ExpiresAt != nil {
		expires = k.ExpiresAt.UTC().Format(time.RFC3339Nano)
	}
	all := policyFields(&k.Policy)
	maps.Copy(all, fields{
		"name": k.Name, "handle": k.Handle, "description": k.Description, "tags": nonNil(k.Tags),
		"prefix": k.Prefix, "scope": string(k.Scope), "permissions": nonNil(k.Permissions), "enabled": k.Enabled,
		"projectId": k.ProjectID, "parentKeyId": k.ParentKeyID, "source": k.Source, "deviceName": k.DeviceName,
		"expiresAt": expires, "revoked": k.RevokedAt != nil, "revokeReason": k.RevokeReason,
	})
	all["mcpShadow"] = nil
	if k.Shadow != nil {
		all["mcpShadow"] = policyFields(k.Shadow)
	}
	return all
}

func policyFields(p *policy.Policy) fields {
	return fields{
		"mcpActive": p.Active, "mcpReadOnly": p.ReadOnly, "mcpPreset": p.Preset,
		"mcpPermissions": limitField(p.Permissions), "mcpAllowlistMode": string(p.AllowlistMode),
		"mcpToolAllowlist": nonNil(p.ToolAllowlist),
		"mcpProjectIds":    limitField(p.ProjectIDs), "mcpInstanceIds": limitField(p.InstanceIDs),
		"mcpArgumentRules": nonNil(p.ArgumentRules), "mcpApprovals": nonNil(p.Approvals), "mcpLimits": nonNil(p.Limits),
	}
}

func limitField(l policy.Limit) any {
	if l.IsUnlimited() {
		return nil
	}
	return nonNil(l.Values())
}

func nonNil[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

func clip(s string) string {
	s = WithoutToken(s) // before it is cut: a part of a token would not be known as one
	if r := []rune(s); len(r) > 64 {
		return string(r[:64]) + "…"
	}
	return s
}
