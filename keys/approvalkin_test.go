package keys_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/policy"
)

// guarded may make keys and answer for calls, and has a person approve its own.
func guarded() keys.NewKey {
	n := keys.NewKey{Permissions: keys.Some([]string{"manage:approvals", "manage:api-keys"}), PolicyPatch: full()}
	n.MCPApprovals = keys.Some([]policy.ApprovalRule{{Tool: "*", Effect: policy.EffectDestructive}})
	return n
}

// TestNobodyAnswersByKeysOfItsMaking: who needs approval itself gets it neither by
// calling with one key of its making and answering with another, nor by taking
// another's secret.
func TestNobodyAnswersByKeysOfItsMaking(t *testing.T) {
	h := newHouse(t)
	agent := h.as(guarded())
	made := func(by keys.Principal, parent string) keys.Principal {
		n := guarded()
		n.ParentKeyID = parent
		return h.login(h.mint(by, n).Secret)
	}
	far := agent
	for range 40 {
		far = made(far, "")
	}
	for name, c := range map[string]struct{ asks, answers keys.Principal }{
		"a key that it made asks, it answers":      {made(agent, ""), agent},
		"two keys that it made":                    {made(agent, ""), made(agent, "")},
		"two children":                             {made(agent, agent.KeyID()), made(agent, agent.KeyID())},
		"two children that the operator made":      {made(h.op, agent.KeyID()), made(h.op, agent.KeyID())},
		"a key of a key that it made, and a child": {made(made(agent, ""), ""), made(agent, agent.KeyID())},
		"a key that its child made":                {agent, made(made(h.op, agent.KeyID()), "")},
		"a child of a key that it made":            {agent, made(h.op, made(agent, "").KeyID())},
		"a key that such a child made asks":        {made(made(h.op, made(agent, "").KeyID()), ""), agent},
		"a key forty makers away answers":          {agent, far},
		"a key forty makers away asks":             {far, agent},
	} {
		a, _ := h.hold(c.asks, held(`{"of":"`+name+`"}`))
		var denied *keys.PermissionError
		if err := h.decide(c.answers, a.ID, true); !errors.As(err, &denied) || !strings.Contains(denied.Hint, "own calls") {
			t.Errorf("%s: got %v", name, err)
		}
	}
	a, _ := h.hold(made(agent, ""), held(`{}`))
	if err := h.decide(h.as(guarded()), a.ID, true); err != nil {
		t.Errorf("four eyes: %v", err)
	}
}

// TestNobodyTakesAKeyToAnswerWith: who needs approval and may answer gets no secret of
// a key but those below it.
func TestNobodyTakesAKeyToAnswerWith(t *testing.T) {
	h := newHouse(t)
	agent, other := h.as(guarded()), h.mint(h.op, guarded()).Key
	rotate := func(p keys.Principal, id string) error {
		return errOf(h.svc.RotateKey(h.ctx, p, id, keys.Rotation{}))
	}
	if err := rotate(agent, other.ID); !isDenied(err) || strings.Join(fieldsOf(err), " ") != "mcpApprovals" {
		t.Errorf("another key's secret: %v %v", err, fieldsOf(err))
	}
	child := guarded()
	child.ParentKeyID = agent.KeyID()
	if err := rotate(agent, h.mint(agent, child).Key.ID); err != nil {
		t.Errorf("its child's: %v", err)
	}
	if err := rotate(h.first, other.ID); err != nil {
		t.Errorf("by who needs no approval: %v", err)
	}
	mute := guarded()
	mute.Permissions = keys.Some([]string{"manage:api-keys"})
	if err := rotate(h.as(mute), h.mint(h.op, mute).Key.ID); err != nil {
		t.Errorf("by who answers for nobody: %v", err)
	}
}
