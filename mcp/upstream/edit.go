package upstream

import (
	"strings"

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
// kinds of result that cannot be passed on yet. Of a legacy upstream it takes
// them too, for a client of the modern era would believe them. Some clients
// match keys whatever their case, so other spellings go as well.
func complete(f *frame, modern bool) Reply {
	reply := Reply{Result: f.result, IsError: f.isError}
	if f.members == nil {
		return reply
	}
	kind, metas := "complete", 0
	reply.Result = rawjson.EditList(f.result, f.members, func(key string, value []byte) []byte {
		switch {
		case strings.EqualFold(key, "resultType"):
			if modern && key == "resultType" && kind == "complete" {
				kind = rawjson.Text(value)
			}
			return nil
		case key == "_meta":
			metas++
			value = withoutServerInfo(value)
			reply.Meta = value != nil
			return value
		case strings.EqualFold(key, "_meta"):
			return nil
		}
		return value
	})
	switch {
	case metas > 1:
		return refusedResult("upstream's result has _meta twice")
	case kind == "complete":
		return reply
	case kind == "input_required":
		return refusedResult("upstream needs input from the client, which is not supported yet")
	}
	return refusedResult("upstream answered with a kind of result that is not supported: " + printable(kind, 40))
}

func refusedResult(problem string) Reply {
	return Reply{Error: &Error{Code: mcpgo.INTERNAL_ERROR, Message: problem}}
}

// withoutServerInfo is a result's _meta without serverInfo, nil when nothing is
// left of it or it is no object.
func withoutServerInfo(meta []byte) []byte {
	if !rawjson.IsObject(meta) {
		return nil
	}
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
