package rest

import "strings"

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

// Concrete is the path with every wildcard replaced.
func (r Route) Concrete(id string) string {
	return strings.NewReplacer("{id}", id, "{name}", id).Replace(r.Path)
}
