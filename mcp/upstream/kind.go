package upstream

import (
	"encoding/json"

	mcpgo "github.com/mark3labs/mcp-go/mcp"
)

// Kind is what an upstream lists.
type Kind uint8

// The kinds.
const (
	KindTool     Kind = iota
	KindPrompt        // named, as a tool is
	KindResource      // named by its uri
	KindTemplate      // of resources, named by its uriTemplate
	kinds

	// Kinds is how many there are.
	Kinds = int(kinds)
)

// String is tool, prompt, resource or template.
func (k Kind) String() string { return kindNames[k] }

var kindNames = [kinds]string{"tool", "prompt", "resource", "template"}

// listOf is how each kind is asked for, and the members of its answer and of
// an item that say what it is.
var listOf = [kinds]struct {
	method        mcpgo.MCPMethod
	member, named string
}{
	KindTool:     {mcpgo.MethodToolsList, "tools", "name"},
	KindPrompt:   {mcpgo.MethodPromptsList, "prompts", "name"},
	KindResource: {mcpgo.MethodResourcesList, "resources", "uri"},
	KindTemplate: {mcpgo.MethodResourcesTemplatesList, "resourceTemplates", "uriTemplate"},
}

// kindSet is a set of kinds.
type kindSet uint32

const everyKind kindSet = 1<<kinds - 1

func setOf(k Kind) kindSet        { return 1 << k }
func (s kindSet) has(k Kind) bool { return s&setOf(k) != 0 }
func (s *kindSet) add(k Kind, on bool) {
	if on {
		*s |= setOf(k)
	}
}

// announced is what a notification says about the lists.
var announced = map[string]kindSet{
	mcpgo.MethodNotificationToolsListChanged:     setOf(KindTool),
	mcpgo.MethodNotificationPromptsListChanged:   setOf(KindPrompt),
	mcpgo.MethodNotificationResourcesListChanged: setOf(KindResource) | setOf(KindTemplate),
}

// Item is one entry of a list as announced: what names it in its kind, and its
// whole definition as received, except that line breaks between its tokens
// became spaces.
type Item struct {
	Kind Kind
	Name string // name, uri or uriTemplate
	Raw  json.RawMessage
}

// Lists are all that an upstream lists, in its order.
type Lists struct {
	Tools, Prompts, Resources, Templates []Item
	// Reads says that it has resources at all, be they listed or not.
	Reads bool
}

// All are the items of every kind.
func (l Lists) All() []Item {
	out := make([]Item, 0, len(l.Tools)+len(l.Prompts)+len(l.Resources)+len(l.Templates))
	out = append(append(out, l.Tools...), l.Prompts...)
	return append(append(out, l.Resources...), l.Templates...)
}
