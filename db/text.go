package db

import (
	"reflect"
	"strings"
	"unicode/utf8"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/policy"
)

// storable tells whether Postgres can hold the text at all. What can't be
// stored is nowhere, so a look-up of it needs no query.
func storable(text string) bool {
	return utf8.ValidString(text) && !strings.ContainsRune(text, 0)
}

// clean makes a client's text storable.
func clean(text string) string { return keys.StorableText(text) }

// checkTexts refuses a row with a text that Postgres can't hold, on every
// database alike. It names the first such column as the wire does.
func checkTexts(row any) error {
	v := reflect.ValueOf(row).Elem()
	for i := range v.NumField() {
		for _, text := range texts(v.Field(i).Interface()) {
			if !storable(text) {
				return &keys.InvalidError{Fields: []policy.Problem{{
					Field: wireName(v.Type().Field(i)), Problem: "holds a character that can't be stored",
				}}}
			}
		}
	}
	return nil
}

func texts(field any) []string {
	switch field := field.(type) {
	case string:
		return []string{field}
	case list:
		return field
	case limit:
		return field.Values()
	case policyColumn:
		return field.texts()
	case optionalPolicy:
		return field.texts()
	case rules[policy.ArgumentRule]:
		return argumentTexts(field)
	case rules[policy.ApprovalRule]:
		return approvalTexts(field)
	case rules[policy.RateLimit]:
		return limitTexts(field)
	case toolRules:
		all := []string{}
		for _, rule := range field {
			all = append(all, rule.Match, rule.Category, rule.Project)
		}
		return all
	}
	return nil
}

// wireName makes mcp_tool_allowlist of the tag, or ToolAllowlist of the field,
// to mcpToolAllowlist or toolAllowlist.
func wireName(field reflect.StructField) string {
	name, _, _ := strings.Cut(field.Tag.Get("bun"), ",")
	if name == "" {
		name = strings.ReplaceAll(field.Name, "ID", "Id")
		return strings.ToLower(name[:1]) + name[1:]
	}
	words := strings.Split(name, "_")
	for i, word := range words[1:] {
		if word == "ids" {
			word = "Ids"
		}
		words[i+1] = strings.ToUpper(word[:1]) + word[1:]
	}
	return strings.Join(words, "")
}
