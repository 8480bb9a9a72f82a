package rawjson

import (
	"bytes"
	"encoding/json"
	"errors"
)

// ErrInvalid is a text that is not valid JSON, or not of the kind asked for.
var ErrInvalid = errors.New("not valid JSON")

// Member is one member of an object.
type Member struct {
	Key   string          // decoded
	Value json.RawMessage // without white space around it

	key, start int // where the key and Value begin in the object's bytes
}

// Members calls visit for each member of the object that b is, in order, with
// the decoded key and the value's own bytes. It returns ErrInvalid when b is
// anything but one valid object, and the error of visit as soon as there is one.
// A visit may thus be followed by ErrInvalid: what stands behind is not known yet.
func Members(b []byte, visit func(key string, value []byte) error) error {
	return spans(b, func(at span) error { return visit(decodeKey(b[at.key:at.keyEnd]), b[at.value:at.end:at.end]) })
}

// List is the members of the object that b is, in order; nothing and ErrInvalid
// when b is anything but one valid object.
func List(b []byte) ([]Member, error) { return AppendList(make([]Member, 0, 8), b, maxDepth) }

// AppendList is List into a slice that is there already, on the stack perhaps;
// an object that nests deeper than limit objects and arrays is ErrInvalid.
func AppendList(list []Member, b []byte, limit int) ([]Member, error) {
	err := whole(b, scan{visit: func(at span) error {
		list = append(list, at.member(b, 0))
		return nil
	}}, maxDepth-min(limit, maxDepth)+1)
	if err != nil {
		return nil, err
	}
	return list, nil
}

// Field is the value of an object's member, nil when there is none or b is
// anything but one valid object. The last of several wins, as in encoding/json.
func Field(b []byte, key string) json.RawMessage {
	var value json.RawMessage
	err := spans(b, func(at span) error {
		if keyIs(b[at.key:at.keyEnd], key) {
			value = b[at.value:at.end:at.end]
		}
		return nil
	})
	if err != nil {
		return nil
	}
	return value
}

// Elements calls visit for each element of the array that b is, as Members does
// for an object's members.
func Elements(b []byte, visit func(value []byte) error) error {
	i := skipSpace(b, 0)
	if i >= len(b) || b[i] != '[' {
		return ErrInvalid
	}
	i = skipSpace(b, i+1)
	for first := true; first && i < len(b) && b[i] != ']' || !first && i < len(b) && b[i] == ','; first = false {
		if !first {
			i = skipSpace(b, i+1)
		}
		end, ok := skipValue(b, i, 2)
		if !ok {
			return ErrInvalid
		}
		if err := visit(b[i:end:end]); err != nil {
			return err
		}
		i = skipSpace(b, end)
	}
	return closed(b, i, ']')
}

// AppendListAndOf is AppendList, and appends to of the members of the member
// named key where that is an object; one pass does both.
func AppendListAndOf(list, of []Member, b []byte, key string) (_, _ []Member, err error) {
	err = whole(b, scan{visit: func(at span) error { list = append(list, at.member(b, 0)); return nil },
		nested: key, inner: func(at span, start int) error { of = append(of, at.member(b, start)); return nil }}, 1)
	if err != nil {
		return nil, nil, err
	}
	return list, of, nil
}

// span is where a member stands in its object's bytes.
type span struct{ key, keyEnd, value, end int }

// member is what stands there; start is where its object begins in b.
func (at span) member(b []byte, start int) Member {
	return Member{Key: decodeKey(b[at.key:at.keyEnd]), Value: b[at.value:at.end:at.end], key: at.key - start, start: at.value - start}
}

// scan is what is wanted of an object's members.
type scan struct {
	visit  func(at span) error
	nested string                         // the member whose own members are wanted too
	inner  func(at span, start int) error // for those, and where their object begins; nil = none are
}

// spans is Members with positions, and without decoding the keys.
func spans(b []byte, visit func(at span) error) error { return whole(b, scan{visit: visit}, 1) }

// whole scans b as one object and nothing else; depth is what that counts as.
func whole(b []byte, s scan, depth int) error {
	i := skipSpace(b, 0)
	if i >= len(b) || b[i] != '{' || depth > maxDepth {
		return ErrInvalid
	}
	end, err := s.object(b, i, depth)
	if err == nil && skipSpace(b, end) != len(b) {
		err = ErrInvalid
	}
	return err
}

// object scans the object that begins at i, and answers where it ends.
func (s *scan) object(b []byte, i, depth int) (end int, err error) {
	i = skipSpace(b, i+1)
	for first := true; first && i < len(b) && b[i] != '}' || !first && i < len(b) && b[i] == ','; first = false {
		if !first {
			i = skipSpace(b, i+1)
		}
		at, err := s.member(b, i, depth+1)
		if err != nil {
			return 0, err
		}
		if err := s.visit(at); err != nil {
			return 0, err
		}
		i = skipSpace(b, at.end)
	}
	if i >= len(b) || b[i] != '}' {
		return 0, ErrInvalid
	}
	return i + 1, nil
}

// member reads one key and value at i; depth is what the value counts as.
func (s *scan) member(b []byte, i, depth int) (at span, err error) {
	var ok bool
	at.key = i
	if at.keyEnd, ok = skipString(b, i); !ok {
		return span{}, ErrInvalid
	}
	if i = skipSpace(b, at.keyEnd); i >= len(b) || b[i] != ':' {
		return span{}, ErrInvalid
	}
	at.value = skipSpace(b, i+1)
	if s.inner != nil && at.value < len(b) && b[at.value] == '{' && depth <= maxDepth && keyIs(b[at.key:at.keyEnd], s.nested) {
		nested := scan{visit: func(inner span) error { return s.inner(inner, at.value) }}
		at.end, err = nested.object(b, at.value, depth)
		return at, err
	}
	if at.end, ok = skipValue(b, at.value, depth); !ok {
		return span{}, ErrInvalid
	}
	return at, nil
}

// closed checks that b ends with this bracket at i.
func closed(b []byte, i int, bracket byte) error {
	if i >= len(b) || b[i] != bracket || skipSpace(b, i+1) != len(b) {
		return ErrInvalid
	}
	return nil
}

// keyIs compares without decoding where it can, which is nearly always.
func keyIs(quoted []byte, key string) bool {
	if bytes.IndexByte(quoted, '\\') < 0 {
		return string(quoted[1:len(quoted)-1]) == key
	}
	return decode(quoted) == key
}
