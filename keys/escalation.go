package keys

import (
	"context"
	"slices"

	"github.com/bailiwick-mcp/bailiwick/policy"
)

// With a key, nobody makes, changes or takes over a key of rights that the key
// itself lacks. What is compared are the rights on paper, as if every key were
// active and enabled: else a wide key could be minted paused, and come alive in
// its maker's hands when somebody resumes it. Whether the maker may speak MCP
// at all is compared beside it.

// exceeding lists where the child's own layer is not within the given layers.
func exceeding(layers []policy.Subject, child policy.Subject) []policy.Problem {
	paused := false
	onPaper := make([]policy.Subject, len(layers))
	for i, layer := range layers {
		paused = paused || !layer.Policy.Active
		onPaper[i] = activated(layer)
	}
	if len(layers) == 0 {
		return []policy.Problem{{Field: "permissions", Problem: "nobody's rights cover it"}}
	}
	problems := policy.Exceeding(policy.Compile(onPaper[0], onPaper[1:]...), policy.Compile(activated(child)))
	if paused && child.Policy.Active {
		problems = append(problems, policy.Problem{Field: "mcpActive", Problem: "your own key is paused"})
	}
	return problems
}

func activated(s policy.Subject) policy.Subject {
	s.Revoked, s.Enabled, s.TenantMCPEnabled, s.Policy.Active = false, true, true, true
	return s
}

// narrows tells whether what a key becomes is within what it was.
func narrows(was, becomes policy.Subject) bool {
	return (was.Enabled || !becomes.Enabled) && len(exceeding([]policy.Subject{was}, becomes)) == 0
}

// within checks a key as it is written now: its own layer must be within the
// principal's rights, whatever its ancestors take away.
func (e *snapshot) within(ctx context.Context, k *Key) error {
	if e.who.IsOperator() {
		return nil
	}
	s, err := subjectOf(ctx, e, k, e.who.Tenant())
	if err != nil {
		return err
	}
	return exceeds(exceeding(e.layers, s))
}

// withinDraft is within for a new key's draft.
func (e *snapshot) withinDraft(ctx context.Context, k *Key) error {
	if k.Shadow == nil {
		return nil
	}
	inForce := k.draftInForce()
	return ofDraft(e.within(ctx, &inForce))
}

// holds checks a key that stands. In the principal's own subtree the rights are
// within the principal's whatever the key's own layer says, because the
// principal's layers are met with it in every decision.
func (e *snapshot) holds(ctx context.Context, k *Key) error {
	if e.who.IsOperator() {
		return nil
	}
	c, err := loadChain(ctx, e, *k)
	if err != nil {
		return err
	}
	if !slices.Contains(c.ids(), e.who.KeyID()) && e.limited() {
		return e.countsElsewhere()
	}
	if !slices.Contains(c.ids(), e.who.KeyID()) {
		return exceeds(exceeding(e.layers, c.layers[0]))
	}
	paused := func(s policy.Subject) bool { return !s.Policy.Active }
	if k.Policy.Active && slices.ContainsFunc(e.layers, paused) {
		return exceeds([]policy.Problem{{Field: "mcpActive", Problem: "your own key is paused"}})
	}
	return nil
}

// limited tells whether the calls of the principal are counted. The calls of a key's
// children are counted with its own; any other key that it had in hand would give it
// the same number of calls once more. A JWT's subject has no children: to it each key is
// another.
func (e *snapshot) limited() bool {
	return !e.who.IsOperator() && slices.ContainsFunc(e.layers, func(s policy.Subject) bool { return len(s.Policy.Limits) > 0 })
}

// countsElsewhere refuses a key to who is limited, with whose calls its own would not
// count.
func (e *snapshot) countsElsewhere() error {
	problem := "your own key has limits, which hold for its children only"
	if e.who.IsSubject() {
		problem = "the calls of tokens have limits in this organization (jwtPolicy), which would not hold for a key: use an API key"
	}
	return exceeds([]policy.Problem{{Field: "mcpLimits", Problem: problem}})
}

func exceeds(problems []policy.Problem) error {
	if len(problems) == 0 {
		return nil
	}
	return &PermissionError{Fields: problems, Hint: "ask for less, or use a key with these rights"}
}

// unrestricted checks that the principal may widen what others' rights hang on.
func (e *edit) unrestricted(widened ...string) error {
	if len(widened) == 0 || e.who.IsOperator() || e.who.of().kind == principalPlatform || e.isUnrestricted() {
		return nil
	}
	problems := make([]policy.Problem, len(widened))
	for i, field := range widened {
		problems[i] = policy.Problem{Field: field, Problem: "widening this needs a key with an unrestricted policy"}
	}
	return &PermissionError{Fields: problems, Hint: "use a key with the preset full_access, read-only off and no limits"}
}

// isUnrestricted asks of a subject, whose policy is the tenant's and not its
// own, also for all permissions; that MCP is closed to it does not matter.
func (e *edit) isUnrestricted() bool {
	if e.who.IsSubject() {
		return e.who.of().grant.Can("*") && policy.Compile(e.layers[0]).Unrestricted()
	}
	return e.who.of().grant.Unrestricted()
}

// inherit takes a field of a key from one of its maker's layers.
var inherit = map[string]func(k *Key, from *policy.Subject){
	"scope":            func(k *Key, from *policy.Subject) { k.Scope = from.Scope },
	"permissions":      func(k *Key, from *policy.Subject) { k.Permissions = slices.Clone(from.Permissions) },
	"projectId":        func(k *Key, from *policy.Subject) { k.ProjectID = from.ProjectID },
	"expiresAt":        func(k *Key, from *policy.Subject) { k.ExpiresAt = from.ExpiresAt },
	"mcpActive":        func(k *Key, from *policy.Subject) { k.Policy.Active = from.Policy.Active },
	"mcpReadOnly":      func(k *Key, from *policy.Subject) { k.Policy.ReadOnly = from.Policy.ReadOnly },
	"mcpPreset":        func(k *Key, from *policy.Subject) { k.Policy.Preset = from.Policy.Preset },
	"mcpPermissions":   func(k *Key, from *policy.Subject) { k.Policy.Permissions = from.Policy.Permissions },
	"mcpAllowlistMode": func(k *Key, from *policy.Subject) { k.Policy.AllowlistMode = from.Policy.AllowlistMode },
	"mcpToolAllowlist": func(k *Key, from *policy.Subject) {
		k.Policy.ToolAllowlist = slices.Clone(from.Policy.ToolAllowlist)
	},
	"mcpProjectIds":  func(k *Key, from *policy.Subject) { k.Policy.ProjectIDs = from.Policy.ProjectIDs },
	"mcpInstanceIds": func(k *Key, from *policy.Subject) { k.Policy.InstanceIDs = from.Policy.InstanceIDs },
	// What is demanded of calls is demanded by each layer, so it adds up.
	"mcpArgumentRules": func(k *Key, from *policy.Subject) {
		k.Policy.ArgumentRules = slices.Concat(k.Policy.ArgumentRules, from.Policy.ArgumentRules)
	},
	"mcpApprovals": func(k *Key, from *policy.Subject) {
		k.Policy.Approvals = slices.Concat(k.Policy.Approvals, from.Policy.Approvals)
	},
	"mcpLimits": func(k *Key, from *policy.Subject) {
		k.Policy.Limits = slices.Concat(k.Policy.Limits, from.Policy.Limits)
	},
}

// companions are read together: one alone would say something else.
var companions = map[string]string{
	"mcpToolAllowlist": "mcpAllowlistMode", "mcpPreset": "mcpPermissions", "mcpPermissions": "mcpPreset",
}

// fit gives the fields that the request left open, and whose default would
// exceed the maker, the maker's own value (or a nearer ancestor's where that
// still exceeds). What then exceeds is refused.
func (e *edit) fit(ctx context.Context, k *Key, open []string) error {
	if e.who.IsOperator() {
		return nil
	}
	taken := map[string]int{} // field -> layers tried
	take := func(field string) bool {
		n := taken[field]
		if !slices.Contains(open, field) || n == len(e.layers) {
			return false
		}
		inherit[field](k, &e.layers[n])
		taken[field]++
		return true
	}
	for {
		s, err := subjectOf(ctx, e, k, e.who.Tenant())
		if err != nil {
			return err
		}
		problems := exceeding(e.layers, s)
		if len(problems) == 0 {
			return nil
		}
		changed := false
		for _, p := range problems {
			if !take(p.Field) {
				continue
			}
			changed = true
			if p.Field == "mcpToolAllowlist" || p.Field == "mcpPreset" && k.Policy.Preset == policy.PresetCustom {
				take(companions[p.Field])
			}
		}
		for _, p := range problems {
			changed = changed || take(companions[p.Field])
		}
		if !changed {
			return exceeds(problems)
		}
	}
}
