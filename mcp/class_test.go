package mcp_test

import (
	"encoding/json"
	"testing"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/mcp"
	"github.com/bailiwick-mcp/bailiwick/policy"
)

func TestClassify(t *testing.T) {
	rule := func(match, category string, effect policy.Effect) keys.ToolRule {
		return keys.ToolRule{Match: match, Category: category, Effect: effect}
	}
	const read, write, destructive = policy.EffectRead, policy.EffectWrite, policy.EffectDestructive
	for _, c := range []struct {
		name        string
		rules       []keys.ToolRule
		untrusted   bool
		annotations string
		category    string
		effect      policy.Effect
	}{
		{name: "nothing said", category: "tools", effect: destructive},
		{name: "empty annotations", annotations: `{}`, category: "tools", effect: destructive},
		{name: "read only", annotations: `{"readOnlyHint":true}`, category: "tools", effect: read},
		{name: "read only, not destructive", annotations: `{"readOnlyHint":true,"destructiveHint":false}`, category: "tools", effect: read},
		{name: "both true", annotations: `{"readOnlyHint":true,"destructiveHint":true}`, category: "tools", effect: destructive},
		{name: "not read only", annotations: `{"readOnlyHint":false}`, category: "tools", effect: destructive},
		{name: "not destructive", annotations: `{"destructiveHint":false}`, category: "tools", effect: write},
		{name: "destructive", annotations: `{"destructiveHint":true}`, category: "tools", effect: destructive},
		{name: "untrusted", untrusted: true, annotations: `{"readOnlyHint":true}`, category: "tools", effect: destructive},
		{name: "another case", annotations: `{"ReadOnlyHint":true}`, category: "tools", effect: destructive},
		{name: "a string", annotations: `{"readOnlyHint":"true"}`, category: "tools", effect: destructive},
		{name: "a number", annotations: `{"destructiveHint":0}`, category: "tools", effect: destructive},
		{name: "null", annotations: `{"readOnlyHint":null}`, category: "tools", effect: destructive},
		{name: "read only twice", annotations: `{"readOnlyHint":false,"readOnlyHint":true}`, category: "tools", effect: destructive},
		{name: "destructive twice", annotations: `{"readOnlyHint":true,"destructiveHint":true,"destructiveHint":false}`, category: "tools", effect: destructive},
		{name: "not destructive twice", annotations: `{"destructiveHint":false,"destructiveHint":false}`, category: "tools", effect: destructive},
		{name: "a list", annotations: `[{"readOnlyHint":true}]`, category: "tools", effect: destructive},

		{name: "rule", rules: []keys.ToolRule{rule("get_x", "search", read)}, category: "search", effect: read},
		{name: "rule over annotations", rules: []keys.ToolRule{rule("get_x", "", write)}, annotations: `{"readOnlyHint":true}`, category: "tools", effect: write},
		{name: "rule of an untrusted instance", untrusted: true, rules: []keys.ToolRule{rule("*", "", read)}, category: "tools", effect: read},
		{name: "another name", rules: []keys.ToolRule{rule("get", "search", read)}, category: "tools", effect: destructive},
		{name: "a name in another case", rules: []keys.ToolRule{rule("GET_X", "search", read)}, category: "tools", effect: destructive},
		{name: "first pattern", rules: []keys.ToolRule{rule("get_*", "one", read), rule("*", "two", write)}, category: "one", effect: read},
		{name: "exact before patterns", rules: []keys.ToolRule{rule("*", "one", read), rule("get_x", "two", write)}, category: "two", effect: write},
		{name: "each attribute by itself", rules: []keys.ToolRule{rule("*", "one", write), rule("get_x", "two", 0), rule("get_*", "three", read)}, category: "two", effect: write},
		{name: "exact says the effect only", rules: []keys.ToolRule{rule("get_x", "", read), rule("get_*", "one", write)}, category: "one", effect: read},
		{name: "a pattern that does not parse", rules: []keys.ToolRule{rule("get_?*", "one", read)}, category: "tools", effect: destructive},
	} {
		i := keys.Instance{Tools: c.rules, TrustAnnotations: !c.untrusted}
		category, effect := mcp.Classify(i, "get_x", json.RawMessage(c.annotations))
		if category != c.category || effect != c.effect {
			t.Errorf("%s: %s, %s; want %s, %s", c.name, category, effect, c.category, c.effect)
		}
	}
}
