package keys

import (
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/bailiwick-mcp/bailiwick/policy"
)

// faults collects all that is wrong with a request, by wire name of the field.
type faults []policy.Problem

func (f *faults) add(field, format string, args ...any) {
	*f = append(*f, policy.Problem{Field: field, Problem: fmt.Sprintf(format, args...)})
}

func (f faults) err() error {
	if len(f) == 0 {
		return nil
	}
	return &InvalidError{Fields: f}
}

const hasToken = "has an API key in it: leave it out, and rotate the key if others may have seen it"

// text checks the length in characters, the encoding and the characters.
func (f *faults) text(field, value string, least, most int) {
	switch n := utf8.RuneCountInString(value); {
	case n > most: // first, for what follows takes its time on a long text
		f.add(field, "must have %d to %d characters, has %d", least, most, n)
	case !utf8.ValidString(value):
		f.add(field, "must be valid UTF-8")
	case strings.ContainsFunc(value, misleads):
		f.add(field, "must have no control characters")
	case holdsToken(value):
		f.add(field, hasToken)
	case n < least && least == 1, least > 0 && strings.TrimSpace(value) == "":
		f.add(field, "must not be empty")
	case n < least:
		f.add(field, "must have %d to %d characters, has %d", least, most, n)
	}
}

// misleads tells the characters that let a text end a line or show itself in
// another order than it is read: a stranger's sign-in is approved by its name.
func misleads(r rune) bool {
	return unicode.IsControl(r) || '\u2028' <= r && r <= '\u202e' || '\u2066' <= r && r <= '\u2069'
}

// time checks that the year, in UTC, is one that RFC 3339 (section 1) can write:
// a time beyond it could be stored, and never be read again.
func (f *faults) time(field string, value time.Time) {
	if year := value.UTC().Year(); year < 1 || year > 9999 {
		f.add(field, "must be in the years 1 to 9999, in UTC")
	}
}

// slug checks [a-z0-9-]{1,most}. A token that somebody has made a slug of tells
// most of itself.
func (f *faults) slug(field, value string, most int) {
	switch {
	case value == "" || len(value) > most || strings.ContainsFunc(value, notSlug):
		f.add(field, "must be 1 to %d of a-z, 0-9 and -", most)
	case holdsToken(value):
		f.add(field, hasToken)
	}
}

func notSlug(r rune) bool {
	return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-'
}

// slugOf makes a slug of a name: other characters become single dashes. It
// answers the fallback where nothing is left.
func slugOf(name, fallback string, most int, keep string) string {
	var b strings.Builder
	for _, r := range strings.ToLower(name) {
		if r == '-' || notSlug(r) && !strings.ContainsRune(keep, r) {
			if s := b.String(); s != "" && !strings.HasSuffix(s, "-") {
				b.WriteByte('-')
			}
			continue
		}
		b.WriteRune(r)
	}
	s := strings.Trim(b.String(), "-")
	s = strings.TrimRight(s[:min(len(s), most)], "-")
	if strings.Trim(s, ".") == "" {
		return fallback
	}
	return s
}

// patch applies an optional field; null resets to the default.
func patch[T any](field *T, o Opt[T], reset T) {
	switch {
	case o.Set && o.Null:
		*field = reset
	case o.Set:
		*field = o.Value
	}
}

func distinct(list []string) []string {
	out := make([]string, 0, len(list))
	seen := make(map[string]bool, len(list))
	for _, v := range list {
		if !seen[v] {
			seen[v] = true
			out = append(out, v)
		}
	}
	return out
}
