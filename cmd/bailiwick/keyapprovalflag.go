package main

import (
	"strings"

	"github.com/spf13/pflag"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/policy"
)

// approvalFlags say which calls of a key a person must approve.
type approvalFlags struct {
	rules []string
	none  bool
}

func (f *approvalFlags) flags(flags *pflag.FlagSet) {
	patternFlag(flags, &f.rules, "require-approval",
		"a person approves each call of tools that match a `pattern`; with :write or :destructive behind it, only of that effect or above; repeatable")
	flags.BoolVar(&f.none, "no-approvals", false, "no call needs a person's approval (a new key's default)")
}

// field is mcpApprovals where the flags say it.
func (f *approvalFlags) field(flags *pflag.FlagSet) keys.Opt[[]policy.ApprovalRule] {
	if !flags.Changed("require-approval") && !f.none {
		return keys.Opt[[]policy.ApprovalRule]{}
	}
	rules := []policy.ApprovalRule{}
	for _, text := range f.rules {
		rules = append(rules, approvalRule(text))
	}
	return keys.Some(rules)
}

// approvalRule reads TOOL or TOOL:EFFECT. A pattern may have colons too, as those of
// resources do, so only an effect counts as one.
func approvalRule(text string) policy.ApprovalRule {
	if n := strings.LastIndexByte(text, ':'); n >= 0 {
		var effect policy.Effect
		if effect.UnmarshalText([]byte(text[n+1:])) == nil {
			return policy.ApprovalRule{Tool: text[:n], Effect: effect}
		}
	}
	return policy.ApprovalRule{Tool: text, Effect: policy.EffectRead}
}

// approvalTexts are the rules as the flag takes them.
func approvalTexts(rules []policy.ApprovalRule) string {
	texts := make([]string, len(rules))
	for i, r := range rules {
		texts[i] = r.Tool + ":" + r.Effect.String()
	}
	return strings.Join(texts, ", ")
}
