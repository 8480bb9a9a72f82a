package policy

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"unicode/utf8"
)

// MaxDepth is how deep a strictly decoded value may nest.
const MaxDepth = 100

// SyntaxError says where (a JSON pointer, RFC 6901, "" for the whole) and what
// is wrong; its text never quotes a value.
type SyntaxError struct {
	Pointer string
	Problem string
}

func (e *SyntaxError) Error() string {
	if e.Pointer == "" {
		return e.Problem
	}
	return e.Pointer + ": " + e.Problem
}

// StrictElem is for a type with an UnmarshalJSON of its own that wraps another
// one: what it returns (a value or a pointer) has the type that a non-null JSON
// value is checked against.
type StrictElem interface{ StrictElem() any }

// UnmarshalStrict decodes one JSON value and nothing after it. It refuses
// unknown, duplicate and case-variant object keys at any depth of v's type
// (duplicates within free-form values too), null where v has no place for it,
// lists of another length than an array's, invalid UTF-8, halves of surrogate
// pairs, and nesting beyond MaxDepth. The error is a *SyntaxError, and leaves v
// as it was.
//
// null is in place for a pointer, map, interface, and a type with its own
// UnmarshalJSON but time.Time, which would ignore it.
func UnmarshalStrict(data []byte, v any) error {
	dst := reflect.ValueOf(v)
	if dst.Kind() != reflect.Pointer || dst.IsNil() {
		return &SyntaxError{Problem: "cannot be decoded: the destination is not a pointer"}
	}
	if err := checkText(data); err != nil {
		return err
	}
	w := walker{data: data}
	if err := w.value(dst.Type().Elem()); err != nil {
		return err
	}
	// encoding/json leaves behind what it had decoded before an error, so it
	// gets a value of its own.
	whole := reflect.New(dst.Type().Elem())
	whole.Elem().Set(dst.Elem())
	if err := json.Unmarshal(data, whole.Interface()); err != nil {
		return w.cause(err, "has a wrong type or form")
	}
	dst.Elem().Set(whole.Elem())
	return nil
}

// checkText tells whether data is one JSON value, so that the walker may trust
// its grammar.
func checkText(data []byte) error {
	if len(bytes.TrimSpace(data)) == 0 {
		return &SyntaxError{Problem: "is empty: a JSON value is needed"}
	}
	if !utf8.Valid(data) {
		return &SyntaxError{Problem: "is not valid UTF-8"}
	}
	if json.Valid(data) {
		return nil
	}
	var one json.RawMessage
	if err := json.NewDecoder(bytes.NewReader(data)).Decode(&one); err == nil {
		return &SyntaxError{Problem: "has more data after the JSON value"}
	}
	var bad *json.SyntaxError
	if errors.As(json.Unmarshal(data, &one), &bad) {
		return &SyntaxError{Problem: fmt.Sprintf("is not valid JSON: see byte %d", bad.Offset)}
	}
	return &SyntaxError{Problem: "is not valid JSON"}
}
