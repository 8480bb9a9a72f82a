package rest

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/policy"
)

// schema is a JSON Schema (draft 2020-12), as far as the wire types need it.
type schema struct {
	Ref                  string            `json:"$ref,omitempty"`
	Type                 kinds             `json:"type,omitempty"`
	AnyOf                []*schema         `json:"anyOf,omitempty"`
	OneOf                []*schema         `json:"oneOf,omitempty"`
	Description          string            `json:"description,omitempty"`
	Format               string            `json:"format,omitempty"`
	Enum                 []any             `json:"enum,omitempty"`
	Pattern              string            `json:"pattern,omitempty"`
	MinLength            *int              `json:"minLength,omitempty"`
	MaxLength            *int              `json:"maxLength,omitempty"`
	Minimum              *int              `json:"minimum,omitempty"`
	Maximum              *int              `json:"maximum,omitempty"`
	Items                *schema           `json:"items,omitempty"`
	MinItems             *int              `json:"minItems,omitempty"`
	MaxItems             *int              `json:"maxItems,omitempty"`
	Properties           members[*schema]  `json:"properties,omitempty"`
	PropertyNames        *schema           `json:"propertyNames,omitempty"`
	AdditionalProperties any               `json:"additionalProperties,omitempty"` // false, or a schema
	MaxProperties        *int              `json:"maxProperties,omitempty"`
	Required             []string          `json:"required,omitempty"`
	Default              json.RawMessage   `json:"default,omitempty"`
	Examples             []json.RawMessage `json:"examples,omitempty"`

	sample bool // in the example of the body that it is in, even when not required
}

// kinds are the types that a value may have; one alone is written as a string.
type kinds []string

func (k kinds) MarshalJSON() ([]byte, error) {
	if len(k) == 1 {
		return json.Marshal(k[0])
	}
	return json.Marshal([]string(k))
}

// use is where a value stands. What a client sends is closed, and what it must
// send depends on whether it makes or changes a thing; of what it gets, every
// field is always there.
type use int

const (
	answered use = iota
	creating
	changing
)

// schemas makes the schemas of Go types, once each.
type schemas struct {
	named members[*schema]
	types map[string]reflect.Type // by name
}

// renamed are types whose own names would say too little.
var renamed = map[reflect.Type]string{
	reflect.TypeFor[policy.Problem](): "FieldProblem",
}

// componentOf is the name of a struct's schema. A body Write... is two: what it
// requires differs.
func (g *schemas) componentOf(t reflect.Type, u use) string {
	name := t.Name()
	if other := renamed[t]; other != "" {
		name = other
	}
	rest, both := strings.CutPrefix(name, "Write")
	switch {
	case u == creating && both:
		return "Create" + rest
	case u == changing && both:
		return "Update" + rest
	case u != answered && g.types[name] == t && !g.closed(name):
		return name + "Input"
	}
	return name
}

func (g *schemas) closed(name string) bool {
	s, _ := g.named.get(name)
	return s != nil && s.AdditionalProperties != nil
}

// of answers the schema of a type; a struct's stands among the named ones. All
// answers are to be asked for before any body.
func (g *schemas) of(t reflect.Type, u use) *schema {
	if s := special(t); s != nil {
		return s
	}
	if several, ok := reflect.New(t).Interface().(interface{ Alternatives() []any }); ok {
		s := &schema{}
		for _, one := range several.Alternatives() {
			s.AnyOf = append(s.AnyOf, g.of(reflect.TypeOf(one), u))
		}
		return s
	}
	if opt, ok := reflect.New(t).Interface().(policy.StrictElem); ok {
		return nullable(g.of(reflect.TypeOf(opt.StrictElem()), u))
	}
	switch t.Kind() {
	case reflect.Pointer:
		return nullable(g.of(t.Elem(), u))
	case reflect.Struct:
		return g.object(t, u)
	case reflect.Slice:
		return &schema{Type: kinds{"array"}, Items: g.of(t.Elem(), u)}
	case reflect.Map:
		return &schema{Type: kinds{"object"}, AdditionalProperties: g.of(t.Elem(), u)}
	case reflect.String:
		return &schema{Type: kinds{"string"}}
	case reflect.Bool:
		return &schema{Type: kinds{"boolean"}}
	case reflect.Int, reflect.Int64:
		return &schema{Type: kinds{"integer"}, Format: "int64"}
	case reflect.Float64:
		return &schema{Type: kinds{"number"}}
	case reflect.Interface:
		return &schema{}
	}
	panic("rest: no schema for the type " + t.String())
}

// special are the types with a JSON form of their own.
func special(t reflect.Type) *schema {
	switch t {
	case reflect.TypeFor[time.Time]():
		return &schema{Type: kinds{"string"}, Format: "date-time"}
	case reflect.TypeFor[json.RawMessage]():
		return &schema{}
	case reflect.TypeFor[policy.Limit]():
		return &schema{Type: kinds{"array", "null"}, Items: &schema{Type: kinds{"string"}}}
	case reflect.TypeFor[policy.Scope]():
		return oneOf(policy.ScopeAPI, policy.ScopeMCPOnly, policy.ScopeFull)
	case reflect.TypeFor[policy.Mode]():
		return oneOf(policy.ModeAll, policy.ModeAllow, policy.ModeDeny)
	case reflect.TypeFor[policy.Effect]():
		return oneOf(policy.EffectRead.String(), policy.EffectWrite.String(), policy.EffectDestructive.String())
	case reflect.TypeFor[policy.Period]():
		return oneOf(policy.PerSecond, policy.PerMinute, policy.PerHour, policy.PerDay)
	case reflect.TypeFor[keys.Transport]():
		return oneOf(keys.TransportStdio, keys.TransportHTTP, keys.TransportSSE)
	}
	return nil
}

func oneOf[T ~string](values ...T) *schema {
	s := &schema{Type: kinds{"string"}}
	for _, v := range values {
		s.Enum = append(s.Enum, string(v))
	}
	return s
}

// nullable also allows null. A schema without a type does already.
func nullable(s *schema) *schema {
	switch {
	case s.Ref != "":
		return &schema{AnyOf: []*schema{s, {Type: kinds{"null"}}}}
	case len(s.Type) > 0 && !slices.Contains(s.Type, "null"):
		s.Type = append(s.Type, "null")
		if s.Enum != nil {
			s.Enum = append(s.Enum, nil)
		}
	}
	return s
}

// object is a reference to a struct's schema.
func (g *schemas) object(t reflect.Type, u use) *schema {
	name := g.componentOf(t, u)
	ref := &schema{Ref: "#/components/schemas/" + name}
	if other, there := g.types[name]; there {
		if other != t {
			panic(fmt.Sprintf("rest: %v and %v are both named %s", other, t, name))
		}
		return ref
	}
	s := &schema{Type: kinds{"object"}}
	g.types[name] = t
	g.named.add(name, s)
	if u != answered {
		s.AdditionalProperties = false
	}
	g.fields(s, t, u)
	return ref
}

func (g *schemas) fields(s *schema, t reflect.Type, u use) {
	for i := range t.NumField() {
		f := t.Field(i)
		if f.Anonymous {
			g.fields(s, f.Type, u)
			continue
		}
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name == "-" {
			continue
		}
		must := f.Tag.Get("required")
		required := u == answered && options != "omitempty" ||
			u != answered && must == "true" || u == creating && must == "create"
		value := g.of(f.Type, u)
		if u != answered && (required || f.Tag.Get("nonnull") == "true") {
			value.Type = slices.DeleteFunc(value.Type, func(k string) bool { return k == "null" })
			value.Enum = slices.DeleteFunc(value.Enum, func(v any) bool { return v == nil })
		}
		if err := g.tagged(value, f.Tag); err != nil {
			panic(fmt.Sprintf("rest: the tags of %v.%s: %v", t, f.Name, err))
		}
		s.Properties.add(name, value)
		if required {
			s.Required = append(s.Required, name)
		}
	}
}
