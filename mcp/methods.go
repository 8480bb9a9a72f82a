package mcp

import mcpgo "github.com/mark3labs/mcp-go/mcp"

// methodClass says what a JSON-RPC method is to the gate. The zero class is
// one that nothing classifies: refused for everybody.
type methodClass uint8

const (
	classUnknown     methodClass = iota
	classProtocol                // of the connection itself: any key that may speak MCP
	classList                    // lists what is there of a kind, each decided by itself
	classCall                    // names one thing: calls a tool, gets a prompt, reads a resource or subscribes to it, completes
	classTask                    // of one task: decided as a call of its tool
	classListen                  // opens a stream of notifications, each decided by itself
	classNotOffered              // of the protocol, but not served here
	classIgnored                 // a notification that changes nothing here
	classInitialized             // the client's last word of the handshake
	classCancel                  // ends a request of the same session
)

// era is a protocol generation: with sessions (to 2025-11-25), or stateless.
type era uint8

const (
	eraLegacy era = 1 << iota
	eraModern
	eraBoth = eraLegacy | eraModern
)

const (
	methodSubscribe   = string(mcpgo.MethodResourcesSubscribe)
	methodUnsubscribe = string(mcpgo.MethodResourcesUnsubscribe)
)

type method struct {
	class methodClass
	eras  era
	kind  kind // of what it lists or names; completions name theirs in the message
}

// methods classifies every JSON-RPC method that is not refused unseen. A new
// one must be given a class here before anything can answer it.
var methods = map[string]method{
	string(mcpgo.MethodInitialize):          {class: classProtocol, eras: eraLegacy},
	string(mcpgo.MethodPing):                {class: classProtocol, eras: eraLegacy},
	string(mcpgo.MethodSetLogLevel):         {class: classProtocol, eras: eraLegacy},
	string(mcpgo.MethodServerDiscover):      {class: classProtocol, eras: eraModern},
	string(mcpgo.MethodSubscriptionsListen): {class: classListen, eras: eraModern},

	string(mcpgo.MethodToolsList):              {classList, eraBoth, kindTool},
	string(mcpgo.MethodPromptsList):            {classList, eraBoth, kindPrompt},
	string(mcpgo.MethodResourcesList):          {classList, eraBoth, kindResource},
	string(mcpgo.MethodResourcesTemplatesList): {classList, eraBoth, kindTemplate},

	string(mcpgo.MethodToolsCall):          {classCall, eraBoth, kindTool},
	string(mcpgo.MethodPromptsGet):         {classCall, eraBoth, kindPrompt},
	string(mcpgo.MethodResourcesRead):      {classCall, eraBoth, kindResource},
	string(mcpgo.MethodCompletionComplete): {classCall, eraBoth, kindPrompt},

	tasksGet:    {class: classTask, eras: eraBoth},
	tasksResult: {class: classTask, eras: eraLegacy},
	tasksUpdate: {class: classTask, eras: eraModern},
	tasksCancel: {class: classTask, eras: eraBoth},
	// Decided like a read. 2026-07-28 has them in subscriptions/listen.
	methodSubscribe:   {classCall, eraLegacy, kindResource},
	methodUnsubscribe: {classCall, eraLegacy, kindResource},

	"notifications/initialized":        {class: classInitialized, eras: eraLegacy},
	"notifications/cancelled":          {class: classCancel, eras: eraBoth},
	"notifications/progress":           {class: classIgnored, eras: eraBoth},
	"notifications/roots/list_changed": {class: classIgnored, eras: eraLegacy},

	// Named so that a later offer is a decision in this table, not a default.
	"tasks/list": {class: classNotOffered, eras: eraLegacy},
}
