package policy

import (
	"encoding/json"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// pointerUnescape takes the escapes out of a token (RFC 6901, section 4): in one
// pass, so that ~01 is ~1 and not a slash.
var pointerUnescape = strings.NewReplacer("~1", "/", "~0", "~")

// pointerTree holds the JSON pointers that are looked for in one text, and what
// was found. One pass finds them all, however many there are.
type pointerTree struct {
	root pointerNode
	text walker
	bad  string // what is wrong with the text as a whole
}

// pointerNode is one token of a pointer, below the one before it.
type pointerNode struct {
	token    string
	children map[string][]*pointerNode // by their tokens, whatever their case

	at      int  // where its value begins
	count   int  // how many members have this name
	variant bool // another member's name differs from it by case alone
	broken  bool // a member's name below it can be read in two ways

	read    bool // text and problem say what its value is
	text    string
	problem string
}

// PointerProblem says why a text is no JSON pointer into a call's arguments; "" when
// it is one.
func PointerProblem(text string) string { return pointerProblem(text) }

// add looks for one more pointer; one that is none is never found.
func (t *pointerTree) add(pointer string) {
	n := &t.root
	for _, token := range pointerTokens(pointer) {
		child := n.child(token)
		if child == nil {
			child = &pointerNode{token: token}
			if n.children == nil {
				n.children = map[string][]*pointerNode{}
			}
			n.children[folded(token)] = append(n.children[folded(token)], child)
		}
		n = child
	}
}

// pointerTokens is nil for what is no pointer into an object.
func pointerTokens(pointer string) []string {
	if pointerProblem(pointer) != "" {
		return nil
	}
	tokens := strings.Split(pointer[1:], "/")
	for i, token := range tokens {
		tokens[i] = pointerUnescape.Replace(token)
	}
	return tokens
}

func (n *pointerNode) child(token string) *pointerNode {
	for _, c := range n.children[folded(token)] {
		if c.token == token {
			return c
		}
	}
	return nil
}

// folded is the same of all names that differ by case alone, as strings.EqualFold
// has it. What is folded already is not copied.
func folded(name string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case 'a' <= r && r <= 'z':
			return r - 'a' + 'A'
		case r < utf8.RuneSelf:
			return r
		}
		first := r
		for other := unicode.SimpleFold(r); other != r; other = unicode.SimpleFold(other) {
			first = min(first, other)
		}
		return first
	}, name)
}

// read finds the pointers in a JSON text; nil is one that is not there.
func (t *pointerTree) read(text []byte) {
	switch {
	case text == nil:
		return
	case !utf8.Valid(text) || !json.Valid(text):
		t.bad = "the arguments are no valid JSON"
		return
	}
	t.text.data = text
	if t.text.peek() != '{' {
		t.bad = "the arguments are no object"
		return
	}
	t.text.find(&t.root)
}

// find reads the value at pos, which is that of n, and leaves pos behind it. It
// goes no deeper than the pointers do.
func (w *walker) find(n *pointerNode) {
	c := w.peek()
	n.at = w.pos
	switch {
	case len(n.children) > 0 && c == '{':
		w.findMembers(n)
	case len(n.children) > 0 && c == '[':
		w.findElements(n)
	default:
		w.skip()
	}
}

func (w *walker) findMembers(n *pointerNode) {
	w.pos++
	for w.peek() != '}' {
		name, err := w.text()
		if err != nil { // what half a surrogate pair is, readers differ in
			n.broken = true
		}
		w.peek()
		w.pos++ // the colon
		if wanted := n.meets(name); wanted != nil {
			w.find(wanted)
		} else {
			w.skip()
		}
		if w.peek() == ',' {
			w.pos++
		}
	}
	w.pos++
}

// meets notes a member's name, and answers the child whose value it has. Names
// that differ by case are noted, since a reader may take the one for the other,
// as encoding/json does.
func (n *pointerNode) meets(name string) (first *pointerNode) {
	for _, c := range n.children[folded(name)] {
		if c.token != name {
			c.variant = true
			continue
		}
		if c.count++; c.count == 1 {
			first = c
		}
	}
	return first
}

// findElements takes the tokens for indices: digits without a leading zero (RFC
// 6901, section 4). That there is no element "-" needs no word.
func (w *walker) findElements(n *pointerNode) {
	w.pos++
	for i := 0; w.peek() != ']'; i++ {
		if wanted := n.child(strconv.Itoa(i)); wanted != nil {
			wanted.count++
			w.find(wanted)
		} else {
			w.skip()
		}
		if w.peek() == ',' {
			w.pos++
		}
	}
	w.pos++
}

// skip passes over a value, however deep.
func (w *walker) skip() {
	for depth := 0; w.pos < len(w.data); {
		switch w.peek() {
		case '"':
			w.skipText()
		case '{', '[':
			depth++
			w.pos++
		case '}', ']':
			depth--
			w.pos++
		case ',', ':':
			w.pos++
		default:
			w.literal()
		}
		if depth == 0 {
			return
		}
	}
}

func (w *walker) skipText() {
	for w.pos++; w.data[w.pos] != '"'; w.pos++ {
		if w.data[w.pos] == '\\' {
			w.pos++
		}
	}
	w.pos++
}

// value is the string at a pointer; problem says why there is none that every
// reader of the text would find there.
func (t *pointerTree) value(pointer string) (value, problem string) {
	tokens := pointerTokens(pointer)
	switch {
	case tokens == nil:
		return "", "it is no JSON pointer"
	case t.bad != "":
		return "", t.bad
	}
	n := &t.root
	for _, token := range tokens {
		parent := n
		n = parent.child(token)
		switch {
		case n == nil: // it was not looked for
			return "", "it is not there"
		case n.count > 1:
			return "", "it is there twice"
		case n.variant:
			return "", "it is there in another spelling"
		case n.count == 0:
			return "", "it is not there"
		case parent.broken:
			return "", "it is beside a name that is no valid text"
		}
	}
	if !n.read {
		n.read = true
		n.text, n.problem = t.textAt(n.at)
	}
	return n.text, n.problem
}

func (t *pointerTree) textAt(pos int) (text, problem string) {
	w := walker{data: t.text.data, pos: pos}
	if w.peek() != '"' {
		return "", "it is no string"
	}
	text, err := w.text()
	if err != nil {
		return "", "it is no valid text"
	}
	return text, ""
}
