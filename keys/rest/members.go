package rest

import (
	"bytes"
	"encoding/json"
)

// members is a JSON object whose order is kept.
type members[T any] []member[T]

type member[T any] struct {
	Name  string
	Value T
}

// get answers the named value, and the zero one where it is absent.
func (m members[T]) get(name string) (value T, there bool) {
	for _, one := range m {
		if one.Name == name {
			return one.Value, true
		}
	}
	return value, false
}

// add appends; who adds sees to it that no name comes twice.
func (m *members[T]) add(name string, value T) {
	*m = append(*m, member[T]{name, value})
}

// MarshalJSON writes the members in their order.
func (m members[T]) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	b.WriteByte('{')
	for i, one := range m {
		if i > 0 {
			b.WriteByte(',')
		}
		name, err := json.Marshal(one.Name)
		if err != nil {
			return nil, err
		}
		value, err := plainJSON(one.Value)
		if err != nil {
			return nil, err
		}
		b.Write(name)
		b.WriteByte(':')
		b.Write(value)
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

// plainJSON leaves <, > and & as they are.
func plainJSON(v any) ([]byte, error) {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	err := encoder.Encode(v)
	return bytes.TrimSpace(b.Bytes()), err
}
