package rest

import (
	"context"
	"strings"

	"github.com/bailiwick-mcp/bailiwick/keys"
)

// Route is a route as documentation shows it.
type Route struct {
	Shape, Method, Path, Operation string
	Status                         int
	Needs                          string // the permission; "" = any credential, Anyone = none
	Body, BodyOptional             bool
	MediaType                      string // of the body
	Query                          []string
	IfMatch, Idempotent            bool
}

// Kind is the media type of the body.
func (r Route) Kind() string {
	if r.MediaType == "" {
		return "application/json"
	}
	return r.MediaType
}

// AsksForKeys tells a route that needs a permission, or any credential at all.
func (r Route) AsksForKeys() (permission, credential bool) {
	return r.Needs != anyone && r.Needs != anyKey, r.Needs != anyone
}

// Anyone is what a route needs that asks for no credential.
const Anyone = anyone

// Routes lists all routes of all shapes.
func Routes() []Route {
	var out []Route
	for _, s := range shapes(operations{}) {
		for _, r := range s.routes {
			one := Route{Shape: s.name, Method: r.method, Path: r.path, Operation: r.operation, Status: r.status, Needs: r.needs,
				Body: r.takes.body != nil, BodyOptional: r.takes.optional, MediaType: r.takes.mediaType,
				IfMatch: r.takes.ifMatch, Idempotent: r.takes.idempotent}
			for _, p := range r.takes.query {
				one.Query = append(one.Query, p.name)
			}
			out = append(out, one)
		}
	}
	return out
}

// Concrete is the path in the tenant "default" with every other wildcard replaced.
func (r Route) Concrete(id string) string { return r.In("default", id) }

// In is the path in a tenant, where it names one.
func (r Route) In(tenant, id string) string {
	query := ""
	switch r.Operation {
	case "explainKey":
		query = "?tool=notes__read_note"
	case "pollLogin":
		query = "?poll_token=x"
	}
	return strings.NewReplacer("{tenantId}", tenant, "{orgID}", tenant,
		"{id}", id, "{name}", id, "{ref}", id, "{keyName}", id, "{keyID}", id).Replace(r.Path) + query
}

// Whoami is the one operation that no method of the Service stands behind.
func Whoami(ctx context.Context, p keys.Principal) error {
	_, err := operations{}.whoami(ctx, p, nothing{})
	return err
}
