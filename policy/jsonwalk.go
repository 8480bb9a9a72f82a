package policy

import (
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"
)

var (
	unmarshalerType     = reflect.TypeFor[json.Unmarshaler]()
	textUnmarshalerType = reflect.TypeFor[encoding.TextUnmarshaler]()
	rawMessageType      = reflect.TypeFor[json.RawMessage]()
	timeType            = reflect.TypeFor[time.Time]()
)

// walker goes through a valid JSON text side by side with the type that it is
// to be decoded into. A nil type is free-form.
type walker struct {
	data []byte
	pos  int
	path []string
}

// value checks the value at pos and leaves pos behind it.
func (w *walker) value(t reflect.Type) error {
	if len(w.path) > MaxDepth {
		w.path = w.path[:1]
		return w.fault("nests too deeply")
	}
	c := w.peek()
	if t == nil {
		return w.inside(c, nil, nil)
	}
	nullable := false
	for t.Kind() == reflect.Pointer {
		t, nullable = t.Elem(), true
	}
	custom := reflect.PointerTo(t).Implements(unmarshalerType)
	switch {
	case c == 'n' && (nullable || custom && t != timeType || t.Kind() == reflect.Map || t.Kind() == reflect.Interface):
		w.literal()
		return nil
	case c == 'n':
		return w.fault("must not be null")
	case custom:
		return w.custom(t, c)
	case reflect.PointerTo(t).Implements(textUnmarshalerType):
		return w.leaf(t, c, c == '"')
	}
	return w.plain(t, c)
}

func (w *walker) plain(t reflect.Type, c byte) error {
	switch t.Kind() {
	case reflect.Interface:
		if t.NumMethod() > 0 {
			return w.fault("cannot be decoded into this type")
		}
		return w.inside(c, nil, nil)
	case reflect.Struct:
		if c != '{' {
			return w.fault(wants(t))
		}
		return w.object(fieldsOf(t), nil)
	case reflect.Map:
		if c != '{' {
			return w.fault(wants(t))
		}
		return w.object(nil, t.Elem())
	case reflect.Slice, reflect.Array:
		if t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.Uint8 {
			return w.leaf(t, c, c == '"')
		}
		if c != '[' {
			return w.fault(wants(t))
		}
		return w.list(t)
	}
	return w.leaf(t, c, true)
}

// custom checks what a type with its own UnmarshalJSON will see, then asks it.
func (w *walker) custom(t reflect.Type, c byte) error {
	var elem reflect.Type
	if s, ok := reflect.New(t).Interface().(StrictElem); ok {
		elem = reflect.TypeOf(s.StrictElem())
	}
	start := w.pos
	if err := w.value(elem); err != nil {
		return err
	}
	if t == rawMessageType {
		return nil
	}
	return w.decodes(t, start)
}

// leaf checks a value by decoding it alone.
func (w *walker) leaf(t reflect.Type, c byte, fits bool) error {
	start := w.pos
	if !fits || c == '{' || c == '[' {
		return w.fault(wants(t))
	}
	if err := w.inside(c, nil, nil); err != nil {
		return err
	}
	return w.decodes(t, start)
}

func (w *walker) decodes(t reflect.Type, start int) error {
	if err := json.Unmarshal(w.data[start:w.pos], reflect.New(t).Interface()); err != nil {
		return w.cause(err, wants(t))
	}
	return nil
}

// inside walks through any value, looking for duplicate names and broken text.
func (w *walker) inside(c byte, fields map[string]field, elem reflect.Type) error {
	switch c {
	case '{':
		return w.object(fields, elem)
	case '[':
		return w.list(nil)
	case '"':
		_, err := w.text()
		return err
	}
	w.literal()
	return nil
}

// object checks the names against fields (nil: any name is fine) and the values
// against their fields' types or elem.
func (w *walker) object(fields map[string]field, elem reflect.Type) error {
	w.pos++
	seen := map[string]struct{}{}
	for w.peek() != '}' {
		name, err := w.text()
		if err != nil {
			return err
		}
		w.path = append(w.path, name)
		if _, dup := seen[name]; dup {
			return w.fault("is there twice")
		}
		seen[name] = struct{}{}
		t := elem
		if fields != nil {
			f, ok := fields[name]
			if !ok {
				return w.fault(unknownField(fields, name))
			}
			t = f.checked()
		}
		w.peek()
		w.pos++ // the colon
		if err := w.value(t); err != nil {
			return err
		}
		w.path = w.path[:len(w.path)-1]
		if w.peek() == ',' {
			w.pos++
		}
	}
	w.pos++
	return nil
}

func (w *walker) list(t reflect.Type) error {
	var elem reflect.Type
	if t != nil {
		elem = t.Elem()
	}
	w.pos++
	n := 0
	for ; w.peek() != ']'; n++ {
		w.path = append(w.path, strconv.Itoa(n))
		if err := w.value(elem); err != nil {
			return err
		}
		w.path = w.path[:len(w.path)-1]
		if w.peek() == ',' {
			w.pos++
		}
	}
	w.pos++
	if t != nil && t.Kind() == reflect.Array && n != t.Len() {
		return w.fault(fmt.Sprintf("must have %d entries", t.Len()))
	}
	return nil
}

// text reads the string at pos. encoding/json turns half a surrogate pair into
// U+FFFD, by which two different names could become one.
func (w *walker) text() (string, error) {
	w.peek()
	start, escaped := w.pos, false
	for w.pos++; w.data[w.pos] != '"'; w.pos++ {
		if w.data[w.pos] == '\\' {
			escaped = true
			w.pos++
		}
	}
	w.pos++
	raw := w.data[start:w.pos]
	if !escaped {
		return string(raw[1 : len(raw)-1]), nil
	}
	if halfSurrogate(raw) {
		return "", w.fault("has half of a surrogate pair")
	}
	var s string
	if err := json.Unmarshal(raw, &s); err != nil {
		return "", w.fault("is not a valid string")
	}
	return s, nil
}

func halfSurrogate(raw []byte) bool {
	for i := 0; i < len(raw); i++ {
		if raw[i] != '\\' {
			continue
		}
		i++
		if raw[i] != 'u' {
			continue
		}
		switch unit := hexUnit(raw[i+1 : i+5]); {
		case unit >= 0xdc00 && unit <= 0xdfff:
			return true
		case unit >= 0xd800 && unit <= 0xdbff:
			rest := raw[i+5:]
			if len(rest) < 6 || rest[0] != '\\' || rest[1] != 'u' {
				return true
			}
			if low := hexUnit(rest[2:6]); low < 0xdc00 || low > 0xdfff {
				return true
			}
			i += 6
		}
		i += 4
	}
	return false
}

func hexUnit(four []byte) uint64 {
	unit, _ := strconv.ParseUint(string(four), 16, 16)
	return unit
}

// literal passes over a number, true, false or null.
func (w *walker) literal() {
	for w.pos < len(w.data) && !strings.ContainsRune(",]} \t\r\n", rune(w.data[w.pos])) {
		w.pos++
	}
}

// peek passes over white space and answers the next byte.
func (w *walker) peek() byte {
	for w.pos < len(w.data) && strings.IndexByte(" \t\r\n", w.data[w.pos]) >= 0 {
		w.pos++
	}
	if w.pos == len(w.data) {
		return 0
	}
	return w.data[w.pos]
}

func (w *walker) fault(problem string) error {
	return &SyntaxError{Pointer: pointer(w.path), Problem: problem}
}

// cause keeps what a nested strict decoding said; any other error may quote the
// value, so otherwise stands in for it.
func (w *walker) cause(err error, otherwise string) error {
	var inner *SyntaxError
	if errors.As(err, &inner) {
		return &SyntaxError{Pointer: pointer(w.path) + inner.Pointer, Problem: inner.Problem}
	}
	return w.fault(otherwise)
}

// maxNameShown bounds what a pointer repeats of a name that the sender chose.
const maxNameShown = 64

func pointer(path []string) string {
	var b strings.Builder
	for _, name := range path {
		if r := []rune(name); len(r) > maxNameShown {
			name = string(r[:maxNameShown]) + "…"
		}
		b.WriteString("/" + strings.NewReplacer("~", "~0", "/", "~1").Replace(name))
	}
	return b.String()
}
