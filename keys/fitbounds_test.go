package keys_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/policy"
)

// TestWhatIsHandedOnIsBounded: the rules that a new key gets of its maker and of the
// keys above it are no more than a key can have. One with more could be made, and
// never edited.
func TestWhatIsHandedOnIsBounded(t *testing.T) {
	h := newHouse(t)
	rules := func(prefix string, n int) keys.Opt[[]policy.ArgumentRule] {
		out := make([]policy.ArgumentRule, n)
		for i := range out {
			out[i] = policy.ArgumentRule{Tool: fmt.Sprintf("%s-%d", prefix, i), Pointer: "/x", Allow: []string{"y"}}
		}
		return keys.Some(out)
	}
	above := keys.NewKey{Permissions: keys.Some([]string{"manage:api-keys"}), PolicyPatch: wide()}
	above.MCPArgumentRules = rules("above", 40)
	below := above
	below.ParentKeyID, below.MCPArgumentRules = h.mint(h.op, above).Key.ID, rules("below", 24)
	maker := h.as(below)
	made := h.mint(maker, keys.NewKey{Name: "as many as may be"}).Key
	if len(made.Policy.ArgumentRules) != policy.MaxArgumentRules {
		t.Errorf("it has %d rules", len(made.Policy.ArgumentRules))
	}
	if err := errOf(h.svc.UpdateKey(h.ctx, maker, made.ID, keys.KeyPatch{Name: keys.Some("edited")})); err != nil {
		t.Errorf("editing it: %v", err)
	}
	below.MCPArgumentRules = rules("below", 25)
	maker = h.as(below)
	if err := errOf(h.svc.CreateKey(h.ctx, maker, keys.NewKey{Name: "one too many"})); !isInvalid(err) || !slices.Equal(fieldsOf(err), []string{"mcpArgumentRules"}) {
		t.Errorf("one rule too many: %v %v", err, fieldsOf(err))
	}
}
