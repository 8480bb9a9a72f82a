package mcp

import (
	"bytes"
	"encoding/json"
	"strings"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/mcp/rawjson"
	"github.com/bailiwick-mcp/bailiwick/policy"
)

// defaultCategory is the category of an instance's tool of which the operator
// said nothing.
const defaultCategory = "tools"

// classify answers a tool's category and effect: the operator's rules first,
// an exact name before patterns, then the first match in list order, for each
// attribute by itself; then the annotations of a trusted instance; then the
// protocol's own default, destructive.
func classify(i keys.Instance, name string, annotations json.RawMessage) (category string, effect policy.Effect) {
	category, effect, _ = byRules(i.Tools, name)
	if category == "" {
		category = defaultCategory
	}
	if effect == 0 {
		effect = policy.EffectDestructive
		if i.TrustAnnotations {
			effect = annotated(annotations)
		}
	}
	return category, effect
}

func byRules(rules []keys.ToolRule, name string) (category string, effect policy.Effect, project string) {
	for _, exact := range []bool{true, false} {
		for _, r := range rules {
			if !ruleMatches(r, name, exact) {
				continue
			}
			if category == "" {
				category = r.Category
			}
			if effect == 0 {
				effect = r.Effect
			}
			if project == "" {
				project = r.ProjectPointer
			}
		}
	}
	return category, effect, project
}

// projectPointer is where the operator's rules say that a call of a tool or prompt
// names a project; "" = nowhere. A resource that they say it of has no arguments, and
// so is closed to who is limited to projects.
func projectPointer(i *keys.Instance, name string) string {
	_, _, project := byRules(i.Tools, name)
	return project
}

func ruleMatches(r keys.ToolRule, name string, exact bool) bool {
	if exact != !strings.Contains(r.Match, "*") {
		return false
	}
	if exact {
		return r.Match == name
	}
	pattern, err := policy.ParsePattern(r.Match)
	return err == nil && pattern.MatchText(name)
}

// annotated reads an effect from a tool's annotations. Whatever is not plainly
// said (no object, a hint that is no boolean or is there twice) is destructive.
func annotated(raw json.RawMessage) policy.Effect {
	list, _ := rawjson.List(raw)
	readOnly, destructive, hints := "", "", 0
	for _, m := range list {
		switch m.Key {
		case "readOnlyHint":
			readOnly = string(bytes.TrimSpace(m.Value))
			hints++
		case "destructiveHint":
			destructive = string(bytes.TrimSpace(m.Value))
			hints += 2
		}
	}
	switch {
	case hints > 3 || hints == 2 && readOnly != "": // a hint is there twice
		return policy.EffectDestructive
	case readOnly == "true" && destructive != "true":
		return policy.EffectRead
	case destructive == "false":
		return policy.EffectWrite
	}
	return policy.EffectDestructive
}
