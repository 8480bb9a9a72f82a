package mcp

import (
	"context"
	"encoding/json"
	"slices"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/keys/wire"
	"github.com/bailiwick-mcp/bailiwick/policy"
)

const (
	viewProjects  = "view:projects"
	viewInstances = "view:instances"
)

// platformTools read projects, instances and their tools, as far as the key's
// policy reaches.
func (g *Gateway) platformTools() []builtin {
	return []builtin{{
		name: "list_projects", title: "List projects", category: categoryPlatform, permission: viewProjects, effect: policy.EffectRead,
		description: "Lists the projects that this key reaches.",
		input:       object(schema{}),
		output: answered(schema{"projects": listOf(answered(schema{
			"id": str("Project id"), "slug": str("Short name"), "name": str("Name"),
			"createdAt": str("RFC 3339"), "updatedAt": str("RFC 3339"), "version": whole("Edit as of which this is"),
		}), "Projects"), "total": whole("Number of projects")}),
		run: g.listProjects,
	}, {
		name: "list_instances", title: "List instances", category: categoryPlatform, permission: viewInstances, effect: policy.EffectRead,
		description: "Lists the mounted MCP servers that this key reaches, and whether they are up.",
		input:       object(schema{}),
		output: answered(schema{"instances": listOf(answered(instanceProperties()), "Instances"),
			"total": whole("Number of instances")}),
		run: g.listInstances,
	}, {
		name: "list_instance_tools", title: "List an instance's tools", category: categoryPlatform, permission: viewInstances, effect: policy.EffectRead,
		description: "Lists the tools of one mounted MCP server that this key may call, as announced, each with the category and effect that policies see.",
		input:       object(schema{"id": str("Instance id, or its slug")}, "id"),
		output: answered(schema{"tools": listOf(object(schema{
			"name": str("The upstream's name"), "exposedName": str("Name as listed to clients"), "category": str("Category"),
			"effect": oneOf("Effect", "read", "write", "destructive"), "digest": str("SHA-256 over the definition"),
			"quarantined": flag("New or changed, and waits for approval; not callable until then"),
			"definition":  schema{"type": "object", "description": "As announced; of a quarantined tool, as approved before"},
			"problem":     str("Why it is not offered; absent = it is"),
		}, "category", "definition", "digest", "effect", "exposedName", "name", "quarantined"), "Tools"), "total": whole("Number of tools")}),
		run: g.listInstanceTools,
	}}
}

func instanceProperties() schema {
	return schema{
		"id": str("Instance id"), "projectId": str("Its project"), "slug": str("Short name, the prefix of its tools"),
		"transport": oneOf("How it is reached", "stdio", "http", "sse", "embedded"), "command": nullable(str("stdio: program")),
		"args": listOf(str("Argument"), "stdio: arguments"), "url": nullable(str("http, sse: address")),
		"hasCredentials": flag("Whether an environment or headers are stored"), "enabled": flag("Whether it is mounted"),
		"writeEnabled":     flag("Whether its tools may do more than read"),
		"trustAnnotations": flag("Whether its own word on its tools' effects counts"),
		"tools": listOf(object(schema{"match": str("Name or pattern"), "category": str("Category"),
			"effect":         oneOf("Effect", "read", "write", "destructive"),
			"projectPointer": str("Where its calls' arguments name a project: a JSON pointer")}, "match"), "The operator's rules"),
		"quarantineNew": flag("Whether a tool that it adds later waits for approval"),
		"source":        str("Where it comes from"), "status": nullable(oneOf("Connection", "connecting", "ready", "down", "disabled")),
		"problem": nullable(str("Why it is down")), "createdAt": str("RFC 3339"), "updatedAt": str("RFC 3339"),
		"version": whole("Edit as of which this is"),
	}
}

// noArguments refuses any.
func noArguments(raw json.RawMessage) error {
	_, err := arguments[struct{}](raw)
	return err
}

func (g *Gateway) listProjects(ctx context.Context, r *request, raw json.RawMessage) (any, error) {
	if err := noArguments(raw); err != nil {
		return nil, err
	}
	list, err := g.svc.Projects(ctx, r.principal)
	if err != nil {
		return nil, err
	}
	list = slices.DeleteFunc(list, func(p keys.Project) bool {
		return g.outside(r, &keys.Instance{Slug: "probe", ProjectID: p.ID}, policy.RuleProject)
	})
	return wire.ProjectListOf(list, len(list)), nil
}

func (g *Gateway) listInstances(ctx context.Context, r *request, raw json.RawMessage) (any, error) {
	if err := noArguments(raw); err != nil {
		return nil, err
	}
	list, err := g.svc.Instances(ctx, r.principal)
	if err != nil {
		return nil, err
	}
	out := wire.InstanceList{Instances: []wire.Instance{}}
	for i := range list {
		if !g.outside(r, &list[i], policy.RuleInstance, policy.RuleProject) {
			out.Instances = append(out.Instances, wire.InstanceOf(list[i]).WithStatus(g.InstanceStatus(list[i].ID)))
		}
	}
	out.Total = len(out.Instances)
	return out, nil
}

func (g *Gateway) listInstanceTools(ctx context.Context, r *request, raw json.RawMessage) (any, error) {
	in, err := arguments[struct {
		ID keys.Opt[string] `json:"id"`
	}](raw)
	if err != nil {
		return nil, err
	}
	if in.ID.Value == "" {
		return nil, invalidArgument("id", "is required: an instance's id or slug")
	}
	i, err := g.svc.Instance(ctx, r.principal, in.ID.Value)
	if err != nil {
		return nil, err
	}
	if g.outside(r, &i, policy.RuleInstance, policy.RuleProject) {
		return nil, keys.ErrNotFound
	}
	tools, err := g.InstanceTools(ctx, i)
	if err != nil {
		return nil, err
	}
	tools = g.toolsShown(r, &i, tools)
	out := wire.ToolList{Tools: make([]wire.Tool, 0, len(tools)), Total: len(tools)}
	for _, t := range tools {
		out.Tools = append(out.Tools, t.forModels())
	}
	return out, nil
}
