package keys

import (
	"bytes"
	"encoding/json"
)

// Opt is a field of a request that may be absent (the zero Opt), null, or a value.
type Opt[T any] struct {
	Set   bool // the field was there
	Null  bool // and was null
	Value T
}

// Some is a present value.
func Some[T any](v T) Opt[T] { return Opt[T]{Set: true, Value: v} }

// Null is an explicit null.
func Null[T any]() Opt[T] { return Opt[T]{Set: true, Null: true} }

// UnmarshalJSON records null or the value.
func (o *Opt[T]) UnmarshalJSON(data []byte) error {
	*o = Opt[T]{Set: true}
	if bytes.Equal(bytes.TrimSpace(data), []byte("null")) {
		o.Null = true
		return nil
	}
	return json.Unmarshal(data, &o.Value)
}

// MarshalJSON writes null or the value. An absent field is left out by omitzero,
// which request types that are also sent have in their tags.
func (o Opt[T]) MarshalJSON() ([]byte, error) {
	if !o.Set || o.Null {
		return []byte("null"), nil
	}
	return json.Marshal(o.Value)
}

// IsZero is absence, for omitzero.
func (o Opt[T]) IsZero() bool { return !o.Set }

// StrictElem tells the strict decoder what to check below an Opt.
func (Opt[T]) StrictElem() any { var v T; return v }
