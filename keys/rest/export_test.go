package rest

import "strings"

// Route is a route as documentation shows it.
type Route struct {
	Method, Path, Operation string
	Status                  int
}

// Routes lists all routes of all shapes.
func Routes() []Route {
	var out []Route
	for _, s := range shapes(operations{}) {
		for _, r := range s.routes {
			out = append(out, Route{r.method, r.path, r.operation, r.status})
		}
	}
	return out
}

// Concrete is the path with every wildcard replaced.
func (r Route) Concrete(id string) string {
	query := ""
	if r.Operation == "explainKey" {
		query = "?tool=notes__read_note"
	}
	return strings.NewReplacer("{id}", id, "{name}", id, "{ref}", id).Replace(r.Path) + query
}
