package upstream

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"math/bits"
)

// maxDepth is how deep values may nest, as in encoding/json.
const maxDepth = 10000

var errJSON = errors.New("not valid JSON")

// span is where a member stands in its object's bytes.
type span struct{ key, value, end int }

// members calls visit for each member of the object that b is, in order, with
// the decoded key and the value's own bytes (without spare capacity, so that
// appending to one cannot touch the next).
func members(b []byte, visit func(key string, value []byte) error) error {
	return spans(b, func(key string, at span) error { return visit(key, b[at.value:at.end:at.end]) })
}

// spans is members with positions. Everything in b is checked against RFC 8259
// in the same pass. It is here instead of encoding/json because that scans an
// answer twice, matches keys regardless of case and hides duplicates.
func spans(b []byte, visit func(key string, at span) error) error {
	i := skipSpace(b, 0)
	if i >= len(b) || b[i] != '{' {
		return errJSON
	}
	i = skipSpace(b, i+1)
	for first := true; first && i < len(b) && b[i] != '}' || !first && i < len(b) && b[i] == ','; first = false {
		if !first {
			i = skipSpace(b, i+1)
		}
		key, at, ok := member(b, i)
		if !ok {
			return errJSON
		}
		if err := visit(key, at); err != nil {
			return err
		}
		i = skipSpace(b, at.end)
	}
	return closed(b, i, '}')
}

// member reads one key and value at i.
func member(b []byte, i int) (key string, at span, ok bool) {
	at.key = i
	if i, ok = skipString(b, i); !ok {
		return "", span{}, false
	}
	key, ok = text(b[at.key:i])
	i = skipSpace(b, i)
	if !ok || i >= len(b) || b[i] != ':' {
		return "", span{}, false
	}
	at.value = skipSpace(b, i+1)
	at.end, ok = skipValue(b, at.value, 2)
	return key, at, ok
}

// closed checks that b ends with this bracket at i.
func closed(b []byte, i int, bracket byte) error {
	if i >= len(b) || b[i] != bracket || skipSpace(b, i+1) != len(b) {
		return errJSON
	}
	return nil
}

// elements calls visit for each element of the array that b is.
func elements(b []byte, visit func(value []byte) error) error {
	i := skipSpace(b, 0)
	if i >= len(b) || b[i] != '[' {
		return errJSON
	}
	i = skipSpace(b, i+1)
	for first := true; first && i < len(b) && b[i] != ']' || !first && i < len(b) && b[i] == ','; first = false {
		if !first {
			i = skipSpace(b, i+1)
		}
		end, ok := skipValue(b, i, 2)
		if !ok {
			return errJSON
		}
		if err := visit(b[i:end:end]); err != nil {
			return err
		}
		i = skipSpace(b, end)
	}
	return closed(b, i, ']')
}

// text decodes a JSON string.
func text(b []byte) (string, bool) {
	if len(b) < 2 || b[0] != '"' {
		return "", false
	}
	if bytes.IndexByte(b, '\\') < 0 {
		return string(b[1 : len(b)-1]), true
	}
	var s string
	err := json.Unmarshal(b, &s)
	return s, err == nil
}

// isObject reports whether a checked value is an object.
func isObject(b []byte) bool { return len(b) > 0 && b[0] == '{' }

// validObject reports whether b is one JSON object and nothing else.
func validObject(b []byte) bool {
	return members(b, func(string, []byte) error { return nil }) == nil
}

// flatten turns line breaks into spaces, in place. In checked JSON they only
// stand between tokens, and messages travel one on a line (stdio) or as lines
// of an event (SSE), here and further on.
func flatten(b []byte) {
	for _, c := range []byte{'\n', '\r'} {
		for i := bytes.IndexByte(b, c); i >= 0; {
			b[i] = ' '
			next := bytes.IndexByte(b[i:], c)
			if next < 0 {
				break
			}
			i += next
		}
	}
}

func skipSpace(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\n' || b[i] == '\r' || b[i] == '\t') {
		i++
	}
	return i
}

// skipValue returns the index behind the value that starts at i.
func skipValue(b []byte, i, depth int) (int, bool) {
	if i >= len(b) || depth > maxDepth {
		return 0, false
	}
	switch b[i] {
	case '"':
		return skipString(b, i)
	case '{', '[':
		return skipNested(b, i, depth)
	case 't':
		return skipWord(b, i, "true")
	case 'f':
		return skipWord(b, i, "false")
	case 'n':
		return skipWord(b, i, "null")
	default:
		return skipNumber(b, i)
	}
}

// skipNested skips an object or array.
func skipNested(b []byte, i, depth int) (int, bool) {
	object, closer := b[i] == '{', b[i]+2
	i = skipSpace(b, i+1)
	if i < len(b) && b[i] == closer {
		return i + 1, true
	}
	for {
		var ok bool
		if object {
			if i, ok = skipString(b, i); !ok {
				return 0, false
			}
			if i = skipSpace(b, i); i >= len(b) || b[i] != ':' {
				return 0, false
			}
			i = skipSpace(b, i+1)
		}
		if i, ok = skipValue(b, i, depth+1); !ok {
			return 0, false
		}
		if i = skipSpace(b, i); i >= len(b) {
			return 0, false
		}
		if b[i] == closer {
			return i + 1, true
		}
		if b[i] != ',' {
			return 0, false
		}
		i = skipSpace(b, i+1)
	}
}

func skipWord(b []byte, i int, word string) (int, bool) {
	end := i + len(word)
	return end, end <= len(b) && string(b[i:end]) == word
}

func skipString(b []byte, i int) (int, bool) {
	if i >= len(b) || b[i] != '"' {
		return 0, false
	}
	for i = skipPlain(b, i+1); i < len(b); i = skipPlain(b, i+1) {
		switch c := b[i]; {
		case c == '"':
			return i + 1, true
		case c < ' ':
			return 0, false
		case c == '\\':
			i++
			if i >= len(b) {
				return 0, false
			}
			switch b[i] {
			case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
			case 'u':
				if i+4 >= len(b) || !hex4(b[i+1:i+5]) {
					return 0, false
				}
				i += 4
			default:
				return 0, false
			}
		}
	}
	return 0, false
}

// skipPlain passes over bytes that mean nothing in a string, eight at a time:
// most of a large answer is text. The last seven bytes of b it leaves to the caller.
func skipPlain(b []byte, i int) int {
	const ones, high = 0x0101010101010101, 0x8080808080808080
	for ; i+8 <= len(b); i += 8 {
		x := binary.LittleEndian.Uint64(b[i:])
		quote, slash := x^ones*'"', x^ones*'\\'
		// The lowest bit is at the first quote, backslash or control character.
		if special := ((quote-ones)&^quote | (slash-ones)&^slash | (x-ones*' ')&^x) & high; special != 0 {
			return i + bits.TrailingZeros64(special)/8
		}
	}
	return i
}

func hex4(b []byte) bool {
	for _, c := range b {
		if (c < '0' || c > '9') && (c|0x20 < 'a' || c|0x20 > 'f') {
			return false
		}
	}
	return true
}

func skipNumber(b []byte, i int) (int, bool) {
	if i < len(b) && b[i] == '-' {
		i++
	}
	switch {
	case i < len(b) && b[i] == '0':
		i++
	default:
		start := i
		if i = skipDigits(b, i); i == start {
			return 0, false
		}
	}
	if i < len(b) && b[i] == '.' {
		start := i + 1
		if i = skipDigits(b, start); i == start {
			return 0, false
		}
	}
	if i < len(b) && b[i]|0x20 == 'e' {
		i++
		if i < len(b) && (b[i] == '+' || b[i] == '-') {
			i++
		}
		start := i
		if i = skipDigits(b, i); i == start {
			return 0, false
		}
	}
	return i, true
}

func skipDigits(b []byte, i int) int {
	for i < len(b) && b[i] >= '0' && b[i] <= '9' {
		i++
	}
	return i
}
