package keys_test

import (
	"strings"
	"testing"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/policy"
)

// TestNobodyBeginsToCountAnew: calls are counted by a limit's pattern and period. Who
// is held to a limit can't write it in another way, by which the count would begin
// anew, be it on its own key or on one above it.
func TestNobodyBeginsToCountAnew(t *testing.T) {
	h := newHouse(t)
	limits := func(tool string, n int64) keys.PolicyPatch {
		return keys.PolicyPatch{MCPLimits: keys.Some([]policy.RateLimit{{Tool: tool, Requests: n, Per: policy.PerDay}})}
	}
	limited := keys.NewKey{Permissions: keys.Some([]string{"manage:api-keys"}), PolicyPatch: full()}
	limited.MCPLimits = limits("notes/*", 5).MCPLimits
	agent := h.as(limited)
	child := limited
	child.ParentKeyID = agent.KeyID()
	below := h.login(h.mint(agent, child).Secret)
	stranger := h.manager(keys.PolicyPatch{})
	for name, p := range map[string]keys.Principal{"itself": agent, "its child": below, "a key of fewer rights": stranger} {
		for _, tool := range []string{"notes/**", "*", "*/*"} {
			err := errOf(h.svc.UpdateKey(h.ctx, p, agent.KeyID(), keys.KeyPatch{PolicyPatch: limits(tool, 5)}))
			if !isDenied(err) || !strings.Contains(strings.Join(fieldsOf(err), " "), "mcpLimits") && name != "a key of fewer rights" {
				t.Errorf("%s writes %s: %v %v", name, tool, err, fieldsOf(err))
			}
		}
	}
	more := limits("notes/*", 4)
	more.MCPLimits = keys.Some(append(more.MCPLimits.Value, policy.RateLimit{Tool: "*", Requests: 100, Per: policy.PerDay}))
	for name, p := range map[string]keys.Principal{"itself": agent, "its child": below, "a key of fewer rights": stranger} {
		more.MCPLimits.Value[0].Requests--
		if err := errOf(h.svc.UpdateKey(h.ctx, p, agent.KeyID(), keys.KeyPatch{PolicyPatch: more})); err != nil {
			t.Errorf("%s lowers and adds: %v %v", name, err, details(err))
		}
	}
	if err := errOf(h.svc.UpdateKey(h.ctx, h.first, agent.KeyID(), keys.KeyPatch{PolicyPatch: limits("*", 9)})); err != nil {
		t.Errorf("a key without limits: %v", err)
	}
}

// TestSubjectsBeginNotToCountAnew: the same for the policy of JWTs' subjects.
func TestSubjectsBeginNotToCountAnew(t *testing.T) {
	h := newHouse(t)
	limits := func(tool string, n int64) keys.PolicyPatch {
		p := full()
		p.MCPLimits = keys.Some([]policy.RateLimit{{Tool: tool, Requests: n, Per: policy.PerDay}})
		return p
	}
	h.jwtPolicy(limits("notes/*", 5))
	subject := h.subject("*")
	update := func(p keys.PolicyPatch) error {
		return errOf(h.svc.UpdateTenant(h.ctx, subject, keys.TenantPatch{JWTPolicy: keys.Some(p)}))
	}
	if err := update(limits("*", 5)); !isDenied(err) || strings.Join(fieldsOf(err), " ") != "jwtPolicy" {
		t.Errorf("written in another way: %v %v", err, fieldsOf(err))
	}
	if err := update(limits("notes/*", 4)); err != nil {
		t.Errorf("lowered: %v %v", err, details(err))
	}
}
