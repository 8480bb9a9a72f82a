package policy

import "strings"

// allowlist is a compiled mcpToolAllowlist with its mode.
type allowlist struct {
	names // the patterns, in the order given
	mode  listMode
}

type listMode uint8

const (
	listNothing listMode = iota // broken or unknown: nothing passes
	listAll
	listAllow
	listDeny
)

func (p *packed) mayMatch(e ends) bool {
	return (p.head^e.head)&firstBytes[p.fixed&15]|(p.tail^e.tail)&lastBytes[p.fixed>>4] == 0
}

func packPattern(p Pattern) packed {
	text := p.text
	if p.target == targetCategory {
		text = text[1:]
	}
	head, tail := text, text
	if star := strings.IndexByte(text, '*'); star >= 0 {
		head, tail = text[:star], text[strings.LastIndexByte(text, '*')+1:]
	}
	return packed{
		ends:  ends{endsOf(head).head, endsOf(tail).tail},
		fixed: uint8(min(len(head), 4)) | uint8(min(len(tail), 4))<<4,
		kind:  uint8(p.target) | uint8(p.shape)<<2,
	}
}

func (a *allowlist) pattern(i int) Pattern {
	kind := a.items[i].kind
	return Pattern{text: a.at(i), target: target(kind & 3), shape: shape(kind >> 2)}
}

// compileAllowlist fails closed: a list or mode that could not have been
// written lets nothing through, and a pattern that could not have been written
// matches nothing in an allow list and everything in a deny list.
func compileAllowlist(mode Mode, list []string) allowlist {
	a := allowlist{mode: listNothing}
	switch mode {
	case ModeAll:
		return allowlist{mode: listAll} // the list is kept in the store, and ignored here
	case ModeAllow:
		a.mode = listAllow
	case ModeDeny:
		a.mode = listDeny
	}
	list = distinct(list)
	if a.mode == listNothing || len(list) > MaxPatterns {
		return allowlist{}
	}
	for _, text := range list {
		p, err := ParsePattern(text)
		switch {
		case err == nil:
			a.add(text, packPattern(p))
		case mode == ModeDeny:
			return allowlist{}
		}
	}
	return a
}

// first is the index of the first pattern that names the tool, -1 when none does.
func (a *allowlist) first(v *toolView) int {
	for i := range a.items {
		p := &a.items[i]
		e := &v.ends[p.kind&3]
		if !p.mayMatch(e[0]) && !p.mayMatch(e[1]) {
			continue
		}
		if whole := a.pattern(i); whole.match(v) {
			return i
		}
	}
	return -1
}

func (a *allowlist) permits(v *toolView) bool {
	switch a.mode {
	case listAll:
		return true
	case listAllow:
		return a.first(v) >= 0
	case listDeny:
		return a.first(v) < 0
	}
	return false
}
