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
	var out []byte
	kept, changed, last := false, false, 0
	err := spans(object, func(at span) error {
		if last == 0 {
			out, last = append(out, object[:at.key]...), at.key
		}
		value := object[at.value:at.end:at.end]
		next := change(decodeKey(object[at.key:at.keyEnd]), value)
		start := last // with the comma before the member
		if !kept {
			start = at.key
		}
		last = at.end
		if next == nil {
			changed = true
			return nil
		}
		changed = changed || len(next) != len(value) || &next[0] != &value[0]
		out = append(append(out, object[start:at.value]...), next...)
		kept = true
		return nil
	})
	if err != nil || !changed {
		return object, err
	}
	return append(out, object[last:]...), nil
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
