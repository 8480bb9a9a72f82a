package wire

import (
	"fmt"
	"strings"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/policy"
)

// maxSpellingFaults bounds how much of a list of permissions is found fault with.
const maxSpellingFaults = 10

// read reads permissions as this spelling has them, and no other: a client that
// mixes two up is told, and not served by luck.
func (s Spelling) read(field string, texts []string) (permissions []string, faults []policy.Problem) {
	for _, text := range texts {
		primary, known := Permission(text)
		switch {
		case len(faults) == maxSpellingFaults:
			return nil, faults
		case !known:
			faults = append(faults, policy.Problem{Field: field, Problem: fmt.Sprintf(
				"%s is unknown: use * or one of %s with :read or :write", quote(text), strings.Join(s.resources(), ", "))})
		case s.Spell(primary) != text:
			faults = append(faults, policy.Problem{Field: field, Problem: fmt.Sprintf("write %s as %s", text, s.Spell(primary))})
		default:
			permissions = append(permissions, primary)
		}
	}
	return permissions, faults
}

func (s Spelling) resources() []string {
	return each(spelled, func(row [3]string) string { return row[s] })
}

// write writes permissions in this spelling; the answer is never nil.
func (s Spelling) write(permissions []string) []string { return each(permissions, s.Spell) }

func quote(s string) string {
	s = keys.WithoutToken(s) // before it is cut: a part of a token would not be known as one
	if r := []rune(s); len(r) > 64 {
		s = string(r[:64]) + "…"
	}
	return fmt.Sprintf("%q", s)
}
