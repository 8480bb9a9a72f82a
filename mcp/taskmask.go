package mcp

import (
	"context"
	"encoding/json"
	"strings"

	mcpgo "github.com/mark3labs/mcp-go/mcp"

	"github.com/bailiwick-mcp/bailiwick/mcp/rawjson"
	"github.com/bailiwick-mcp/bailiwick/mcp/upstream"
)

// maskTask puts an id in the place of the upstream's own, wherever the result of a
// method has one; every other byte stays. tools/call is one that made a task.
func maskTask(method string, raw json.RawMessage, id string) json.RawMessage {
	return edited(raw, func(key string, value []byte) []byte {
		switch {
		case key == "_meta":
			return maskMeta(value, id)
		case method == tasksResult: // else the bytes of a tool's result
		case key == "taskId":
			return rawjson.Quote(id)
		case key == "task" && method == string(mcpgo.MethodToolsCall):
			return edited(value, func(key string, value []byte) []byte {
				if key == "taskId" {
					return rawjson.Quote(id)
				}
				return value
			})
		case key == "result":
			return maskRelated(value, id)
		case key == "inputRequests":
			return edited(value, func(_ string, asked []byte) []byte {
				method := rawjson.Text(rawjson.Field(asked, "method"))
				return edited(asked, func(key string, value []byte) []byte {
					if key == "params" {
						return maskRelated(withoutContext(method, value), id)
					}
					return value
				})
			})
		}
		return value
	})
}

// maskRelated is an object in whose _meta the related task has another id; "" takes
// out that there is a related task.
func maskRelated(raw json.RawMessage, id string) json.RawMessage {
	return edited(raw, func(key string, value []byte) []byte {
		if key == "_meta" {
			return maskMeta(value, id)
		}
		return value
	})
}

func maskMeta(meta []byte, id string) []byte {
	return edited(meta, func(key string, value []byte) []byte {
		switch {
		case key != mcpgo.RelatedTaskMetaKey:
			return value
		case id == "":
			return nil
		}
		return edited(value, func(key string, value []byte) []byte {
			if key == "taskId" {
				return rawjson.Quote(id)
			}
			return value
		})
	})
}

// edited is rawjson.Edit of what may be no object, which stays as it is.
func edited(raw json.RawMessage, change func(key string, value []byte) []byte) json.RawMessage {
	out, err := rawjson.Edit(raw, change)
	if err != nil {
		return raw
	}
	return out
}

// shortID is the length below which an upstream's id is not looked for in a text:
// a number would be found in anything.
const shortID = 8

// maskError names the task in an upstream's error as the client knows it.
func maskError(e *upstream.Error, own, id string) upstream.Error {
	out := *e
	if len(own) >= shortID {
		out.Message = strings.ReplaceAll(out.Message, own, id)
	}
	out.Data = maskTask("", out.Data, id)
	return out
}

// maskCall has what the upstream says and asks during a call name the task as the
// client knows it. Before a task is made the client knows none.
func maskCall(c *upstream.Call, own, id string) {
	for _, hear := range []*func(json.RawMessage){&c.Progress, &c.Log} {
		if say := *hear; say != nil {
			*hear = func(params json.RawMessage) { say(maskRelated(params, id)) }
		}
	}
	if ask := c.Ask; ask != nil {
		c.Ask = func(ctx context.Context, method string, params json.RawMessage) (json.RawMessage, *upstream.Error) {
			answer, refused := ask(ctx, method, maskRelated(params, id))
			return maskRelated(answer, own), refused
		}
	}
}
