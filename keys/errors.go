package keys

import (
	"errors"
	"fmt"

	"github.com/bailiwick-mcp/bailiwick/policy"
)

// The errors that edges translate. Their texts are for people and hold no secret.
var (
	// ErrNotFound is absence, and equally what belongs to another tenant.
	ErrNotFound = errors.New("not found")
	// ErrBadCredential is any reason why a credential does not count: unknown,
	// malformed, revoked, expired, disabled. Which one is not told.
	ErrBadCredential = errors.New("invalid credential")
	// ErrUnauthenticated is a missing principal.
	ErrUnauthenticated = errors.New("not authenticated")
	// ErrNoTenant is a credential that counts, but neither it nor the request
	// names the tenant to act in.
	ErrNoTenant = errors.New("no tenant is named")
	// ErrUnavailable is a store that can't be reached now.
	ErrUnavailable = errors.New("store unavailable")
	// ErrVersion is an If-Match that does not match.
	ErrVersion = errors.New("changed since it was read")
)

// PermissionError is a right that the principal lacks.
type PermissionError struct {
	Needed string           // the permission, "" for an escalation
	Fields []policy.Problem // where the request exceeds the principal's own rights
	Hint   string
}

func (e *PermissionError) Error() string {
	if e.Needed != "" {
		return "permission " + e.Needed + " is needed"
	}
	return "exceeds your own rights"
}

// ConflictError is a name that is taken or a thing that is still in use.
type ConflictError struct {
	Field   string // wire name of the field, "" for the thing as a whole
	Problem string
}

func (e *ConflictError) Error() string {
	if e.Field == "" {
		return e.Problem
	}
	return fmt.Sprintf("%s: %s", e.Field, e.Problem)
}

// InvalidError is a request whose values can't be accepted; nothing was changed.
type InvalidError struct{ Fields []policy.Problem }

func (e *InvalidError) Error() string {
	if len(e.Fields) == 0 {
		return "invalid request"
	}
	msg := e.Fields[0].Field + ": " + e.Fields[0].Problem
	if n := len(e.Fields) - 1; n > 0 {
		msg += fmt.Sprintf(" (and %d more)", n)
	}
	return msg
}

func isNotFound(err error) bool { return errors.Is(err, ErrNotFound) }
