package rest

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"strings"
)

// componentName is the name of the schema that a property, or a list of it,
// refers to; "" for none.
func componentName(s *schema) string {
	switch {
	case s.Items != nil:
		return componentName(s.Items)
	case len(s.AnyOf) > 0:
		return componentName(s.AnyOf[0])
	}
	return strings.TrimPrefix(s.Ref, "#/components/schemas/")
}

// componentNames are those of a body's schema, which may be one of several.
func componentNames(s *schema) (names []string) {
	for _, one := range append([]*schema{s}, s.OneOf...) {
		if name := componentName(one); name != "" {
			names = append(names, name)
		}
	}
	return names
}

// kindOf is the type of a value in words.
func kindOf(s *schema) string {
	name := componentName(s)
	null := ""
	var types []string
	for _, k := range s.Type {
		if k == "null" {
			null = " or null"
			continue
		}
		types = append(types, k)
	}
	inner, isMap := s.AdditionalProperties.(*schema)
	switch {
	case s.Items != nil:
		return "array of " + kindOf(s.Items) + null
	case len(s.AnyOf) > 0:
		var either []string
		for _, one := range s.AnyOf {
			either = append(either, cmp.Or(componentName(one), "null"))
		}
		return strings.Join(either, " or ")
	case s.Ref != "":
		return name
	case isMap:
		return "object of " + kindOf(inner) + null
	case len(types) == 0:
		return "any JSON"
	}
	return strings.Join(types, " or ") + null
}

// limitsOf is what a value is held to, in words.
func limitsOf(s *schema) []string {
	var out []string
	between := func(low, high *int, of string) {
		switch {
		case low != nil && high != nil:
			out = append(out, fmt.Sprintf("%d to %d%s", *low, *high, of))
		case high != nil:
			out = append(out, fmt.Sprintf("at most %d%s", *high, of))
		case low != nil:
			out = append(out, fmt.Sprintf("at least %d%s", *low, of))
		}
	}
	between(s.Minimum, s.Maximum, "")
	between(s.MinItems, s.MaxItems, " entries")
	between(nil, s.MaxProperties, " entries")
	of := ""
	text := innermost(s)
	if text != s {
		of = " each"
	}
	between(text.MinLength, text.MaxLength, " characters"+of)
	if s.PropertyNames != nil {
		out = append(out, "names: "+s.PropertyNames.Pattern)
	}
	if text.Pattern != "" {
		out = append(out, text.Pattern)
	}
	if text.Format != "" && text.Format != "int64" {
		out = append(out, text.Format)
	}
	var values []string
	for _, v := range text.Enum {
		if v != nil {
			values = append(values, fmt.Sprint(v))
		}
	}
	if values != nil {
		out = append(out, "one of: "+strings.Join(values, ", "))
	}
	if s.Default != nil {
		out = append(out, "default: "+string(s.Default))
	}
	return out
}

func indented(raw json.RawMessage) string {
	var out bytes.Buffer
	if json.Indent(&out, raw, "", "  ") != nil {
		return string(raw)
	}
	return out.String()
}

// curl is how a shell does the operation.
func curl(op docsOperation) string {
	path := op.Path
	query := ""
	for _, p := range op.Parameters {
		switch {
		case p.In == "path":
			path = strings.ReplaceAll(path, "{"+p.Name+"}", fmt.Sprint(p.Example))
		case p.In == "query" && (p.Required || query == ""):
			query = strings.TrimPrefix(query+"&"+p.Name+"="+fmt.Sprint(p.Example), "&")
		}
	}
	if query != "" {
		query = "?" + query
	}
	out := "curl"
	if op.Method != "GET" {
		out += " -X " + op.Method
	}
	out += ` "$BAILIWICK` + path + query + `"`
	if len(op.Security) > 0 {
		out += " \\\n  -H \"Authorization: Bearer $KEY\""
	}
	if op.RequestBody != nil {
		content := op.RequestBody.Content[0]
		out += " \\\n  -H \"Content-Type: " + content.Name + "\" \\\n  -d '" + strings.ReplaceAll(string(content.Value.Example), "'", `'\''`) + "'"
	}
	return out
}
