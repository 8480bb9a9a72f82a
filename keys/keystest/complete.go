package keystest

import (
	"reflect"

	"github.com/bailiwick-mcp/bailiwick/policy"
)

// complete checks that a value has something in every field but the given
// ones, so that a round trip notices a field that a store forgets.
func (b *bench) complete(value any, but ...string) {
	b.Helper()
	skip := map[string]bool{}
	for _, name := range but {
		skip[name] = true
	}
	v := reflect.ValueOf(value)
	for i := range v.NumField() {
		name := v.Type().Field(i).Name
		if inner, ok := v.Field(i).Interface().(policy.Policy); ok {
			b.complete(inner)
		}
		if v.Field(i).IsZero() && !skip[name] {
			b.Errorf("the %T of the round trip has nothing in %s", value, name)
		}
	}
}
