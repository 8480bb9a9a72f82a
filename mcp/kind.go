package mcp

import (
	mcpgo "github.com/mark3labs/mcp-go/mcp"

	"github.com/bailiwick-mcp/bailiwick/mcp/upstream"
)

// kind is what a request names, and what a list lists.
type kind = upstream.Kind

const (
	kindTool     = upstream.KindTool
	kindPrompt   = upstream.KindPrompt
	kindResource = upstream.KindResource
	kindTemplate = upstream.KindTemplate
)

// listMember is the member of a list's result that holds the items.
var listMember = [upstream.Kinds]string{
	kindTool: "tools", kindPrompt: "prompts", kindResource: "resources", kindTemplate: "resourceTemplates",
}

// storedKind finds a kind by its name in the store.
func storedKind(name string) (kind, bool) {
	for k := range kind(upstream.Kinds) {
		if k.String() == name {
			return k, true
		}
	}
	return 0, false
}

// group is the kinds whose changes are announced together.
type group uint8

const (
	groupTools group = iota
	groupPrompts
	groupResources // and their templates
	groups
)

// groupSet is a set of groups.
type groupSet uint32

const everyGroup groupSet = 1<<groups - 1

func (s groupSet) has(g group) bool { return s&(1<<g) != 0 }

// groupOf tells in which group a kind's changes are announced.
var groupOf = [upstream.Kinds]group{
	kindTool: groupTools, kindPrompt: groupPrompts, kindResource: groupResources, kindTemplate: groupResources,
}

// announcement is how each group's change is told, and how a client of
// 2026-07-28 asks for it (subscriptions/listen).
var announcement = [groups]struct{ method, filter string }{
	groupTools:     {mcpgo.MethodNotificationToolsListChanged, "toolsListChanged"},
	groupPrompts:   {mcpgo.MethodNotificationPromptsListChanged, "promptsListChanged"},
	groupResources: {mcpgo.MethodNotificationResourcesListChanged, "resourcesListChanged"},
}
