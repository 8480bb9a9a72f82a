package rest

import (
	"context"
	"strings"
	"time"

	"github.com/bailiwick-mcp/bailiwick/keys"
)

// Route is a route as documentation shows it.
type Route struct {
	Shape, Method, Path, Operation, Needs string
	Status                                int
}

// AsksForKeys tells a route that needs a permission, or any credential at all.
func (r Route) AsksForKeys() (permission, credential bool) {
	return r.Needs != anyone && r.Needs != anyKey, r.Needs != anyone
}

// Routes lists all routes of all shapes.
func Routes() []Route {
	var out []Route
	for _, s := range shapes(operations{}) {
		for _, r := range s.routes {
			out = append(out, Route{s.name, r.method, r.path, r.operation, r.needs, r.status})
		}
	}
	return out
}

// Concrete is the path in the tenant "default" with every other wildcard replaced.
func (r Route) Concrete(id string) string { return r.In("default", id) }

// In is the path in a tenant, where it names one.
func (r Route) In(tenant, id string) string {
	query := ""
	if r.Operation == "explainKey" {
		query = "?tool=notes__read_note"
	}
	return strings.NewReplacer("{tenantId}", tenant, "{orgID}", tenant,
		"{id}", id, "{name}", id, "{ref}", id, "{keyName}", id, "{keyID}", id).Replace(r.Path) + query
}

// Whoami is the one operation that no method of the Service stands behind.
func Whoami(ctx context.Context, p keys.Principal) error {
	_, err := operations{}.whoami(ctx, p, nothing{})
	return err
}

// HostLimit is the limit of what asks for no credential.
type HostLimit struct{ hostLimit }

// Allow takes a turn.
func (l *HostLimit) Allow(remoteAddr string, now time.Time) bool { return l.allow(remoteAddr, now) }

// Known is how many hosts it remembers.
func (l *HostLimit) Known() int { return len(l.hosts) }
