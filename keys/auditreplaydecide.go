package keys

import (
	"slices"
	"strings"

	"github.com/bailiwick-mcp/bailiwick/policy"
)

// again decides as an entry says that was decided, and compares.
func again(e *AuditEntry, grant *policy.Grant) (ReplaySkip, *ReplayDifference) {
	tool, alone, err := e.decidedTool()
	if err != nil {
		return "", &ReplayDifference{Entry: *e, Failed: []string{}, Problem: err.Error()}
	}
	var decision policy.Decision
	at := e.Time.Add(-e.Latency) // an entry's time is the decision's, to which a call adds how long it took
	if alone {
		decision = grant.DecideKey(at)
	} else {
		decision = grant.Decide(nil, tool, at)
	}
	calls := callRulesOf(e, tool, grant)
	free := freeRules(e, tool)
	var failed []string
	fails := decision.Failed()
	for r := policy.RuleRevoked; r < policy.NumRules; r++ {
		recorded := slices.Contains(e.Failed, r.String())
		if slices.Contains(fails, r) || recorded && (free[r] || calls[r]) {
			failed = append(failed, r.String())
		}
	}
	word := "deny"
	if len(failed) == 0 {
		word = "allow"
	}
	if word != e.Decision || !slices.Equal(failed, e.Failed) {
		return "", &ReplayDifference{Entry: *e, Decision: word, Failed: nonNil(failed)}
	}
	if dependsOnCall(e, tool, grant, calls) {
		return SkipCallTime, nil
	}
	return "", nil
}

// freeRules are those but rules of calls that depend on what is not recorded: they
// can fail or not, as recorded. They are never needed for a decision that allows.
func freeRules(e *AuditEntry, tool *policy.Tool) [policy.NumRules]bool {
	var free [policy.NumRules]bool
	jwt := e.KeyID == ""
	free[policy.RuleExpired] = jwt // the token's end
	free[policy.RulePermission] = jwt && tool != nil && tool.Builtin()
	free[policy.RuleNarrowed] = tool != nil
	return free
}

// callRulesOf are the rules for calls alone that can fail for the entry's request
// under the grant. What they say depends on the arguments, on other calls and on
// people, of which the entry has nothing.
func callRulesOf(e *AuditEntry, tool *policy.Tool, grant *policy.Grant) [policy.NumRules]bool {
	var can [policy.NumRules]bool
	// How much a key may have open and running at once is no part of its policy.
	can[policy.RuleRate] = true
	if tool == nil {
		return can
	}
	can[policy.RuleArgument] = demandsArguments(e, tool, grant)
	can[policy.RuleApproval] = mayNeedApproval(e, tool, grant)
	can[policy.RuleStale] = true
	return can
}

// demandsArguments tells whether the grant demands something of the request's
// arguments. A uri is held against demands under other spellings, too, which are
// other tools to a policy.
func demandsArguments(e *AuditEntry, tool *policy.Tool, grant *policy.Grant) bool {
	return len(grant.DemandsOfArguments(tool).Explain()) > 0 || strings.HasPrefix(e.Action, "resources/") && grant.HoldsArguments()
}

// mayNeedApproval tells whether a person may have had to approve the request: by its
// own name, or a uri by another spelling. Subscribing needs nobody.
func mayNeedApproval(e *AuditEntry, tool *policy.Tool, grant *policy.Grant) bool {
	switch e.Action {
	case "resources/subscribe", "resources/unsubscribe":
		return false
	case "resources/read":
		return grant.NeedsApproval(tool) || grant.ApprovesReads()
	}
	return grant.NeedsApproval(tool)
}

// counts tells whether the request may have counted against a limit, a uri by another
// spelling, too.
func counts(e *AuditEntry, tool *policy.Tool, grant *policy.Grant) bool {
	return len(grant.Limits(tool)) > 0 || strings.HasPrefix(e.Action, "resources/") && grant.Limited()
}

// dependsOnCall tells whether a rule for calls alone denied, or let through what it
// could have denied: what was recorded of that can't be confirmed.
func dependsOnCall(e *AuditEntry, tool *policy.Tool, grant *policy.Grant, calls [policy.NumRules]bool) bool {
	for r := policy.RuleArgument; r < policy.NumRules; r++ {
		if slices.Contains(e.Failed, r.String()) {
			return true
		}
	}
	if e.Decision != "allow" || tool == nil || strings.HasPrefix(e.Action, "tasks/") {
		return false
	}
	return calls[policy.RuleArgument] || calls[policy.RuleApproval] || counts(e, tool, grant)
}
