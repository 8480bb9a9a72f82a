package main

import (
	"context"
	"slices"
	"time"

	"github.com/bailiwick-mcp/bailiwick/keys/wire"
)

// stateTexts are the states of keys by id, with what the keys above make of each:
// a key whose parent is revoked is not active. The keys above may be missing from
// list, so all are asked for where one of it has a parent.
func stateTexts(ctx context.Context, ring keyring, list []wire.Key, now time.Time) (map[string]string, error) {
	texts := make(map[string]string, len(list))
	for _, k := range list {
		texts[k.ID] = keyState(k, now)
	}
	if !slices.ContainsFunc(list, func(k wire.Key) bool { return k.ParentKeyID != nil }) {
		return texts, nil
	}
	all, err := ring.Keys(ctx, keyQuery{revoked: true})
	if err != nil {
		return nil, err
	}
	var add func(nodes []*keyNode)
	add = func(nodes []*keyNode) {
		for _, n := range nodes {
			texts[n.ID] = n.stateText()
			add(n.Children)
		}
	}
	add(growKeyTree(all.Keys, now))
	return texts, nil
}
