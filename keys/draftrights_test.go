package keys_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/policy"
)

// TestDraftsAreWithinRights: somebody else may put a draft in force, who sees only the
// calls that it decides otherwise. So nobody drafts for a key what it could not make of
// the key.
func TestDraftsAreWithinRights(t *testing.T) {
	h := newHouse(t)
	own := keys.NewKey{Permissions: keys.Some([]string{"manage:api-keys"}), PolicyPatch: wide()}
	own.MCPPreset = keys.Some("standard")
	own.MCPLimits, own.MCPApprovals = keys.Some(someLimits), keys.Some(someApprovals)
	agent := h.as(own)
	child := h.mint(agent, keys.NewKey{Name: "child", MCPShadow: keys.Some(keys.PolicyPatch{MCPReadOnly: keys.Some(true)})}).Key
	if child.Shadow == nil || !slices.Equal(child.Shadow.Limits, someLimits) || !slices.Equal(child.Shadow.Approvals, someApprovals) {
		t.Errorf("a draft without what the key got from its maker: %+v", child.Shadow)
	}
	stranger := h.mint(h.op, keys.NewKey{Name: "stranger", PolicyPatch: wide()}).Key
	draft := func(p keys.Principal, id string, pp keys.PolicyPatch) error {
		return errOf(h.svc.UpdateKey(h.ctx, p, id, keys.KeyPatch{MCPShadow: keys.Some(pp)}))
	}
	beyond := map[string]keys.PolicyPatch{
		"mcpPreset":    {MCPPreset: keys.Some(policy.PresetFullAccess)},
		"mcpApprovals": {MCPApprovals: keys.Some([]policy.ApprovalRule{})},
		"mcpLimits":    {MCPLimits: keys.Some([]policy.RateLimit{})},
	}
	for field, pp := range beyond {
		for name, id := range map[string]string{"its own key": agent.KeyID(), "its child": child.ID} {
			if err := draft(agent, id, pp); !isDenied(err) || !slices.Equal(fieldsOf(err), []string{"mcpShadow." + field}) {
				t.Errorf("%s for %s: %v %v", field, name, err, fieldsOf(err))
			}
		}
		n := keys.NewKey{Name: "new", MCPShadow: keys.Some(pp)}
		if err := errOf(h.svc.CreateKey(h.ctx, agent, n)); !isDenied(err) || !slices.Equal(fieldsOf(err), []string{"mcpShadow." + field}) {
			t.Errorf("%s for a new key: %v %v", field, err, fieldsOf(err))
		}
		if err := draft(h.first, agent.KeyID(), pp); err != nil {
			t.Errorf("%s by a key with all rights: %v", field, err)
		}
	}
	if err := errOf(h.svc.UpdateKey(h.ctx, agent, agent.KeyID(), keys.KeyPatch{Name: keys.Some("x")})); err != nil {
		t.Errorf("beside a draft of somebody else's: %v", err)
	}
	if err := draft(agent, stranger.ID, keys.PolicyPatch{MCPPermissions: keys.Some(policy.Only("mcp:*")), MCPArgumentRules: keys.Some([]policy.ArgumentRule{})}); err != nil {
		t.Errorf("a draft that gives no more, for a wider key: %v %v", err, fieldsOf(err))
	}
	more := keys.PolicyPatch{MCPInstanceIDs: keys.Null[policy.Limit]()}
	narrow := wide()
	narrow.MCPInstanceIDs = keys.Some(policy.Only())
	closed := h.mint(h.op, keys.NewKey{Name: "closed", PolicyPatch: narrow}).Key
	if err := draft(agent, closed.ID, more); !isDenied(err) || !strings.HasPrefix(strings.Join(fieldsOf(err), " "), "mcpShadow.") {
		t.Errorf("a draft that gives more, for a key of other rights: %v %v", err, fieldsOf(err))
	}
	if err := draft(agent, agent.KeyID(), keys.PolicyPatch{MCPReadOnly: keys.Some(true)}); err != nil {
		t.Errorf("a narrower one for its own: %v %v", err, fieldsOf(err))
	}
}
