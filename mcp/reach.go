package mcp

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/policy"
)

// unnamedID is the id of nothing: only a key without limits reaches it.
const unnamedID = "?"

// withheld tells whether the key's instances and projects leave out a tool; of
// the gateway's own tools they leave out none.
func (g *Gateway) withheld(r *request, t *policy.Tool) bool {
	return t.InstanceID != "" && g.outsideIDs(r, t.InstanceID, t.ProjectID)
}

func (g *Gateway) outsideIDs(r *request, instanceID, projectID string) bool {
	return g.outside(r, &keys.Instance{Slug: "probe", ID: instanceID, ProjectID: projectID}, policy.RuleInstance, policy.RuleProject)
}

// showsTool tells whether the caller would see this tool of an instance.
func (g *Gateway) showsTool(r *request, i *keys.Instance, t *ToolInfo) bool {
	tool := policy.Tool{ID: i.Slug + "/" + t.Name, Name: t.ExposedName, Category: t.Category, Effect: t.Effect,
		InstanceID: i.ID, ProjectID: i.ProjectID, WriteEnabled: i.WriteEnabled}
	return r.principal.Grant().Decide(r.narrowing.session, &tool, g.cfg.Now()).Allowed()
}

// trailWithin leaves of audit entries those that tell the caller of nothing
// beyond its reach. A caller with limits gets of a tool that is unknown the
// same as of one that it does not reach, so that neither tells of the other:
// nothing, or, of its own denials, what it asked for.
func (g *Gateway) trailWithin(r *request, entries []keys.AuditEntry) []keys.AuditEntry {
	if !g.outsideIDs(r, unnamedID, unnamedID) {
		return entries
	}
	out := make([]keys.AuditEntry, 0, len(entries))
	for _, e := range entries {
		switch {
		case g.reachesSubject(r, &e):
		case e.Kind == "decision" && e.Actor == r.principal.Actor():
			e.Subject, e.Failed, e.Detail = "", []string{policy.RuleUnknown.String()}, nil
			e.Seen, e.Hash = keys.SeenOf(nil), "" // the hash is over all that is left out
		default:
			continue
		}
		out = append(out, e)
	}
	return out
}

// reachesSubject tells whether what an entry is about is within reach. What is
// gone, or was never there, is not.
func (g *Gateway) reachesSubject(r *request, e *keys.AuditEntry) bool {
	if e.Kind == "change" {
		thing, _, _ := strings.Cut(e.Action, ".")
		switch thing {
		case "instance":
			project := unnamedID
			if m := g.mounts.get(e.Subject); m != nil {
				project = m.instance.Load().ProjectID
			}
			return !g.outsideIDs(r, e.Subject, project)
		case "project":
			return !g.outside(r, &keys.Instance{Slug: "probe", ProjectID: e.Subject}, policy.RuleProject)
		case "approval": // of a call
			var detail struct{ After struct{ Subject string } }
			return json.Unmarshal(e.Detail, &detail) == nil && g.reachesTool(r, detail.After.Subject)
		}
		return true
	}
	if e.Tool == "" && e.Subject == "" {
		return true // about the key alone
	}
	return g.reachesTool(r, e.Subject)
}

// reachesTool tells whether what has a canonical id is within reach.
func (g *Gateway) reachesTool(r *request, id string) bool {
	slug, _, ok := strings.Cut(id, "/")
	if !ok || slug == serverName {
		return ok
	}
	s := r.tenant.catalog.Load().slugs[slug]
	return s != nil && !g.outsideIDs(r, s.instance.ID, s.instance.ProjectID)
}

// toolsShown leaves of an instance's tools those that the caller would see.
func (g *Gateway) toolsShown(r *request, i *keys.Instance, tools []ToolInfo) []ToolInfo {
	return slices.DeleteFunc(tools, func(t ToolInfo) bool { return !g.showsTool(r, i, &t) })
}
