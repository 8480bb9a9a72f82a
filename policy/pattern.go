package policy

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// The limits of a tool allowlist.
const (
	MaxPatterns      = 256 // distinct patterns in one list
	MaxPatternLength = 256 // characters in one pattern
)

// Pattern names tools. * is the only wildcard and stands for any characters;
// the rest is compared whole and case-sensitively. A pattern with a / is held
// against the canonical id, @name against the category, any other against the
// upstream (or built-in) name and the exposed name. The zero Pattern matches nothing.
type Pattern struct {
	text string
	target
	shape
}

// target is what a pattern is held against.
type target uint8

const (
	targetNone target = iota
	targetName
	targetID
	targetCategory
)

// shape sorts patterns by how they are matched; the common ones need no search.
type shape uint8

const (
	shapeExact  shape = iota
	shapePrefix       // text*
	shapeSuffix       // *text
	shapeAny          // *
	shapeGlob         // anything else
)

// PatternError says why a text is not a pattern.
type PatternError struct {
	Pattern string
	Problem string
}

func (e *PatternError) Error() string { return fmt.Sprintf("pattern %q %s", e.Pattern, e.Problem) }

// ParsePattern reads a pattern; the error is a *PatternError.
func ParsePattern(text string) (Pattern, error) {
	if problem := patternProblem(text); problem != "" {
		return Pattern{}, &PatternError{Pattern: text, Problem: problem}
	}
	p := Pattern{text: text, target: targetName}
	switch {
	case text[0] == '@':
		p.target = targetCategory
	case strings.Contains(text, "/"):
		p.target = targetID
	}
	p.shape = shapeOf(text)
	return p, nil
}

func patternProblem(text string) string {
	switch {
	case text == "":
		return "is empty: name a tool, or use * for all"
	case !utf8.ValidString(text):
		return "is not valid UTF-8"
	case utf8.RuneCountInString(text) > MaxPatternLength:
		return fmt.Sprintf("has more than %d characters", MaxPatternLength)
	case strings.ContainsAny(text, `?[]{}\`):
		return `has one of ?[]{}\: the only wildcard is *`
	case strings.ContainsFunc(text, unicode.IsControl):
		return "has a control character"
	case text[0] == '@' && !ValidCategory(text[1:]):
		return "is not @ and a category of a-z, 0-9 and -"
	}
	return ""
}

func shapeOf(text string) shape {
	last := len(text) - 1
	switch star := strings.IndexByte(text, '*'); {
	case star < 0:
		return shapeExact
	case last == 0:
		return shapeAny
	case star == last:
		return shapePrefix
	case star == 0 && strings.LastIndexByte(text, '*') == 0:
		return shapeSuffix
	}
	return shapeGlob
}

func (p Pattern) String() string { return p.text }

// Exact tells whether the pattern has no wildcard.
func (p Pattern) Exact() bool { return p.target != targetNone && p.shape == shapeExact }

// Match tells whether the pattern names the tool.
func (p Pattern) Match(t *Tool) bool {
	if t == nil {
		return false
	}
	v := viewOf(t)
	return v.ok && p.match(&v)
}

// MatchText holds the wildcard text against s itself, whatever the pattern
// would otherwise be held against.
func (p Pattern) MatchText(s string) bool { return p.target != targetNone && globMatch(p.text, s) }

func (p *Pattern) match(v *toolView) bool {
	switch p.target {
	case targetName:
		return p.matchText(v.upstream) || p.matchText(v.exposed)
	case targetID:
		return p.matchText(v.id)
	case targetCategory:
		return p.text[1:] == v.category
	}
	return false
}

func (p *Pattern) matchText(s string) bool {
	switch p.shape {
	case shapeExact:
		return p.text == s
	case shapePrefix:
		return strings.HasPrefix(s, p.text[:len(p.text)-1])
	case shapeSuffix:
		return strings.HasSuffix(s, p.text[1:])
	case shapeAny:
		return true
	}
	return globMatch(p.text, s)
}

// globMatch takes each literal between two stars at its leftmost place, which
// is enough when * is the only wildcard, and keeps the cost linear in practice.
func globMatch(pattern, s string) bool {
	star := strings.IndexByte(pattern, '*')
	if star < 0 {
		return pattern == s
	}
	if !strings.HasPrefix(s, pattern[:star]) {
		return false
	}
	pattern, s = pattern[star:], s[star:]
	for {
		pattern = pattern[1:]
		next := strings.IndexByte(pattern, '*')
		if next < 0 {
			return strings.HasSuffix(s, pattern)
		}
		at := strings.Index(s, pattern[:next])
		if at < 0 {
			return false
		}
		pattern, s = pattern[next:], s[at+next:]
	}
}
