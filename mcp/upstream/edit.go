package upstream

import (
	"encoding/json"

	mcpgo "github.com/mark3labs/mcp-go/mcp"

	"github.com/bailiwick-mcp/bailiwick/mcp/rawjson"
)

// dropMeta is the members of a client's _meta that this connection sets itself
// or that mean nothing further on.
func dropMeta(key string) bool {
	switch key {
	case "progressToken", mcpgo.MetaKeyProtocolVersion, mcpgo.MetaKeyClientCapabilities,
		mcpgo.MetaKeyClientInfo, mcpgo.MetaKeyLogLevel, mcpgo.MetaKeySubscriptionID:
		return true
	}
	return false
}

// complete takes the modern era's own members out of a result, and refuses the
// kinds of result that cannot be passed on yet.
func complete(result json.RawMessage) (json.RawMessage, *Error) {
	kind := "complete"
	out, err := rawjson.Edit(result, func(key string, value []byte) []byte {
		switch key {
		case "resultType":
			kind = rawjson.Text(value)
			return nil
		case "_meta":
			return withoutServerInfo(value)
		}
		return value
	})
	switch {
	case err != nil:
		return nil, &Error{Code: mcpgo.INTERNAL_ERROR, Message: "upstream's result cannot be read"}
	case kind == "complete":
		return out, nil
	case kind == "input_required":
		return nil, &Error{Code: mcpgo.INTERNAL_ERROR,
			Message: "upstream needs input from the client, which is not supported yet"}
	}
	return nil, &Error{Code: mcpgo.INTERNAL_ERROR,
		Message: "upstream answered with a kind of result that is not supported: " + printable(kind, 40)}
}

// withoutServerInfo is a result's _meta without serverInfo, nil when nothing is
// left of it.
func withoutServerInfo(meta []byte) []byte {
	left, found := 0, false
	out, err := rawjson.Edit(meta, func(key string, value []byte) []byte {
		if key == mcpgo.MetaKeyServerInfo {
			found = true
			return nil
		}
		left++
		return value
	})
	switch {
	case err != nil || !found:
		return meta
	case left == 0:
		return nil
	}
	return out
}
