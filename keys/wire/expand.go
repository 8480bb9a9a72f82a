package wire

import (
	"errors"
	"fmt"
	"strings"
)

// Expand replaces ${VAR}, ${env:VAR} and ${VAR:-default} (the default where VAR
// is unset or empty) by what lookup answers. A variable that is not set and has
// no default is an error, so that no command runs with a hole in it; so is a
// reference that is none of these. The result is not expanded again. Errors
// name variables, never values.
func Expand(text string, lookup func(string) (string, bool)) (string, error) {
	var out strings.Builder
	for {
		before, rest, found := strings.Cut(text, "${")
		out.WriteString(before)
		if !found {
			return out.String(), nil
		}
		reference, after, closed := strings.Cut(rest, "}")
		if !closed {
			return "", errors.New("has ${ without }")
		}
		value, err := resolve(reference, lookup)
		if err != nil {
			return "", err
		}
		out.WriteString(value)
		text = after
	}
}

func resolve(reference string, lookup func(string) (string, bool)) (string, error) {
	name, fallback, hasFallback := strings.Cut(strings.TrimPrefix(reference, "env:"), ":-")
	if !variableName(name) {
		return "", errors.New("has a ${...} that is neither ${VAR} nor ${VAR:-default}")
	}
	value, set := lookup(name)
	switch {
	case set && (value != "" || !hasFallback):
		return value, nil
	case hasFallback:
		return fallback, nil
	}
	return "", fmt.Errorf("needs the environment variable %s, which is not set: set it, or write ${%s:-default}", name, name)
}

func variableName(s string) bool {
	for i, r := range s {
		letter := r == '_' || r >= 'A' && r <= 'Z' || r >= 'a' && r <= 'z'
		if !letter && (i == 0 || r < '0' || r > '9') {
			return false
		}
	}
	return s != "" && len(s) <= 256
}
