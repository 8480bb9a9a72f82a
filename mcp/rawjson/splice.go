package rawjson

import (
	"bytes"
	"encoding/json"
)

// Edit copies an object with changed values: change gets each member and
// returns its new value, the same one to keep it, nil to leave the member out.
// Every other byte stays as it is; an object without changes is not copied.
// What is not one valid object is returned as it is, with ErrInvalid.
func Edit(object json.RawMessage, change func(key string, value []byte) []byte) (json.RawMessage, error) {
	list, err := List(object)
	if err != nil {
		return object, err
	}
	return EditList(object, list, change), nil
}

// EditList is Edit of an object whose List is known.
func EditList(object json.RawMessage, list []Member, change func(key string, value []byte) []byte) json.RawMessage {
	var out []byte
	kept, last := false, 0 // whether a member was, and the end of what has been looked at
	for _, m := range list {
		next := change(m.Key, m.Value)
		end := m.start + len(m.Value)
		if out == nil && next != nil && len(next) == len(m.Value) && &next[0] == &m.Value[0] {
			kept, last = true, end
			continue
		}
		if out == nil {
			if !kept {
				last = m.key
			}
			out = append(make([]byte, 0, len(object)+len(next)), object[:last]...)
		}
		start := last // with the comma before the member
		if !kept {
			start = m.key
		}
		last = end
		if next != nil {
			out = append(append(out, object[start:m.start]...), next...)
			kept = true
		}
	}
	if out == nil {
		return object
	}
	return append(out, object[last:]...)
}

// Prepend is a copy of a checked object with one more member before the others.
// What is no object is returned as it is.
func Prepend(object []byte, key string, value []byte) []byte {
	if !IsObject(object) {
		return object
	}
	rest := object[skipSpace(object, 0)+1:]
	out := make([]byte, 0, len(object)+len(key)+len(value)+4)
	out = append(append(append(out, '{'), Quote(key)...), ':')
	out = append(out, value...)
	if next := skipSpace(rest, 0); next < len(rest) && rest[next] != '}' {
		out = append(out, ',')
	}
	return append(out, rest...)
}

// Replace is a copy of an object with the bytes of one member's value replaced;
// m is of the object's List.
func Replace(object []byte, m Member, value []byte) []byte {
	out := make([]byte, 0, len(object)-len(m.Value)+len(value))
	out = append(append(out, object[:m.start]...), value...)
	return append(out, object[m.start+len(m.Value):]...)
}

// Flatten turns line breaks into spaces, in place. In checked JSON they only
// stand between tokens, and messages travel one on a line (stdio) or as lines
// of an event (SSE), here and further on.
func Flatten(b []byte) {
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
