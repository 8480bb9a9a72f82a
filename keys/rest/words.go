package rest

import (
	"errors"
	"slices"
	"strings"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/keys/wire"
	"github.com/bailiwick-mcp/bailiwick/policy"
)

// wordsOf translates the domain's words to a shape's: every permission, then
// the given pairs.
func wordsOf(spelling wire.Spelling, pairs ...string) *strings.Replacer {
	known := policy.KnownPermissions()
	slices.SortStableFunc(known, func(a, b string) int { return len(b) - len(a) }) // view:tenants before view:tenant
	var all []string
	for _, permission := range known {
		all = append(all, permission, spelling.Spell(permission))
	}
	return strings.NewReplacer(append(all, pairs...)...)
}

// worded is an operation's error in the words of a shape. What a client wrote
// is refused in its own words before an operation runs.
func worded(err error, words *strings.Replacer) error {
	var (
		invalid  *keys.InvalidError
		conflict *keys.ConflictError
		denied   *keys.PermissionError
	)
	switch {
	case words == nil:
		return err
	case errors.As(err, &invalid):
		return &keys.InvalidError{Fields: wordedFields(invalid.Fields, words)}
	case errors.As(err, &conflict):
		return &keys.ConflictError{Field: words.Replace(conflict.Field), Problem: words.Replace(conflict.Problem)}
	case errors.As(err, &denied):
		return &keys.PermissionError{Needed: words.Replace(denied.Needed), Hint: words.Replace(denied.Hint),
			Fields: wordedFields(denied.Fields, words)}
	}
	return err
}

func wordedFields(fields []policy.Problem, words *strings.Replacer) []policy.Problem {
	out := slices.Clone(fields)
	for i := range out {
		out[i].Field, out[i].Problem = words.Replace(out[i].Field), words.Replace(out[i].Problem)
	}
	return out
}
