package mcp

import (
	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/keys/wire"
	"github.com/bailiwick-mcp/bailiwick/policy"
)

// shadow decides the request by a draft policy, and answers where that differs from
// the live verdict; nil = nowhere. Limits are not looked at: to know how full one is
// the draft's calls would have to be counted. Whatever goes wrong is a difference of
// its own, and the live verdict stands.
func (q question) shadow(live verdict, draft *policy.Grant, judge func(question, *policy.Grant) verdict) (differs *wire.Shadow) {
	defer func() {
		if recover() != nil {
			differs = &wire.Shadow{Decision: keys.ShadowError}
		}
	}()
	if draft == nil {
		return &wire.Shadow{Decision: keys.ShadowError}
	}
	would := judge(q, draft)
	is := shadowOutcome(would)
	switch {
	case is == shadowOutcome(live):
		return nil
	case is == keys.ShadowDeny:
		return &wire.Shadow{Decision: is, Failed: failedRules(would.decision)}
	case is == keys.ShadowApproval:
		return &wire.Shadow{Decision: is, Failed: []string{policy.RuleApproval.String()}}
	}
	return &wire.Shadow{Decision: is}
}

// shadowOutcome is what becomes of a request by a grant's verdict.
func shadowOutcome(v verdict) string {
	switch {
	case !v.allowed():
		return keys.ShadowDeny
	case v.needsApproval:
		return keys.ShadowApproval
	}
	return keys.ShadowAllow
}

// keepShadow puts into a call's entry how the draft differs. A refused call is no
// other for a draft that denies it too, as one beyond a limit.
func keepShadow(e *keys.AuditEntry, v verdict) {
	if v.shadow == nil || e.Decision == "deny" && v.shadow.Decision == keys.ShadowDeny {
		return
	}
	e.Detail = wire.WithShadow(e.Detail, *v.shadow)
}

func failedRules(d policy.Decision) []string {
	out := []string{}
	for _, rule := range d.Failed() {
		out = append(out, rule.String())
	}
	return out
}
