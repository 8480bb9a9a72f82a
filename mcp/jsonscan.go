package mcp

import (
	"bytes"
	"encoding/json"
	"strconv"
)

// maxDepth bounds how deep a client's message may nest.
const maxDepth = 128

// member is one member of a JSON object: the decoded key and the raw value.
type member struct {
	key   string
	value json.RawMessage
	start int // offset of value in the object's bytes
}

// members lists the members of one valid JSON object, in order, without
// decoding the values; ok is false when raw is no object. Reading a message
// this way instead of with encoding/json keeps big integers and the bytes of
// what is passed on, and shows duplicate keys.
func members(raw []byte) (list []member, ok bool) {
	i := skipSpace(raw, 0)
	if i >= len(raw) || raw[i] != '{' {
		return nil, false
	}
	for i = skipSpace(raw, i+1); i < len(raw) && raw[i] != '}'; {
		keyEnd := skipString(raw, i)
		key := decodeKey(raw[i:keyEnd])
		i = skipSpace(raw, skipSpace(raw, keyEnd)+1) // over the colon
		end := skipValue(raw, i)
		list = append(list, member{key: key, value: raw[i:end], start: i})
		if i = skipSpace(raw, end); i < len(raw) && raw[i] == ',' {
			i = skipSpace(raw, i+1)
		}
	}
	return list, true
}

// field is the value of an object's member; nil when there is none or raw is
// no object. The last of several wins, as in encoding/json.
func field(raw []byte, key string) json.RawMessage {
	list, _ := members(raw)
	for i := len(list) - 1; i >= 0; i-- {
		if list[i].key == key {
			return list[i].value
		}
	}
	return nil
}

func isObject(raw []byte) bool {
	i := skipSpace(raw, 0)
	return i < len(raw) && raw[i] == '{'
}

func decodeKey(quoted []byte) string {
	if bytes.IndexByte(quoted, '\\') < 0 && len(quoted) >= 2 {
		return string(quoted[1 : len(quoted)-1])
	}
	var key string
	if json.Unmarshal(quoted, &key) != nil {
		return ""
	}
	return key
}

func skipSpace(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\t' || b[i] == '\n' || b[i] == '\r') {
		i++
	}
	return i
}

// skipString answers the offset after the string that starts at i.
func skipString(b []byte, i int) int {
	for i++; i < len(b); {
		n := bytes.IndexByte(b[i:], '"')
		if n < 0 {
			return len(b)
		}
		end := i + n
		slashes := 0
		for end-1-slashes >= i && b[end-1-slashes] == '\\' {
			slashes++
		}
		i = end + 1
		if slashes%2 == 0 {
			return i
		}
	}
	return len(b)
}

// skipValue answers the offset after the value that starts at i.
func skipValue(b []byte, i int) int {
	depth := 0
	for i < len(b) {
		switch b[i] {
		case '"':
			i = skipString(b, i)
		case '{', '[':
			depth++
			i++
		case '}', ']':
			if depth == 0 {
				return i
			}
			depth--
			i++
		case ',', ' ', '\t', '\n', '\r':
			if depth == 0 {
				return i
			}
			i++
			continue
		default:
			i++
			if depth == 0 && !closes(b, i) {
				continue
			}
		}
		if depth == 0 {
			return i
		}
	}
	return len(b)
}

// closes tells whether a bare literal that runs up to i ends there.
func closes(b []byte, i int) bool {
	if i >= len(b) {
		return true
	}
	switch b[i] {
	case ',', '}', ']', ' ', '\t', '\n', '\r', ':':
		return true
	}
	return false
}

// tooDeep tells whether a valid JSON text nests deeper than maxDepth.
func tooDeep(b []byte) bool {
	depth := 0
	for i := 0; i < len(b); {
		switch b[i] {
		case '"':
			i = skipString(b, i)
			continue
		case '{', '[':
			if depth++; depth > maxDepth {
				return true
			}
		case '}', ']':
			depth--
		}
		i++
	}
	return false
}

// quote is the JSON string of s.
func quote(s string) []byte {
	out, err := json.Marshal(s)
	if err != nil { // a string always marshals
		return []byte(strconv.Quote(s))
	}
	return out
}

// prepend is the object with one more member before the others.
func prepend(object []byte, key string, value []byte) []byte {
	open := skipSpace(object, 0)
	rest := object[open+1:]
	out := make([]byte, 0, len(object)+len(key)+len(value)+4)
	out = append(append(append(out, '{'), quote(key)...), ':')
	out = append(out, value...)
	if next := skipSpace(rest, 0); next < len(rest) && rest[next] != '}' {
		out = append(out, ',')
	}
	return append(out, rest...)
}

// replace is the object with the bytes of one member's value replaced.
func replace(object []byte, m member, value []byte) []byte {
	out := make([]byte, 0, len(object)+len(value))
	out = append(append(out, object[:m.start]...), value...)
	return append(out, object[m.start+len(m.value):]...)
}
