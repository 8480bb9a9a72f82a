package keys

import (
	"slices"

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
	free := freeRules(e, tool, alone)
	var failed []string
	fails := decision.Failed()
	callTime := false
	for r := policy.RuleRevoked; r < policy.NumRules; r++ {
		recorded := slices.Contains(e.Failed, r.String())
		if slices.Contains(fails, r) || recorded && free[r] {
			failed = append(failed, r.String())
		}
		callTime = callTime || recorded && r >= policy.RuleArgument
	}
	word := "deny"
	if len(failed) == 0 {
		word = "allow"
	}
	if word != e.Decision || !slices.Equal(failed, e.Failed) {
		return "", &ReplayDifference{Entry: *e, Decision: word, Failed: nonNil(failed)}
	}
	if callTime {
		return SkipCallTime, nil
	}
	return "", nil
}

// freeRules are those that depend on what is not recorded: they can fail or not,
// as recorded. They are never needed for a decision that allows.
func freeRules(e *AuditEntry, tool *policy.Tool, alone bool) [policy.NumRules]bool {
	var free [policy.NumRules]bool
	jwt := e.KeyID == ""
	free[policy.RuleExpired] = jwt // the token's end
	free[policy.RulePermission] = jwt && tool != nil && tool.Builtin()
	free[policy.RuleNarrowed] = tool != nil
	for r := policy.RuleArgument; r < policy.NumRules; r++ {
		free[r] = !alone || r == policy.RuleRate // limits on streams are the key's
	}
	return free
}
