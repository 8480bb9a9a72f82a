package mcp

import "strings"

// template is a URI template (RFC 6570) that uris are held against, to find out
// whose a uri is. It takes at least what the servers in use take for a fit, which
// differ in the details: that a uri fits permits nothing by itself, since the uri
// must be allowed as well.
//
// It is not a library's, for a template is an upstream's own text and a uri a
// client's: uritemplate (v3.0.2) needs hundreds of megabytes for a template of
// 2 KB with long prefixes ({a:9999}), and time that grows with the cube of the uri.
type template []templatePart

// templatePart is literal text, or an expression when it has a class.
type templatePart struct {
	literal string
	class   class
	first   byte // how an expression that is not empty begins; 0 = anyhow
}

// class is which characters an expression takes.
type class uint8

const (
	classNone    class = iota
	classSegment       // none of / ? #
	classAny
)

func (c class) takes(b byte) bool {
	return c == classAny || b != '/' && b != '?' && b != '#'
}

// parseTemplate is nil for one that can't be read: it is listed as announced,
// and no uri is its.
func parseTemplate(text string) template {
	var t template
	for text != "" {
		literal, rest, more := strings.Cut(text, "{")
		if strings.Contains(literal, "}") {
			return nil
		}
		if literal != "" {
			t = append(t, templatePart{literal: literal})
		}
		if !more {
			break
		}
		expression, after, closed := strings.Cut(rest, "}")
		if !closed || strings.Contains(expression, "{") {
			return nil
		}
		p, ok := parseExpression(expression)
		if !ok {
			return nil
		}
		t, text = append(t, p), after
	}
	return t
}

// parseExpression reads what is between braces (RFC 6570, section 2.2). A name
// is taken as it is.
func parseExpression(text string) (p templatePart, ok bool) {
	p.class = classSegment
	if text != "" {
		switch text[0] {
		case '+':
			text, p.class = text[1:], classAny
		case '#', '/', '?', '&':
			p.first, text, p.class = text[0], text[1:], classAny
		case '.', ';':
			p.first, text = text[0], text[1:]
		}
	}
	if strings.Contains(text, "*") { // some servers mean any path by {name*}
		p.class = classAny
	}
	return p, strings.Trim(text, ", ") != ""
}

// fits tells whether a uri may be an expansion. It takes from work the steps that
// it needed, and gives up, as on one that does not fit, when there are none left.
func (t template) fits(uri string, work *int) bool {
	if len(t) == 0 || *work < 0 {
		return false
	}
	if t[0].class == classNone && !strings.HasPrefix(uri, t[0].literal) {
		*work--
		return false
	}
	// at marks where in the uri the parts so far can end.
	at, next := make([]bool, len(uri)+1), make([]bool, len(uri)+1)
	at[0] = true
	for _, p := range t {
		if *work -= len(uri) + 1; *work < 0 {
			return false
		}
		clear(next)
		some := p.step(uri, at, next, work)
		if !some || *work < 0 {
			return false
		}
		at, next = next, at
	}
	return at[len(uri)]
}

// step marks where one more part can end, and tells whether it can anywhere.
func (p *templatePart) step(uri string, at, next []bool, work *int) (some bool) {
	inside := false // an expression that began before
	for i := range at {
		if p.class == classNone {
			if !at[i] || !strings.HasPrefix(uri[i:], p.literal[:1]) {
				continue
			}
			if *work -= len(p.literal); *work < 0 {
				return false
			}
			if strings.HasPrefix(uri[i:], p.literal) {
				next[i+len(p.literal)], some = true, true
			}
			continue
		}
		inside = inside && p.class.takes(uri[i-1])
		if inside || at[i] { // it may be empty, too
			next[i], some = true, true
		}
		if at[i] && (p.first == 0 || i < len(uri) && uri[i] == p.first) {
			inside = true
		}
	}
	return some
}
