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

// resultOf takes the modern era's own members out of a result, and says of what
// kind it is. Of a legacy upstream it takes them too, for a client of the modern
// era would believe them. Some clients match keys whatever their case, so other
// spellings go as well.
func resultOf(f *frame, modern bool) Reply {
	reply := Reply{Result: f.result, IsError: f.isError}
	if f.members == nil {
		return reply
	}
	kind, odd, metas := string(mcpgo.ResultTypeComplete), false, 0
	reply.Result = rawjson.EditList(f.result, f.members, func(key string, value []byte) []byte {
		switch {
		case strings.EqualFold(key, "resultType"):
			if modern && key == "resultType" {
				said := rawjson.Text(value)
				odd = odd || said == "" || kind != string(mcpgo.ResultTypeComplete) && kind != said
				kind = said
			}
			return nil
		case key == "_meta":
			metas++
			value = without(value, mcpgo.MetaKeyServerInfo)
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
	case odd:
		return refusedResult("upstream's result does not say of what kind it is")
	case kind != string(mcpgo.ResultTypeComplete):
		reply.Type = kind
	}
	return reply
}

func refusedResult(problem string) Reply {
	return Reply{Error: &Error{Code: mcpgo.INTERNAL_ERROR, Message: problem}}
}

// without is a _meta without one of its members, nil when nothing is left of it or
// it is no object.
func without(meta []byte, member string) []byte {
	if !rawjson.IsObject(meta) {
		return nil
	}
	left, found := 0, false
	out, err := rawjson.Edit(meta, func(key string, value []byte) []byte {
		if key == member {
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
