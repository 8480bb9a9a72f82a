package policy_test

import (
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/bailiwick-mcp/bailiwick/policy"
)

// naive is the decision read off the design's tables, slowly and without any of
// the evaluator's parts. It answers the names of the failing rules, in order.
type naive struct {
	layers  []policy.Subject // own first
	session []policy.Narrowing
}

var ruleOrder = []string{
	"key.revoked", "key.expired", "key.disabled", "tenant.mcp_disabled", "key.scope", "key.paused",
	"tool.unknown", "tool.quarantined", "permission.missing", "preset.excluded", "readonly", "allowlist",
	"instance.not_allowed", "instance.write_disabled", "project.not_allowed", "session.narrowed",
}

func (n naive) decide(t *policy.Tool, now time.Time) []string {
	failed := map[string]bool{}
	if len(n.layers) == 0 {
		return []string{"tool.unknown"}
	}
	for _, s := range n.layers {
		for rule, bad := range map[string]bool{
			"key.revoked":         s.Revoked,
			"key.expired":         s.ExpiresAt != nil && (now.Equal(*s.ExpiresAt) || now.After(*s.ExpiresAt)),
			"key.disabled":        !s.Enabled,
			"tenant.mcp_disabled": !s.TenantMCPEnabled,
			"key.scope":           s.Scope != "full" && s.Scope != "mcp_only",
			"key.paused":          !s.Policy.Active,
		} {
			failed[rule] = failed[rule] || bad
		}
	}
	if t == nil || !naiveID.MatchString(t.ID) {
		failed["tool.unknown"] = true
		return naiveOrder(failed)
	}
	if t.ID != "bailiwick/whoami" {
		failed["tool.quarantined"] = t.Quarantined
		for _, s := range n.layers {
			for rule, bad := range naiveTool(s, t) {
				failed[rule] = failed[rule] || bad
			}
		}
	}
	for _, s := range n.session {
		failed["session.narrowed"] = failed["session.narrowed"] || !naiveSession(s, t)
	}
	return naiveOrder(failed)
}

var naiveID = regexp.MustCompile(`(?s)^[^/]+/.+$`)

func naiveOrder(failed map[string]bool) []string {
	out := []string{}
	for _, r := range ruleOrder {
		if failed[r] {
			out = append(out, r)
		}
	}
	return out
}

func naiveTool(s policy.Subject, t *policy.Tool) map[string]bool {
	p := s.Policy
	aboveRead := t.Effect != policy.EffectRead
	failed := map[string]bool{
		"permission.missing": !naiveCategories(p)(t.Category) || naiveBuiltin(t) && !naiveHolds(s.Permissions, t.Permission),
		"preset.excluded":    !naivePreset(s, t),
		"readonly":           p.ReadOnly && aboveRead,
		"allowlist":          !naiveAllowlist(string(p.AllowlistMode), p.ToolAllowlist, t),
	}
	if !naiveBuiltin(t) {
		failed["instance.not_allowed"] = !naiveIDs(p.InstanceIDs, t.InstanceID)
		failed["instance.write_disabled"] = aboveRead && !t.WriteEnabled
		failed["project.not_allowed"] = !naiveIDs(p.ProjectIDs, t.ProjectID) || s.ProjectID != "" && s.ProjectID != t.ProjectID
	}
	return failed
}

func naiveBuiltin(t *policy.Tool) bool { return strings.HasPrefix(t.ID, "bailiwick/") }

func naiveIDs(l policy.Limit, id string) bool {
	return l.IsUnlimited() || id != "" && slices.Contains(l.Values(), id)
}

var naiveCategory = regexp.MustCompile(`^[a-z0-9-]{1,32}$`)

// naiveCategories is mcpPermissions as a predicate: null lets all through, but
// nothing under custom.
func naiveCategories(p policy.Policy) func(string) bool {
	if p.Permissions.IsUnlimited() {
		return func(string) bool { return p.Preset != "custom" }
	}
	return naiveEntries(p.Permissions.Values())
}

func naiveEntries(entries []string) func(string) bool {
	return func(category string) bool {
		return naiveCategory.MatchString(category) &&
			(slices.Contains(entries, "mcp:*") || slices.Contains(entries, "mcp:"+category))
	}
}

func naivePreset(s policy.Subject, t *policy.Tool) bool {
	ordinary := t.Category != "keys" && t.Category != "audit" && t.Category != "platform"
	rank := slices.Index([]policy.Effect{policy.EffectRead, policy.EffectWrite, policy.EffectDestructive}, t.Effect)
	if rank < 0 || !naiveCategory.MatchString(t.Category) {
		return false
	}
	switch s.Policy.Preset {
	case "read_only":
		return ordinary && rank == 0
	case "standard":
		return ordinary && rank <= 1
	case "full_access":
		return true
	case "custom":
		return naiveCategories(s.Policy)(t.Category)
	}
	own, ok := s.Presets[s.Policy.Preset]
	return ok && naiveEntries(own.Permissions)(t.Category) && t.Effect <= own.MaxEffect && own.MaxEffect <= policy.EffectDestructive
}

func naiveHolds(held []string, need string) bool {
	verb, resource, _ := strings.Cut(need, ":")
	tenantWide := []string{"api-keys", "projects", "instances", "presets", "audit", "approvals", "tenant"}
	if need == "*" {
		return slices.Contains(held, "*")
	}
	if verb != "view" && verb != "manage" || !slices.Contains(append(tenantWide, "tenants"), resource) {
		return false
	}
	return slices.Contains(held, need) ||
		verb == "view" && slices.Contains(held, "manage:"+resource) ||
		slices.Contains(tenantWide, resource) && slices.Contains(held, "*")
}

func naiveAllowlist(mode string, list []string, t *policy.Tool) bool {
	different := map[string]bool{}
	for _, p := range list {
		different[p] = true
	}
	matches, broken := false, false
	for p := range different {
		if naivePatternOK(p) {
			matches = matches || naiveMatch(p, t)
		} else {
			broken = true
		}
	}
	switch {
	case mode == "all":
		return true
	case len(different) > 256:
		return false
	case mode == "allow":
		return matches
	case mode == "deny":
		return !matches && !broken
	}
	return false
}

func naivePatternOK(p string) bool {
	if n := len([]rune(p)); n < 1 || n > 256 || !utf8.ValidString(p) {
		return false
	}
	for _, r := range p {
		if strings.ContainsRune(`?[]{}\`, r) || unicode.IsControl(r) {
			return false
		}
	}
	return p[0] != '@' || naiveCategory.MatchString(p[1:])
}

func naiveMatch(p string, t *policy.Tool) bool {
	switch {
	case p[0] == '@':
		return t.Category == p[1:]
	case strings.Contains(p, "/"):
		return naiveGlob(p, t.ID)
	}
	_, upstream, _ := strings.Cut(t.ID, "/")
	return naiveGlob(p, upstream) || naiveGlob(p, t.Name)
}

func naiveGlob(p, s string) bool {
	quoted := strings.ReplaceAll(regexp.QuoteMeta(p), `\*`, `.*`)
	return regexp.MustCompile(`(?s)^` + quoted + `$`).MatchString(s)
}

func naiveSession(n policy.Narrowing, t *policy.Tool) bool {
	slug, _, _ := strings.Cut(t.ID, "/")
	category := func(l policy.Limit) bool {
		return l.IsUnlimited() || naiveCategory.MatchString(t.Category) && slices.Contains(l.Values(), t.Category)
	}
	return naiveIDs(n.Instances, slug) && category(n.Categories) && category(n.Toolsets) &&
		(n.Tools.IsUnlimited() || naiveAllowlist("allow", n.Tools.Values(), t)) &&
		naiveAllowlist("deny", n.Exclude, t) && (!n.ReadOnly || t.Effect == policy.EffectRead)
}
