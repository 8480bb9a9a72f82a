package mcp

import (
	"context"
	"strings"

	mcpgo "github.com/mark3labs/mcp-go/mcp"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/policy"
)

// heldArguments holds a call's arguments against what the policy demands of them.
// What has none (a resource, a completion) lacks whatever is demanded. A resource is
// held under each spelling of its uri, so that no rule is passed by another one.
func (q *question) heldArguments(grant *policy.Grant, c choice) policy.ArgumentDecision {
	arguments := q.arguments
	if !hasArguments(q.method) { // params.arguments of another method reach nobody
		arguments = nil
	}
	d := grant.DecideArguments(c.tool, arguments, q.projects)
	if q.target.kind != kindResource || !d.Allowed() || !grant.HoldsArguments() {
		return d
	}
	slug := slugOf(c.tool)
	if q.catalog.slugs[slug] == nil {
		return policy.ArgumentDecision{}
	}
	for _, uri := range spellings(q.target.name) {
		if d = grant.DecideArguments(q.catalog.itself(slug, uri), arguments, q.projects); !d.Allowed() {
			return d
		}
	}
	return d
}

// hasArguments tells whether a method's arguments reach the upstream.
func hasArguments(method string) bool {
	return method == string(mcpgo.MethodToolsCall) || method == string(mcpgo.MethodPromptsGet)
}

// maxPointersNamed bounds what one error says.
const maxPointersNamed = 8

// badArguments refuses a call whose arguments its key's policy does not allow. The
// client may see what it named, so it is told where the fault is.
func (g *Gateway) badArguments(ctx context.Context, r *request, v verdict) reply {
	ref := newReference()
	g.recordDenial(ctx, r, v, ref)
	pointers := v.arguments.Pointers()
	if len(pointers) > maxPointersNamed {
		pointers = append(pointers[:maxPointersNamed:maxPointersNamed], "and others")
	}
	return failure(r.msg.id, mcpgo.INVALID_PARAMS, "Argument not allowed: "+strings.Join(pointers, ", ")+" (ref "+ref+")", nil)
}

// readProjects reads the projects of the tenants in which an instance's rules say
// that arguments name them.
func (g *Gateway) readProjects(ctx context.Context, instances []keys.Instance) (map[string]policy.Projects, error) {
	named := map[string]policy.Projects{}
	for _, i := range instances {
		for _, rule := range i.Tools {
			if rule.ProjectPointer == "" || named[i.TenantID] != nil {
				continue
			}
			projects, err := g.svc.ProjectNames(ctx, i.TenantID)
			if err != nil {
				return nil, err
			}
			named[i.TenantID] = projects
		}
	}
	return named, nil
}

// nameProjects puts what was read in the place of what was known.
func (g *Gateway) nameProjects(named map[string]policy.Projects) {
	for tenantID := range named {
		g.tenantOf(tenantID)
	}
	for _, tenantID := range g.tenantIDs() {
		t := g.tenantOf(tenantID)
		if projects, there := named[tenantID]; there {
			t.projects.Store(&projects)
		} else {
			t.projects.Store(nil)
		}
	}
}

// forgetProjects drops what an edit may be about and can't be read now; without
// changes it may be about any.
func (g *Gateway) forgetProjects(changes []keys.Change) {
	for _, c := range changes {
		g.tenantOf(c.TenantID).projects.Store(nil)
	}
	if len(changes) > 0 {
		return
	}
	for _, tenantID := range g.tenantIDs() {
		g.tenantOf(tenantID).projects.Store(nil)
	}
}
