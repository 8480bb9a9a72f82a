package policy

import "fmt"

// Effect is what calling a tool may do. The zero Effect is unknown, and above
// every ceiling.
type Effect uint8

// The effects, in rising order.
const (
	EffectRead Effect = iota + 1
	EffectWrite
	EffectDestructive
)

var effectNames = [...]string{"", "read", "write", "destructive"}

// ParseEffect reads read, write or destructive.
func ParseEffect(s string) (Effect, error) {
	for i, name := range effectNames {
		if i > 0 && s == name {
			return Effect(i), nil
		}
	}
	return 0, fmt.Errorf("unknown effect %q: use read, write or destructive", s)
}

// Known tells a real effect from the zero or a broken value.
func (e Effect) Known() bool { return e >= EffectRead && e <= EffectDestructive }

func (e Effect) String() string {
	if !e.Known() {
		return "unknown"
	}
	return effectNames[e]
}

// MarshalText writes the effect's name.
func (e Effect) MarshalText() ([]byte, error) {
	if !e.Known() {
		return nil, fmt.Errorf("unknown effect %d", uint8(e))
	}
	return []byte(e.String()), nil
}

// UnmarshalText reads the effect's name; the error is a *SyntaxError.
func (e *Effect) UnmarshalText(text []byte) error {
	v, err := ParseEffect(string(text))
	if err != nil {
		return &SyntaxError{Problem: "must be read, write or destructive"}
	}
	*e = v
	return nil
}
