package rest

import (
	"encoding/json"
	"net/http"
	"strings"

	"github.com/bailiwick-mcp/bailiwick/keys/wire"
	"github.com/bailiwick-mcp/bailiwick/policy"
)

// failures are the statuses that a route can fail with.
func failures(s shape, r route) []int {
	out := []int{400}
	if r.needs != anyone {
		out = append(out, 401)
	}
	out = append(out, 403) // at the least for a Host or Origin that is not ours
	if strings.Contains(r.path, "{") || readsOrganization(s) {
		out = append(out, 404)
	}
	if r.method != http.MethodGet {
		out = append(out, 409)
	}
	if r.takes.ifMatch {
		out = append(out, 412)
	}
	out = append(out, 413) // of a body that was not asked for, too
	if r.takes.body != nil {
		out = append(out, 415)
	}
	if r.takes.body != nil || r.takes.idempotent || hasText(r.takes.query) {
		out = append(out, 422)
	}
	// 429 is for sign-ins, and for a key that was not looked up for all the wrong ones.
	return append(out, 429, 500, 503)
}

func hasText(query []param) bool {
	for _, p := range query {
		if p.kind == "string" {
			return true
		}
	}
	return false
}

// errorDocs is what a status is answered for, with an example.
var errorDocs = map[int]struct {
	about   string
	example wire.Problem
}{
	400: {"What was sent can't be read: JSON that is broken, a field or parameter that is unknown, there twice, or of the wrong type, or two different credentials.",
		wire.NewProblem(400, "malformed", "nme unknown field: did you mean name?", policy.Problem{Field: "nme", Problem: "unknown field: did you mean name?"})},
	401: {"The credential is missing, unknown, disabled, expired or revoked: the answer is the same.", wire.Unauthenticated()},
	403: {"The key counts, and does not have this right: it lacks the permission, its scope does not open REST, or the request goes beyond its own rights.",
		wire.NewProblem(403, "permission_denied", "permission manage:api-keys is needed")},
	404: {"There is no such thing for this key: unknown, malformed, or another tenant's.", notFound()},
	405: {"The path does not answer to this method; see Allow.", wire.NewProblem(405, "method_not_allowed", "this path answers to GET, HEAD")},
	409: {"It clashes with what is there: a name that is taken, a thing in use, a key that is revoked.",
		wire.NewProblem(409, "conflict", "slug: another project has this slug", policy.Problem{Field: "slug", Problem: "another project has this slug"})},
	412: {"It was changed since the version that If-Match names.", wire.NewProblem(412, "version_mismatch", "it was changed since you read it: read it again")},
	413: {"The body is too large.", wire.NewProblem(413, "too_large", "the body is larger than 1048576 bytes")},
	415: {"The body is not said to be JSON, or is compressed.", wire.NewProblem(415, "not_json", "the body must be JSON: send Content-Type: application/json")},
	422: {"A value can't be accepted; nothing was changed. Every fault is listed.",
		wire.NewProblem(422, "invalid", "name: must not be empty", policy.Problem{Field: "name", Problem: "must not be empty"})},
	429: {"Too much was asked for; see Retry-After.", wire.NewProblem(429, "rate_limited", "too many requests: try again later")},
	500: {"Something went wrong in the server.", internal()},
	503: {"The server can't answer now; see Retry-After.", unavailable()},
}

// failure is a reference to the response of a status, as the path answers it.
func (d *document) failure(status int, path string) *response {
	name, short := strings.ReplaceAll(http.StatusText(status), " ", ""), false
	for prefix := range faults {
		short = short || strings.HasPrefix(path, prefix)
	}
	if short {
		name += "Short"
	}
	if _, there := d.Components.Responses.get(name); !there {
		d.Components.Responses.add(name, d.failureResponse(status, short))
	}
	return &response{Ref: "#/components/responses/" + name}
}

func (d *document) failureResponse(status int, short bool) *response {
	doc := errorDocs[status]
	r := &response{Description: doc.about}
	text := func(name, about, example string) {
		r.Headers.add(name, header{about, true, &schema{Type: kinds{"string"}}, example})
	}
	switch status {
	case http.StatusUnauthorized:
		text("WWW-Authenticate", "How to authenticate.", "Bearer")
	case http.StatusMethodNotAllowed:
		text("Allow", "The methods that the path answers to.", "GET, HEAD")
	case http.StatusConflict:
		r.Headers.add("Retry-After", header{"After how many seconds to try again, where the same request with the same Idempotency-Key is being answered now.",
			false, &schema{Type: kinds{"string"}}, "1"})
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		text("Retry-After", "After how many seconds to try again.", "1")
	}
	kind, body, example := "application/problem+json", typeOf[wire.Problem](), any(doc.example)
	if short {
		kind, body, example = "application/json", typeOf[wire.Fault](), wire.Fault{Error: doc.example.Detail}
	}
	raw, err := plainJSON(example)
	if err != nil { // of texts it never fails
		raw = nil
	}
	r.Content = members[mediaType]{{kind, mediaType{d.schemas.of(body, answered), json.RawMessage(raw)}}}
	return r
}
