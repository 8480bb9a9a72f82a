package mcp

import (
	"context"
	"encoding/json"
	"slices"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/keys/wire"
	"github.com/bailiwick-mcp/bailiwick/mcp/rawjson"
	"github.com/bailiwick-mcp/bailiwick/policy"
)

// ToolInfo is one tool of an instance, for people.
type ToolInfo struct {
	Name        string // upstream name
	ExposedName string // as clients see it
	Category    string
	Effect      policy.Effect
	Digest      string
	Quarantined bool
	Problem     string          // why it is not offered; "" = it is
	Definition  json.RawMessage // as announced

	// Of a quarantined tool: what was approved. Empty = nothing was yet, or the
	// definition was not kept.
	ApprovedDigest string
	Approved       json.RawMessage
}

// Wire is the tool's JSON form.
func (t ToolInfo) Wire() wire.Tool {
	return wire.Tool{Name: t.Name, Exposed: t.ExposedName, Category: t.Category, Effect: t.Effect.String(),
		Digest: t.Digest, Quarantined: t.Quarantined, Problem: t.Problem, Definition: t.Definition,
		ApprovedDigest: t.ApprovedDigest, Approved: t.Approved}
}

// forModels is the JSON form without the words that nobody has approved: they
// are what the quarantine keeps from models.
func (t ToolInfo) forModels() wire.Tool {
	w := t.Wire()
	if !t.Quarantined {
		return w
	}
	w.Definition, w.Approved, w.ApprovedDigest = t.Approved, nil, ""
	if len(w.Definition) == 0 {
		w.Definition = rawjson.Prepend([]byte(`{}`), "name", rawjson.Quote(t.Name))
	}
	return w
}

// InstanceTools are the tools of an instance as stored or announced, with
// their classes, in the upstream's order; those that are left out say why. The
// caller has made sure that the instance is the principal's to see.
func (g *Gateway) InstanceTools(ctx context.Context, i keys.Instance) ([]ToolInfo, error) {
	var defs []keys.Definition
	if m := g.mounts.get(i.ID); m != nil {
		defs, _ = m.definitions()
	} else {
		var err error
		if defs, err = g.svc.Definitions(ctx, i); err != nil {
			return nil, err
		}
	}
	accepted, err := g.accepted(ctx, i, defs)
	if err != nil {
		return nil, err
	}
	_, left, err := newCatalog(nil, []mounted{{instance: i, defs: defs}})
	if err != nil {
		return nil, err
	}
	out := make([]ToolInfo, 0, len(defs))
	for _, d := range defs {
		if d.Kind != keys.KindTool {
			continue
		}
		category, effect := classify(i, d.Name, rawjson.Field(d.Raw, "annotations"))
		info := ToolInfo{Name: d.Name, ExposedName: exposedName(i.Slug, d.Name), Category: category,
			Effect: effect, Digest: d.Digest, Quarantined: i.Quarantined(&d), Definition: d.Raw}
		if info.Quarantined {
			info.ApprovedDigest, info.Approved = d.Pinned, accepted[d.Name]
		}
		for _, l := range left[i.ID] {
			if l.name == d.Name {
				info.Problem = l.reason
			}
		}
		out = append(out, info)
	}
	return out, nil
}

// accepted are the approved definitions by name, where one of the tools waits
// for approval; the mounts do not keep them.
func (g *Gateway) accepted(ctx context.Context, i keys.Instance, defs []keys.Definition) (map[string]json.RawMessage, error) {
	out := map[string]json.RawMessage{}
	if !slices.ContainsFunc(defs, func(d keys.Definition) bool { return i.Quarantined(&d) }) {
		return out, nil
	}
	stored, err := g.svc.Definitions(ctx, i)
	if err != nil {
		return nil, err
	}
	for _, d := range stored {
		if d.Kind == keys.KindTool {
			out[d.Name] = d.Accepted()
		}
	}
	return out, nil
}
