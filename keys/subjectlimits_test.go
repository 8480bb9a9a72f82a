package keys_test

import (
	"slices"
	"testing"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/policy"
)

// TestLimitedSubjectsMakeNoKeys: a JWT's subject has no children whose calls would count
// with its own. With a key that it makes, or the secret of one that stands, it would
// have the same number of calls once more.
func TestLimitedSubjectsMakeNoKeys(t *testing.T) {
	h := newHouse(t)
	pp := full()
	pp.MCPActive, pp.MCPLimits = keys.Some(true), keys.Some(someLimits)
	h.jwtPolicy(pp)
	subject := h.subject("*")
	limits := keys.PolicyPatch{MCPLimits: keys.Some(someLimits)}
	stands := h.mint(h.op, keys.NewKey{Name: "stands", PolicyPatch: limits}).Key
	paused := h.mint(h.op, keys.NewKey{Name: "paused", PolicyPatch: keys.PolicyPatch{MCPLimits: keys.Some(someLimits), MCPActive: keys.Some(false)}}).Key
	for name, err := range map[string]error{
		"a key":            errOf(h.svc.CreateKey(h.ctx, subject, keys.NewKey{Name: "x"})),
		"of all its rules": errOf(h.svc.CreateKey(h.ctx, subject, keys.NewKey{Name: "x", PolicyPatch: limits})),
		"over MCP":         errOf(h.svc.CreateKey(h.ctx, subject, keys.NewKey{Name: "x", Source: "mcp"})),
		"a child":          errOf(h.svc.CreateKey(h.ctx, subject, keys.NewKey{Name: "x", ParentKeyID: stands.ID})),
		"another's secret": errOf(h.svc.RotateKey(h.ctx, subject, stands.ID, keys.Rotation{})),
		"a key resumed":    errOf(h.svc.ToggleKey(h.ctx, subject, paused.ID, 0)),
	} {
		if !isDenied(err) || !slices.Equal(fieldsOf(err), []string{"mcpLimits"}) {
			t.Errorf("%s: %v %v", name, err, fieldsOf(err))
		}
	}
	for name, err := range map[string]error{
		"narrowing": errOf(h.svc.UpdateKey(h.ctx, subject, stands.ID, keys.KeyPatch{Enabled: keys.Some(false)})),
		"revoking":  errOf(h.svc.RevokeKey(h.ctx, subject, stands.ID, keys.Revocation{})),
	} {
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	h.jwtPolicy(keys.PolicyPatch{MCPLimits: keys.Some([]policy.RateLimit{})})
	if err := errOf(h.svc.CreateKey(h.ctx, h.subject("*"), keys.NewKey{Name: "x"})); err != nil {
		t.Errorf("without limits: %v %v", err, details(err))
	}
}
