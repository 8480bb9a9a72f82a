package policy

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// Cedar writes a key's policy, that of its ancestors and what a session gave up
// as Cedar policies, for people who analyse policies and as an oracle in tests;
// nothing asks it at run time. Any error in evaluating them is a denial.
//
// One permit has the whole conjunction, and one forbid per rule, its @id the
// rule's name, names the rule in the diagnostics. (A forbid that errs is
// skipped, so forbids alone would not do.) The policies look at the context
// only: Booleans known (the catalog has the tool), builtin, whoami,
// quarantined, writeEnabled; Strings id, exposed, upstream, slug, category,
// effect, instanceId, projectId, permission; Long now, in nanoseconds since
// 1970 UTC. A category or effect that is not a valid one is left out, an empty
// instance id too.
func Cedar(own Subject, ancestors []Subject, session ...Narrowing) string {
	layers := append([]Subject{own}, ancestors...)
	var permit, forbids strings.Builder
	for r := RuleRevoked; r <= RuleNarrowed; r++ {
		var terms []string
		for i := range layers {
			terms = append(terms, cedarRule(r, &layers[i])...)
		}
		for i := range session {
			if r == RuleNarrowed {
				terms = append(terms, cedarNarrowing(&session[i])...)
			}
		}
		if len(terms) == 0 {
			terms = []string{"true"}
		}
		whole := cedarApplies(r, strings.Join(terms, " &&\n    "))
		if r > RuleRevoked {
			permit.WriteString(" &&\n  ")
		}
		fmt.Fprintf(&permit, "(%s)", whole)
		fmt.Fprintf(&forbids, "\n@id(%s)\nforbid (principal, action, resource) unless {\n  %s\n};\n", cedarString(r.String()), whole)
	}
	return fmt.Sprintf("@id(\"permit\")\npermit (principal, action, resource) when {\n  %s\n};\n%s", permit.String(), forbids.String())
}

// cedarApplies lets a rule hold for tools that it does not apply to.
func cedarApplies(r Rule, rule string) string {
	const guard = "context has known && context has builtin && context has whoami && "
	switch {
	case r < RuleUnknown:
		return rule
	case r == RuleUnknown:
		return guard + "context.known"
	case r == RuleNarrowed:
		return guard + "(!context.known || (" + rule + "))"
	case r >= RuleInstance && r <= RuleProject:
		return guard + "(!context.known || context.builtin || (" + rule + "))"
	}
	return guard + "(!context.known || context.whoami || (" + rule + "))"
}

func cedarRule(r Rule, s *Subject) []string {
	p := &s.Policy
	switch r {
	case RuleRevoked:
		return []string{strconv.FormatBool(!s.Revoked)}
	case RuleExpired:
		if s.ExpiresAt == nil {
			return nil
		}
		return []string{fmt.Sprintf("context has now && context.now < %d", s.ExpiresAt.UnixNano())}
	case RuleDisabled:
		return []string{strconv.FormatBool(s.Enabled)}
	case RuleTenantMCP:
		return []string{strconv.FormatBool(s.TenantMCPEnabled)}
	case RuleScope:
		return []string{strconv.FormatBool(s.Scope.OpensMCP())}
	case RulePaused:
		return []string{strconv.FormatBool(p.Active)}
	case RuleQuarantined:
		return []string{"context has quarantined && !context.quarantined"}
	case RulePermission:
		return []string{cedarHeld(s.Permissions), cedarPermissions(p)}
	case RulePreset:
		return []string{cedarPreset(p, s.Presets)}
	case RuleReadOnly:
		return []string{pick(p.ReadOnly, cedarIsRead, "true")}
	case RuleAllowlist:
		return []string{cedarAllowlist(p.AllowlistMode, p.ToolAllowlist)}
	case RuleInstance:
		return []string{cedarLimit("instanceId", p.InstanceIDs)}
	case RuleInstanceWrite:
		return []string{"(" + cedarIsRead + " || context has writeEnabled && context.writeEnabled)"}
	case RuleProject:
		terms := []string{cedarLimit("projectId", p.ProjectIDs)}
		if s.ProjectID != "" {
			terms = append(terms, cedarIn("projectId", []string{s.ProjectID}))
		}
		return terms
	}
	return nil
}

const cedarIsRead = `(context has effect && context.effect == "read")`

func cedarHeld(held []string) string {
	var all []string
	for _, known := range KnownPermissions() {
		verb, resource, _ := strings.Cut(known, ":")
		switch {
		case slices.Contains(held, known),
			verb == "view" && slices.Contains(held, "manage:"+resource),
			resource != resourceTenants && slices.Contains(held, "*"):
			all = append(all, known)
		}
	}
	return "(!context.builtin || " + cedarIn("permission", all) + ")"
}

func cedarPermissions(p *Policy) string {
	if p.Permissions.IsUnlimited() {
		return strconv.FormatBool(p.Preset != PresetCustom)
	}
	return cedarEntries(p.Permissions.Values())
}

func cedarEntries(entries []string) string {
	var names []string
	for _, e := range entries {
		name, ok := strings.CutPrefix(e, categoryPrefix)
		switch {
		case e == anyCategory:
			return "context has category"
		case ok && ValidCategory(name):
			names = append(names, name)
		}
	}
	return cedarIn("category", names)
}

func cedarPreset(p *Policy, own map[string]Preset) string {
	upTo := func(max Effect) string { return cedarIn("effect", effectNames[EffectRead:max+1]) }
	const ordinary = `context has category && !["audit", "keys", "platform"].contains(context.category) && `
	switch p.Preset {
	case PresetReadOnly:
		return ordinary + upTo(EffectRead)
	case PresetStandard:
		return ordinary + upTo(EffectWrite)
	case PresetFullAccess:
		return "context has category && " + upTo(EffectDestructive)
	case PresetCustom:
		return cedarPermissions(p) + " && context has category && " + upTo(EffectDestructive)
	}
	preset, ok := own[p.Preset]
	if !ok || !preset.MaxEffect.Known() {
		return "false"
	}
	return cedarEntries(preset.Permissions) + " && " + upTo(preset.MaxEffect)
}

func cedarLimit(attribute string, l Limit) string {
	if l.IsUnlimited() {
		return "true"
	}
	return cedarIn(attribute, l.Values())
}

func cedarIn(attribute string, values []string) string {
	if len(values) == 0 {
		return "false"
	}
	quoted := make([]string, len(values))
	for i, v := range values {
		quoted[i] = cedarString(v)
	}
	return fmt.Sprintf("(context has %[1]s && [%[2]s].contains(context.%[1]s))", attribute, strings.Join(quoted, ", "))
}

func cedarAllowlist(mode Mode, list []string) string {
	if mode == ModeAll {
		return "true"
	}
	list = distinct(list)
	if !mode.Known() || len(list) > MaxPatterns {
		return "false"
	}
	var terms []string
	for _, text := range list {
		switch p, err := ParsePattern(text); {
		case err == nil:
			terms = append(terms, cedarPattern(p))
		case mode == ModeDeny:
			return "false"
		}
	}
	any := "false"
	if len(terms) > 0 {
		any = "(context has id && context has upstream && context has exposed && (" + strings.Join(terms, " || ") + "))"
	}
	return pick(mode == ModeDeny, "!"+any, any)
}

func cedarPattern(p Pattern) string {
	text := cedarString(p.text) // in Cedar's like, too, * is the only wildcard
	switch p.target {
	case targetCategory:
		return cedarIn("category", []string{p.text[1:]})
	case targetID:
		return "context.id like " + text
	}
	return "context.upstream like " + text + " || context.exposed like " + text
}

func cedarNarrowing(n *Narrowing) []string {
	terms := []string{
		cedarLimit("slug", n.Instances), cedarLimit("category", n.Categories), cedarLimit("category", n.Toolsets),
		cedarAllowlist(ModeDeny, n.Exclude),
	}
	if !n.Tools.IsUnlimited() {
		terms = append(terms, cedarAllowlist(ModeAllow, n.Tools.Values()))
	}
	if n.ReadOnly {
		terms = append(terms, cedarIsRead)
	}
	return terms
}

func cedarString(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case unicode.IsControl(r):
			fmt.Fprintf(&b, `\u{%x}`, r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}
