package policy

import (
	"math/bits"
	"strings"
)

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

func patternEntry(p Pattern) entry {
	text := p.text
	if p.target == targetCategory {
		text = text[1:]
	}
	head, tail := text, text
	if star := strings.IndexByte(text, '*'); star >= 0 {
		head, tail = text[:star], text[strings.LastIndexByte(text, '*')+1:]
	}
	first, fixed := endsOf(head).head(), min(len(head), 4)
	if p.target == targetID {
		slug, _, whole := strings.Cut(head, "/")
		if first, fixed = slugMark(slug), 4; !whole {
			fixed = 0
		}
	}
	return entry{item{
		ends:  ends(first) | endsOf(tail)>>32<<32,
		fixed: uint8(5*fixed + min(len(tail), 4)),
		kind:  uint8(p.target) | uint8(p.shape)<<2,
	}, p.text}
}

// slugMark stands for the head of an id, since slugs often begin alike.
func slugMark(slug string) uint32 {
	e := endsOf(slug)
	return e.head() ^ bits.RotateLeft32(uint32(e>>32), 13) ^ uint32(len(slug))
}

func (a *allowlist) pattern(i int) Pattern {
	kind := a.item(i).kind
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
	var entries []entry
	for _, text := range list {
		p, err := ParsePattern(text)
		switch {
		case err == nil:
			entries = append(entries, patternEntry(p))
		case mode == ModeDeny:
			return allowlist{}
		}
	}
	a.names = layOut(entries)[0]
	return a
}

// first is the index of the first pattern that names the tool, -1 when none does.
func (a *allowlist) first(v *toolView) int {
	mem := a.mem[a.from:][:a.count*itemSize]
	for i := 0; len(mem) >= itemSize; i++ {
		s := mem[:itemSize]
		mem = mem[itemSize:]
		last := word(s[12:])
		fixed, e := fixedEnds[last>>24&31], &v.ends[last>>16&3]
		if agree := endsAt(s); (agree^e[0])&fixed != 0 && (agree^e[1])&fixed != 0 {
			continue
		}
		p := Pattern{a.mem[word(s[8:]):][:uint16(last)], target(last >> 16 & 3), shape(last >> 18 & 7)}
		if p.match(v) {
			return i
		}
	}
	return -1
}

// fixedEnds masks a name's ends to what a pattern fixes of them: h bytes of the
// head and t of the tail, at index 5h+t.
var fixedEnds = func() (masks [32]ends) {
	for h := range 5 {
		for t := range 5 {
			masks[5*h+t] = ends(1)<<(8*h) - 1 | ^(ends(1)<<(64-8*t) - 1)
		}
	}
	return masks
}()

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
