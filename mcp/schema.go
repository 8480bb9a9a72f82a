package mcp

import (
	"encoding/json"
	"slices"
)

// schema is a JSON Schema (2020-12) of a built-in tool's arguments or result.
type schema map[string]any

func str(description string) schema { return schema{"type": "string", "description": description} }

func flag(description string) schema { return schema{"type": "boolean", "description": description} }

func whole(description string) schema { return schema{"type": "integer", "description": description} }

func listOf(items schema, description string) schema {
	return schema{"type": "array", "items": items, "description": description}
}

func oneOf(description string, values ...string) schema {
	return schema{"type": "string", "enum": values, "description": description}
}

// nullable also allows null.
func nullable(s schema) schema {
	out := schema{}
	for k, v := range s {
		out[k] = v
	}
	switch kind := s["type"].(type) {
	case string:
		out["type"] = []string{kind, "null"}
	}
	if values, ok := s["enum"].([]string); ok {
		all := make([]any, 0, len(values)+1)
		for _, v := range values {
			all = append(all, v)
		}
		out["enum"] = append(all, nil)
	}
	return out
}

// described is the schema with words on what it is.
func described(description string, s schema) schema { return s.and(schema{"description": description}) }

// object is closed: what it does not name is refused, or never answered.
func object(properties schema, required ...string) schema {
	out := schema{"type": "object", "properties": properties, "additionalProperties": false}
	if len(required) > 0 {
		out["required"] = required
	}
	return out
}

// answered is an object of which every property is always there.
func answered(properties schema) schema {
	required := make([]string, 0, len(properties))
	for name := range properties {
		required = append(required, name)
	}
	slices.Sort(required)
	return object(properties, required...)
}

// and is the properties of both.
func (s schema) and(more schema) schema {
	out := schema{}
	for k, v := range s {
		out[k] = v
	}
	for k, v := range more {
		out[k] = v
	}
	return out
}

func (s schema) encode() json.RawMessage {
	raw, err := json.Marshal(s)
	if err != nil { // strings, lists and maps of them always encode
		return json.RawMessage(`{"type":"object"}`)
	}
	return raw
}
