package rest

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// tagged puts on a property what its struct tag says: doc, example, default,
// minLength, maxLength, pattern, format, enum, minimum, maximum, minItems,
// maxItems, maxProperties, names (the pattern of a map's keys) and sample. What
// is about strings is about those in a list or map, where it is one. Example
// and default are JSON, or, of a string, the bare text.
func (g *schemas) tagged(s *schema, tag reflect.StructTag) error {
	s.Description = tag.Get("doc")
	s.sample = tag.Get("sample") == "true"
	text := innermost(s)
	for name, to := range map[string]*string{"pattern": &text.Pattern, "format": &text.Format} {
		if v, there := tag.Lookup(name); there {
			*to = v
		}
	}
	for name, to := range map[string]**int{
		"minLength": &text.MinLength, "maxLength": &text.MaxLength, "minimum": &s.Minimum, "maximum": &s.Maximum,
		"minItems": &s.MinItems, "maxItems": &s.MaxItems, "maxProperties": &s.MaxProperties,
	} {
		if v, there := tag.Lookup(name); there {
			n, err := strconv.Atoi(v)
			if err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			*to = &n
		}
	}
	if v := tag.Get("names"); v != "" {
		s.PropertyNames = &schema{Pattern: v}
	}
	if v := tag.Get("enum"); v != "" {
		text.Enum = nil
		for _, one := range strings.Split(v, ",") {
			text.Enum = append(text.Enum, one)
		}
		if slices.Contains(text.Type, "null") {
			text.Enum = append(text.Enum, nil)
		}
	}
	if v, there := tag.Lookup("default"); there {
		value, err := literal(s, v)
		if err != nil {
			return fmt.Errorf("default: %w", err)
		}
		s.Default = value
	}
	v, there := tag.Lookup("example")
	if !there {
		if composed := g.example(s); composed != nil {
			s.Examples = []json.RawMessage{composed}
		}
		return nil
	}
	value, err := literal(s, v)
	s.Examples = []json.RawMessage{value}
	return err
}

func innermost(s *schema) *schema {
	if s.Items != nil {
		return innermost(s.Items)
	}
	if inner, ok := s.AdditionalProperties.(*schema); ok {
		return innermost(inner)
	}
	return s
}

// literal is a value as a tag has it.
func literal(s *schema, text string) (json.RawMessage, error) {
	if slices.Contains(s.Type, "string") && (text != "null" || !slices.Contains(s.Type, "null")) {
		return plainJSON(text)
	}
	if !json.Valid([]byte(text)) {
		return nil, fmt.Errorf("%q is not JSON", text)
	}
	return json.RawMessage(text), nil
}

// resolved follows a reference.
func (g *schemas) resolved(s *schema) *schema {
	if name, is := strings.CutPrefix(s.Ref, "#/components/schemas/"); is {
		s, _ = g.named.get(name)
	}
	return s
}

// example is a value of the schema: its own, or one made of its parts'; nil
// where there is none.
func (g *schemas) example(s *schema) json.RawMessage {
	if len(s.Examples) > 0 {
		return s.Examples[0]
	}
	if len(s.AnyOf) > 0 {
		return g.example(s.AnyOf[0])
	}
	s = g.resolved(s)
	switch {
	case s.Properties != nil:
		return g.objectOf(s, func(*schema, string) bool { return true })
	case s.Items != nil:
		if item := g.example(s.Items); item != nil {
			return slices.Concat(json.RawMessage("["), item, json.RawMessage("]"))
		}
	}
	return nil
}

// body is a value that a client may well send: what is required, and what is
// marked as a sample; one property at least.
func (g *schemas) body(s *schema) json.RawMessage {
	s = g.resolved(s)
	chosen := func(property *schema, name string) bool {
		return property.sample || slices.Contains(s.Required, name)
	}
	if !slices.ContainsFunc(s.Properties, func(m member[*schema]) bool { return chosen(m.Value, m.Name) }) {
		chosen = func(_ *schema, name string) bool { return name == s.Properties[0].Name }
	}
	return g.objectOf(s, chosen)
}

func (g *schemas) objectOf(s *schema, chosen func(property *schema, name string) bool) json.RawMessage {
	var out members[json.RawMessage]
	for _, p := range s.Properties {
		if value := g.example(p.Value); value != nil && chosen(p.Value, p.Name) {
			out.add(p.Name, value)
		}
	}
	raw, err := plainJSON(out)
	if err != nil { // of values that are JSON it never fails
		return nil
	}
	return raw
}
