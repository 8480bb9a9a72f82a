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
	return Limit{only: append([]string{}, distinct(values)...)}
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

// Equal tells whether two limits are written alike: null and a list differ, and
// the order counts.
func (l Limit) Equal(o Limit) bool {
	return l.unlimited == o.unlimited && slices.Equal(l.Values(), o.Values())
}

// Contains tells whether v is within the limit.
func (l Limit) Contains(v string) bool { return l.unlimited || slices.Contains(l.only, v) }

const limitProblem = "must be null or a list of strings"

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

// UnmarshalJSON reads null or a list of strings; null inside the list is an
// error. The error is a *SyntaxError.
func (l *Limit) UnmarshalJSON(data []byte) error {
	var list []*string
	if err := json.Unmarshal(data, &list); err != nil {
		return &SyntaxError{Problem: limitProblem}
	}
	if list == nil {
		*l = Unlimited()
		return nil
	}
	values := make([]string, 0, len(list))
	for _, v := range list {
		if v == nil {
			return &SyntaxError{Problem: limitProblem}
		}
		values = append(values, *v)
	}
	*l = Only(values...)
	return nil
}
