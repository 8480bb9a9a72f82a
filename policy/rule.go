package policy

// Rule names one reason for a denial. The order of the constants is the order
// of evaluation and of report; the first failing one is the reason.
type Rule uint8

// The rules. Those from RuleArgument on are for calls only: they never hide a
// tool from a list.
const (
	RuleNone Rule = iota
	RuleRevoked
	RuleExpired
	RuleDisabled
	RuleTenantMCP
	RuleScope
	RulePaused
	RuleUnknown
	RuleQuarantined
	RulePermission
	RulePreset
	RuleReadOnly
	RuleAllowlist
	RuleInstance
	RuleInstanceWrite
	RuleProject
	RuleNarrowed
	RuleArgument
	RuleRate
	RuleApproval
	RuleStale
	NumRules // how many there are, RuleNone included
)

var ruleNames = [NumRules]string{
	"", "key.revoked", "key.expired", "key.disabled", "tenant.mcp_disabled", "key.scope", "key.paused",
	"tool.unknown", "tool.quarantined", "permission.missing", "preset.excluded", "readonly", "allowlist",
	"instance.not_allowed", "instance.write_disabled", "project.not_allowed", "session.narrowed",
	"argument.not_allowed", "rate.limited", "approval.required", "state.stale",
}

func (r Rule) String() string {
	if r >= NumRules {
		return "unknown"
	}
	return ruleNames[r]
}

// MarshalText writes the rule's name.
func (r Rule) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// Decision is the answer for one tool: allowed, or every rule that failed.
// The zero Decision is a denial.
type Decision struct {
	decided bool
	failed  uint32 // bit r is set when Rule r failed
}

// Allowed tells whether every rule held.
func (d Decision) Allowed() bool { return d.decided && d.failed == 0 }

// Reason is the first failing rule, RuleNone when allowed. A decision that was
// never made reads as RuleUnknown.
func (d Decision) Reason() Rule {
	if !d.decided {
		return RuleUnknown
	}
	for r := RuleRevoked; r < NumRules; r++ {
		if d.failed&(1<<r) != 0 {
			return r
		}
	}
	return RuleNone
}

// Failed are all failing rules, in order; empty when allowed.
func (d Decision) Failed() []Rule {
	if !d.decided {
		return []Rule{RuleUnknown}
	}
	rules := []Rule{}
	for r := RuleRevoked; r < NumRules; r++ {
		if d.failed&(1<<r) != 0 {
			rules = append(rules, r)
		}
	}
	return rules
}

// Hides tells a denial that keeps the tool from being seen at all (an unknown
// one must look the same) from one by a call-time rule.
func (d Decision) Hides() bool {
	return !d.decided || d.failed&(1<<RuleArgument-1) != 0
}

// With is the decision with one more failed rule.
func (d Decision) With(r Rule) Decision {
	d.failed |= 1 << r
	return d
}
