package rest

import (
	"context"
	"errors"
	"math"
	"net/http"
	"strconv"
	"time"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/keys/wire"
	"github.com/bailiwick-mcp/bailiwick/policy"
)

// fault is an error that this package found by itself.
type fault struct{ wire.Problem }

func (f *fault) Error() string { return f.Code + ": " + f.Detail }

func malformed(code, detail string, fields ...policy.Problem) error {
	return &fault{wire.NewProblem(http.StatusBadRequest, code, detail, fields...)}
}

func badQuery(name, problem string) error {
	name = shorten(name)
	return malformed("malformed_query", name+": "+problem, policy.Problem{Field: name, Problem: problem})
}

// notFound is what every absent thing and every unknown path answers with.
func notFound() wire.Problem {
	return wire.NewProblem(http.StatusNotFound, "not_found", "there is no such thing here")
}

func internal() wire.Problem {
	return wire.NewProblem(http.StatusInternalServerError, "internal", "something went wrong in the server; nothing is known to have changed")
}

func unavailable() wire.Problem {
	return wire.NewProblem(http.StatusServiceUnavailable, "unavailable", "the store can't be reached now: try again")
}

// problemOf is the one table from errors to answers.
func problemOf(err error) wire.Problem {
	var (
		own      *fault
		syntax   *policy.SyntaxError
		denied   *keys.PermissionError
		conflict *keys.ConflictError
		invalid  *keys.InvalidError
		repeated *keys.IdempotencyError
		busy     *keys.BusyError
	)
	switch {
	case errors.As(err, &own):
		return own.Problem
	case errors.As(err, &syntax):
		return syntaxProblem(syntax)
	case errors.Is(err, keys.ErrUnauthenticated), errors.Is(err, keys.ErrBadCredential):
		return wire.Unauthenticated()
	case errors.Is(err, keys.ErrNoTenant):
		return wire.NoTenant()
	case errors.As(err, &denied):
		return deniedProblem(denied)
	case errors.Is(err, keys.ErrNotFound):
		return notFound()
	case errors.As(err, &conflict):
		var fields []policy.Problem
		if conflict.Field != "" {
			fields = []policy.Problem{{Field: conflict.Field, Problem: conflict.Problem}}
		}
		return wire.NewProblem(http.StatusConflict, "conflict", conflict.Error(), fields...)
	case errors.As(err, &repeated):
		return idempotencyProblem(repeated)
	case errors.Is(err, keys.ErrVersion):
		return wire.NewProblem(http.StatusPreconditionFailed, "version_mismatch", "it was changed since you read it: read it again")
	case errors.As(err, &invalid):
		return wire.NewProblem(http.StatusUnprocessableEntity, "invalid", invalid.Error(), invalid.Fields...)
	case errors.As(err, &busy):
		return wire.NewProblem(http.StatusTooManyRequests, "rate_limited", "too many requests: try again later")
	case errors.Is(err, keys.ErrStale):
		return wire.Stale()
	case errors.Is(err, keys.ErrAuditFull):
		return wire.AuditFull()
	case errors.Is(err, keys.ErrUnavailable), errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return unavailable()
	}
	return internal()
}

// retryAfter says when to try again, where an error knows.
func retryAfter(h http.Header, err error) {
	var (
		busy     *keys.BusyError
		repeated *keys.IdempotencyError
		wait     time.Duration
	)
	switch {
	case errors.As(err, &busy):
		wait = max(time.Second, busy.RetryAfter)
	case errors.As(err, &repeated):
		wait = repeated.RetryAfter
	}
	if wait > 0 {
		h.Set("Retry-After", strconv.Itoa(int(math.Ceil(wait.Seconds()))))
	}
}

func syntaxProblem(e *policy.SyntaxError) wire.Problem {
	field := shorten(wire.FieldOf(e.Pointer))
	if field == "" {
		return wire.NewProblem(http.StatusBadRequest, "malformed", "the body "+e.Problem)
	}
	return wire.NewProblem(http.StatusBadRequest, "malformed", field+" "+e.Problem, policy.Problem{Field: field, Problem: e.Problem})
}

func deniedProblem(e *keys.PermissionError) wire.Problem {
	code, detail := "permission_denied", e.Error()
	if e.Needed == "" {
		code, detail = "exceeds_rights", "this exceeds your own rights"
	}
	if e.Hint != "" {
		detail += ": " + e.Hint
	}
	return wire.NewProblem(http.StatusForbidden, code, detail, e.Fields...)
}

// shorten bounds what is echoed of a client's own words.
func shorten(s string) string {
	const most = 100
	s = keys.WithoutToken(s) // before it is cut: a part of a token would not be known as one
	if runes := []rune(s); len(runes) > most {
		return string(runes[:most]) + "…"
	}
	return s
}

func invalid(field, problem string) error {
	return &keys.InvalidError{Fields: []policy.Problem{{Field: field, Problem: problem}}}
}

func asInvalid(err error) (*keys.InvalidError, bool) {
	var invalid *keys.InvalidError
	ok := errors.As(err, &invalid)
	return invalid, ok
}

func asImport(err error) (*keys.ImportError, bool) {
	var faulty *keys.ImportError
	ok := errors.As(err, &faulty)
	return faulty, ok
}
