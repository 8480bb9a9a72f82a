package main

import (
	"slices"
	"time"

	"github.com/bailiwick-mcp/bailiwick/keys/wire"
)

// keyStanding is a key and what the keys above it make of it.
type keyStanding struct {
	wire.Key
	// State is its own: active, paused, disabled, expired or revoked.
	State string `json:"state"`
	// EndedBy is the nearest key above it that is disabled, expired, revoked or
	// purged, and with which it does not work any more.
	EndedBy *string `json:"endedBy"`
	// PausedBy is the nearest key above it that is paused, which stops its MCP access.
	PausedBy *string `json:"pausedBy"`
	// EndsAt is when the first of it and the keys above it expires; null is never.
	EndsAt *time.Time `json:"endsAt"`
	// Orphan tells that its parent is not among the tenant's keys.
	Orphan bool `json:"orphan"`

	ender, pauser, endsWith *keyNode // nil: none, or the key itself
	unseen                  bool     // an orphan whose parent may be there, for others
}

// keyNode is a key in the tree, with the keys below it, oldest first.
type keyNode struct {
	keyStanding
	Children []*keyNode `json:"children"`

	parent *keyNode
}

// growKeyTree makes trees of a tenant's keys, revoked ones too: first those of
// which the parent was purged, then the others, each kind in the order of list.
func growKeyTree(list []wire.Key, now time.Time) []*keyNode {
	nodes := make(map[string]*keyNode, len(list))
	inOrder := make([]*keyNode, len(list))
	confined := true // as keys that a key confined to a project is shown
	for i, k := range list {
		n := &keyNode{keyStanding: keyStanding{Key: k, State: keyState(k, now), EndsAt: k.ExpiresAt}, Children: []*keyNode{}}
		nodes[k.ID], inOrder[i] = n, n
		confined = confined && k.ProjectID != nil
	}
	var roots, orphans []*keyNode
	for _, n := range inOrder {
		switch {
		case n.ParentKeyID == nil:
			roots = append(roots, n)
		case nodes[*n.ParentKeyID] == nil:
			n.Orphan, n.unseen = true, confined
			orphans = append(orphans, n)
		default:
			n.parent = nodes[*n.ParentKeyID]
			n.parent.Children = append(n.parent.Children, n)
		}
	}
	seen := map[*keyNode]bool{}
	for _, n := range slices.Concat(roots, orphans) {
		n.see(seen)
	}
	for _, n := range inOrder { // what is left hangs on a loop
		if !seen[n] {
			n = n.cutLoop()
			n.see(seen)
			orphans = append(orphans, n)
		}
	}
	roots = append(orphans, roots...)
	for _, n := range roots {
		n.settle()
	}
	return roots
}

func (n *keyNode) see(seen map[*keyNode]bool) {
	seen[n] = true
	for _, child := range n.Children {
		child.see(seen)
	}
}

// cutLoop finds the loop that a key hangs on, which no store should hold, and
// takes a key of it from its parent.
func (n *keyNode) cutLoop() *keyNode {
	for passed := map[*keyNode]bool{}; !passed[n]; n = n.parent {
		passed[n] = true
	}
	n.parent.Children = slices.DeleteFunc(n.parent.Children, func(child *keyNode) bool { return child == n })
	n.parent, n.Orphan = nil, true
	return n
}

// settle says of the key, and of those below it, what the keys above do to it.
func (n *keyNode) settle() {
	if above := n.parent; above != nil {
		n.EndedBy, n.ender, n.PausedBy, n.pauser = above.EndedBy, above.ender, above.PausedBy, above.pauser
		switch above.State {
		case "active":
		case "paused":
			n.PausedBy, n.pauser = &above.ID, above
		default:
			n.EndedBy, n.ender = &above.ID, above
		}
		if above.EndsAt != nil && (n.EndsAt == nil || above.EndsAt.Before(*n.EndsAt)) {
			n.EndsAt, n.endsWith = above.EndsAt, above
			if above.endsWith != nil {
				n.endsWith = above.endsWith
			}
		}
	} else if n.Orphan && !n.unseen {
		n.EndedBy = n.ParentKeyID
	}
	for _, child := range n.Children {
		child.settle()
	}
}

// prune leaves revoked keys out that have no others below them.
func prune(nodes []*keyNode) []*keyNode {
	kept := []*keyNode{}
	for _, n := range nodes {
		if n.Children = prune(n.Children); n.RevokedAt == nil || len(n.Children) > 0 {
			kept = append(kept, n)
		}
	}
	return kept
}

// findKey finds a key by id, or else by handle, which revoked keys have no more.
func findKey(nodes []*keyNode, idOrHandle string) *keyNode {
	for _, by := range []func(n *keyNode) bool{
		func(n *keyNode) bool { return n.ID == idOrHandle },
		func(n *keyNode) bool { return n.Handle == idOrHandle && n.RevokedAt == nil },
	} {
		if n := firstKey(nodes, by); n != nil {
			return n
		}
	}
	return nil
}

func firstKey(nodes []*keyNode, is func(*keyNode) bool) *keyNode {
	for _, n := range nodes {
		if is(n) {
			return n
		}
		if below := firstKey(n.Children, is); below != nil {
			return below
		}
	}
	return nil
}

// path are the keys above, from the top.
func (n *keyNode) path() []keyStanding {
	out := []keyStanding{}
	for above := n.parent; above != nil; above = above.parent {
		out = append(out, above.keyStanding)
	}
	slices.Reverse(out)
	return out
}

func countKeys(nodes []*keyNode) (total int) {
	for _, n := range nodes {
		total += 1 + countKeys(n.Children)
	}
	return total
}
