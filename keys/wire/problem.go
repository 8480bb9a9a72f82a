package wire

import (
	"encoding/json"
	"io"
	"net/http"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/policy"
)

// Problem is an error answer as in RFC 9457, application/problem+json. Type is
// always about:blank (section 4.2.1), so that Title is the status's own text;
// Code is what a program looks at.
type Problem struct {
	Type   string           `json:"type" doc:"Always about:blank: code tells the errors apart." example:"about:blank"`
	Title  string           `json:"title" doc:"The status in words." example:"Unprocessable Entity"`
	Status int              `json:"status" doc:"The HTTP status." minimum:"400" maximum:"599" example:"422"`
	Detail string           `json:"detail" doc:"What is wrong and what to do, for people." example:"name: must not be empty"`
	Code   string           `json:"code" doc:"Which error it is, for programs." example:"invalid"`
	Errors []policy.Problem `json:"errors" doc:"The single fields that are at fault."`
}

// NewProblem makes one; detail is for people and says what to do next. What it
// repeats of a request is without the tokens in it.
func NewProblem(status int, code, detail string, fields ...policy.Problem) Problem {
	return Problem{Type: "about:blank", Title: http.StatusText(status), Status: status,
		Detail: keys.WithoutToken(detail), Code: code, Errors: each(fields, withoutToken)}
}

func withoutToken(p policy.Problem) policy.Problem {
	return policy.Problem{Field: keys.WithoutToken(p.Field), Problem: keys.WithoutToken(p.Problem)}
}

// Unauthenticated is the one answer to a credential that is missing, malformed,
// unknown, disabled, expired or revoked: the same bytes for all of them.
func Unauthenticated() Problem {
	return NewProblem(http.StatusUnauthorized, "unauthenticated",
		"a valid API key is needed: send it as Authorization: Bearer <key> or X-API-Key: <key>")
}

// NoTenant answers a credential that leaves it to the request to name the
// tenant, where the request does not.
func NoTenant() Problem {
	return NewProblem(http.StatusBadRequest, "tenant_required",
		"the token names no organization: name one in the header X-Org-Slug, by slug or id",
		policy.Problem{Field: "X-Org-Slug", Problem: "is required with this token"})
}

// Stale answers for a server that could not confirm for too long that it knows
// all edits (design: state.stale).
func Stale() Problem {
	return NewProblem(http.StatusServiceUnavailable, "state.stale",
		"this server has not reached its store for longer than it may answer from memory: try again, or ask another replica")
}

// AuditFull answers for a server that can record no more: its store can't be
// reached, and what may wait for it does.
func AuditFull() Problem {
	return NewProblem(http.StatusServiceUnavailable, "audit.full",
		"this server can't record what it does until it reaches its store again: try again, or ask another replica")
}

// Answer answers with the problem. A 401 carries WWW-Authenticate: Bearer
// unless the caller has set another challenge before, a 429 and a 503 Retry-After: 1.
func (p Problem) Answer(w http.ResponseWriter) { p.AnswerAs(w, "application/problem+json", p) }

// AnswerAs answers with the problem's status and headers, and another body.
func (p Problem) AnswerAs(w http.ResponseWriter, mediaType string, body any) {
	h := w.Header()
	h.Set("Content-Type", mediaType)
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	switch {
	case p.Status == http.StatusUnauthorized && h.Get("WWW-Authenticate") == "":
		h.Set("WWW-Authenticate", "Bearer")
	case (p.Status == http.StatusServiceUnavailable || p.Status == http.StatusTooManyRequests) && h.Get("Retry-After") == "":
		h.Set("Retry-After", "1")
	}
	w.WriteHeader(p.Status)
	_ = WriteJSON(w, body)
}

// WriteJSON writes v and a line's end, with <, > and & as they are: answers are
// never HTML. It fails where v can't be encoded, or w fails.
func WriteJSON(w io.Writer, v any) error {
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	return encoder.Encode(v)
}
