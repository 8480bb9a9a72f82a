package mcp

import (
	"encoding/json"
	"fmt"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/mcp/rawjson"
	"github.com/bailiwick-mcp/bailiwick/policy"
)

// maxExposedName is the longest tool name that clients accept (2025-11-25,
// server/tools, Tool Names).
const maxExposedName = 128

func exposedName(slug, upstream string) string { return slug + "__" + upstream }

// shown is the name that clients see.
func (p *mounted) shown(upstream string) string {
	if p.bare {
		return upstream
	}
	return exposedName(p.instance.Slug, upstream)
}

// exposed is a stored or announced definition as policies and clients see it.
func exposed(part mounted, d keys.Definition) (kind, policy.Tool, entry, error) {
	i := &part.instance
	e := entry{mount: part.mount, upstream: d.Name}
	k, known := storedKind(d.Kind)
	switch {
	case !known:
		return k, policy.Tool{}, e, fmt.Errorf("kind %q is not offered", d.Kind)
	case d.Name == "":
		return k, policy.Tool{}, e, fmt.Errorf("has no name")
	}
	if k != kindTool {
		err := e.exposeOther(k, part, d)
		return k, readable(i, d.Name), e, err
	}
	name := exposedName(i.Slug, d.Name)
	if len(name) > maxExposedName {
		return k, policy.Tool{}, e, fmt.Errorf("exposed name has more than %d characters", maxExposedName)
	}
	var err error
	if e.definition, err = expose(d.Raw, part.shown(d.Name)); err != nil {
		return k, policy.Tool{}, e, err
	}
	if e.header, err = headerTool(d.Raw); err != nil {
		return k, policy.Tool{}, e, err
	}
	e.mark = markOf(e.definition)
	e.tasks = rawjson.Text(rawjson.Field(rawjson.Field(d.Raw, "execution"), "taskSupport"))
	category, effect := classify(*i, d.Name, rawjson.Field(d.Raw, "annotations"))
	return k, policy.Tool{
		ID: i.Slug + "/" + d.Name, Name: name, Category: category, Effect: effect,
		InstanceID: i.ID, ProjectID: i.ProjectID, WriteEnabled: i.WriteEnabled,
		Quarantined: i.Quarantined(&d), ProjectPointer: projectPointer(i, d.Name),
	}, e, nil
}

// exposeOther is the definition of a prompt under its exposed name, and that of
// a resource or template as announced: uris stand in results, too, which pass
// unchanged, so they keep their names.
func (e *entry) exposeOther(k kind, part mounted, d keys.Definition) (err error) {
	switch k {
	case kindPrompt:
		e.definition, err = expose(d.Raw, part.shown(d.Name))
	default:
		e.definition = d.Raw
		_, err = definitionMembers(d.Raw)
	}
	if err == nil && k == kindTemplate {
		e.template = parseTemplate(d.Name)
	}
	e.mark = markOf(e.definition)
	return err
}

// readable is what policies see of a prompt, a resource or a template: a tool
// of its instance that only reads. Its category is what the operator's rules say
// of its name or uri.
func readable(i *keys.Instance, name string) policy.Tool {
	category, _, project := byRules(i.Tools, name)
	if category == "" {
		category = defaultCategory
	}
	return policy.Tool{ID: i.Slug + "/" + name, Name: exposedName(i.Slug, name), Category: category,
		Effect: policy.EffectRead, InstanceID: i.ID, ProjectID: i.ProjectID, WriteEnabled: i.WriteEnabled, ProjectPointer: project}
}

// expose is an upstream's definition under its exposed name; every other byte
// stays as announced.
func expose(raw json.RawMessage, name string) (json.RawMessage, error) {
	list, err := definitionMembers(raw)
	if err != nil {
		return nil, err
	}
	for _, m := range list {
		if m.Key == "name" {
			return rawjson.Replace(raw, m, rawjson.Quote(name)), nil
		}
	}
	return nil, fmt.Errorf("definition has no name")
}

// definitionMembers are the members of a definition, none of them twice:
// readers differ in which of the two counts.
func definitionMembers(raw json.RawMessage) ([]rawjson.Member, error) {
	if !rawjson.Valid(raw) {
		return nil, fmt.Errorf("definition is not valid JSON")
	}
	list, err := rawjson.List(raw)
	if err != nil {
		return nil, fmt.Errorf("definition is not an object")
	}
	seen := map[string]bool{}
	for _, m := range list {
		if seen[m.Key] {
			return nil, fmt.Errorf("definition has a key twice")
		}
		seen[m.Key] = true
	}
	return list, nil
}
