package policy

import (
	"encoding/json"
	"slices"
)

// Limit is a nullable list: null on the wire means no limit, a list means only
// these, and an empty list means nothing. The zero Limit lets nothing through.
type Limit struct {
	unlimited bool
	only      []string
}

// Unlimited is the limit that limits nothing; null on the wire.
func Unlimited() Limit { return Limit{unlimited: true} }

// Only limits to the given values; without any, to nothing.
func Only(values ...string) Limit {
	out := make([]string, 0, len(values))
	for _, v := range values {
		if !slices.Contains(out, v) {
			out = append(out, v)
		}
	}
	return Limit{only: out}
}

// IsUnlimited tells null from a list.
func (l Limit) IsUnlimited() bool { return l.unlimited }

// Values are the listed values, in the order given; nil when unlimited.
func (l Limit) Values() []string {
	if l.unlimited {
		return nil
	}
	return slices.Clone(l.only)
}

// Contains tells whether v is within the limit.
func (l Limit) Contains(v string) bool { return l.unlimited || slices.Contains(l.only, v) }

// MarshalJSON writes null or the list; an empty list is [], never null.
func (l Limit) MarshalJSON() ([]byte, error) {
	if l.unlimited {
		return []byte("null"), nil
	}
	if l.only == nil {
		return []byte("[]"), nil
	}
	return json.Marshal(l.only)
}

// UnmarshalJSON reads null or a list of strings; null inside the list is an error.
func (l *Limit) UnmarshalJSON(data []byte) error {
	var list []*string
	if err := json.Unmarshal(data, &list); err != nil {
		return err
	}
	if list == nil {
		*l = Unlimited()
		return nil
	}
	values := make([]string, 0, len(list))
	for _, v := range list {
		if v == nil {
			return &json.UnmarshalTypeError{Value: "null", Field: "list element"}
		}
		values = append(values, *v)
	}
	*l = Only(values...)
	return nil
}
