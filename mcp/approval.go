package mcp

import (
	"context"

	"github.com/bailiwick-mcp/bailiwick/keys/wire"
	"github.com/bailiwick-mcp/bailiwick/policy"
)

// codeApproval is of a call that a person must approve.
const codeApproval = -32030

// unapproved refuses a call that a person must approve, and records it; nil when
// none must. Nobody can be asked yet, so no such call passes.
func (g *Gateway) unapproved(ctx context.Context, r *request, v verdict) *reply {
	if !r.principal.Grant().NeedsApproval(v.tool) {
		return nil
	}
	g.counters.decided(v, policy.RuleApproval)
	e := g.entryOf(r, v)
	ref := newReference()
	e.Kind, e.Decision, e.Ref, e.Failed = "decision", "deny", ref, []string{policy.RuleApproval.String()}
	_, rules := r.principal.Grant().Explain(r.narrowing.session, v.tool, g.cfg.Now())
	rules = append(rules, policy.RuleResult{Rule: policy.RuleApproval, Observed: "a rule of mcpApprovals names the tool, and nobody can be asked"})
	e.Detail = wire.RequestDetail(rules, keptArguments(r))
	g.record(ctx, e)
	refused := failure(r.msg.id, codeApproval, "Approval required: mcpApprovals of this key closes the tool, for nobody can be asked (ref "+ref+")", nil)
	return &refused
}
