package mcp

import mcpgo "github.com/mark3labs/mcp-go/mcp"

// methodClass says what a JSON-RPC method is to the gate. The zero class is
// one that nothing classifies: refused for everybody.
type methodClass uint8

const (
	classUnknown     methodClass = iota
	classProtocol                // of the connection itself: any key that may speak MCP
	classList                    // lists tools, each decided by itself
	classCall                    // calls one tool
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

type method struct {
	class methodClass
	eras  era
}

// methods classifies every JSON-RPC method that is not refused unseen. A new
// one must be given a class here before anything can answer it.
var methods = map[string]method{
	string(mcpgo.MethodInitialize):          {classProtocol, eraLegacy},
	string(mcpgo.MethodPing):                {classProtocol, eraLegacy},
	string(mcpgo.MethodSetLogLevel):         {classProtocol, eraLegacy},
	string(mcpgo.MethodServerDiscover):      {classProtocol, eraModern},
	string(mcpgo.MethodToolsList):           {classList, eraBoth},
	string(mcpgo.MethodToolsCall):           {classCall, eraBoth},
	string(mcpgo.MethodSubscriptionsListen): {classListen, eraModern},

	"notifications/initialized":        {classInitialized, eraLegacy},
	"notifications/cancelled":          {classCancel, eraBoth},
	"notifications/progress":           {classIgnored, eraBoth},
	"notifications/roots/list_changed": {classIgnored, eraLegacy},

	// Named so that a later offer is a decision in this table, not a default.
	"resources/list":           {classNotOffered, eraBoth},
	"resources/templates/list": {classNotOffered, eraBoth},
	"resources/read":           {classNotOffered, eraBoth},
	"resources/subscribe":      {classNotOffered, eraLegacy},
	"resources/unsubscribe":    {classNotOffered, eraLegacy},
	"prompts/list":             {classNotOffered, eraBoth},
	"prompts/get":              {classNotOffered, eraBoth},
	"completion/complete":      {classNotOffered, eraBoth},
	"tasks/get":                {classNotOffered, eraBoth},
	"tasks/list":               {classNotOffered, eraBoth},
	"tasks/result":             {classNotOffered, eraBoth},
	"tasks/update":             {classNotOffered, eraBoth},
	"tasks/cancel":             {classNotOffered, eraBoth},
}
