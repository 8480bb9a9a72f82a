package mcp

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strconv"

	mcpgo "github.com/mark3labs/mcp-go/mcp"

	"github.com/bailiwick-mcp/bailiwick/keys/wire"
	"github.com/bailiwick-mcp/bailiwick/mcp/rawjson"
)

// Codes of ours, in JSON-RPC's range for servers (-32000 to -32099).
const (
	codeDenied   = -32000 // the key may not speak MCP now; data.code says why
	codeCanceled = -32800 // the request was canceled; nobody should be waiting

	codeRateLimited = -32029 // the key has too much open; data.retryAfterSeconds says when to try again

	codeApproval = -32030 // a person must approve the call first, or has not; data.approvalId and data.status say more
)

// reply is the answer to one message: a JSON-RPC response (nil body: none),
// or a problem of the key as a whole, which HTTP answers as such.
type reply struct {
	status  int // 0 = nothing is to be answered
	body    []byte
	problem *wire.Problem
	failed  bool // an error or a problem
}

func accepted() reply { return reply{status: http.StatusAccepted} }

// result answers with a raw result.
func result(id, raw json.RawMessage) reply {
	b := make([]byte, 0, len(raw)+len(id)+48)
	b = append(append(b, `{"jsonrpc":"2.0","id":`...), id...)
	b = append(append(b, `,"result":`...), raw...)
	return reply{status: http.StatusOK, body: append(b, '}')}
}

// failure answers with a JSON-RPC error under HTTP 200: the message was fit to
// be answered. data may be nil.
func failure(id json.RawMessage, code int, message string, data json.RawMessage) reply {
	if id == nil {
		id = json.RawMessage("null")
	}
	b := make([]byte, 0, len(message)+len(data)+len(id)+80)
	b = append(append(b, `{"jsonrpc":"2.0","id":`...), id...)
	b = strconv.AppendInt(append(b, `,"error":{"code":`...), int64(code), 10)
	b = append(append(b, `,"message":`...), rawjson.Quote(message)...)
	if data != nil {
		b = append(append(b, `,"data":`...), data...)
	}
	return reply{status: http.StatusOK, body: append(b, '}', '}'), failed: true}
}

// refusal is a failure with the HTTP status that 2026-07-28 gives its code;
// the older era answers what it could read with 200.
func refusal(e era, id json.RawMessage, code int, message string, data json.RawMessage) reply {
	r := failure(id, code, message, data)
	if e != eraModern {
		return r
	}
	switch code {
	case mcpgo.METHOD_NOT_FOUND:
		r.status = http.StatusNotFound
	case mcpgo.HEADER_MISMATCH, mcpgo.MISSING_REQUIRED_CLIENT_CAPABILITY, mcpgo.UNSUPPORTED_PROTOCOL_VERSION,
		mcpgo.INVALID_REQUEST, mcpgo.INVALID_PARAMS, mcpgo.PARSE_ERROR:
		r.status = http.StatusBadRequest
	}
	return r
}

func problemReply(p wire.Problem) reply { return reply{status: p.Status, problem: &p, failed: true} }

// asMessage is the reply where there is no HTTP status: a problem becomes a
// JSON-RPC error whose data.code is the problem's.
func (r reply) asMessage(id json.RawMessage) []byte {
	if r.problem == nil {
		return r.body
	}
	data := append(append([]byte(`{"code":`), rawjson.Quote(r.problem.Code)...), '}')
	return failure(id, codeDenied, r.problem.Detail, data).body
}

// notification is a JSON-RPC notification with raw params.
func notification(method string, params json.RawMessage) []byte {
	b := append([]byte(`{"jsonrpc":"2.0","method":`), rawjson.Quote(method)...)
	if params != nil {
		b = append(append(b, `,"params":`...), params...)
	}
	return append(b, '}')
}

// completeResult is the result of complete in one copy, for an object without
// _meta and resultType.
func completeResult(id, raw json.RawMessage, serverInfo []byte) reply {
	const start, meta = `{"jsonrpc":"2.0","id":`, `,"result":{"resultType":"complete","_meta":{"` + mcpgo.MetaKeyServerInfo + `":`
	rest := raw[bytes.IndexByte(raw, '{')+1:]
	b := make([]byte, 0, len(start)+len(id)+len(meta)+len(serverInfo)+len(rest)+4)
	b = append(append(append(append(append(b, start...), id...), meta...), serverInfo...), '}')
	if bytes.TrimLeft(rest, " \t\r\n")[0] != '}' {
		b = append(b, ',')
	}
	return reply{status: http.StatusOK, body: append(append(b, rest...), '}')}
}

// complete marks a result as the last word on its request.
func complete(raw json.RawMessage, serverInfo []byte) json.RawMessage {
	return finished(raw, typeComplete, serverInfo)
}

// finished adds to a result object what 2026-07-28 requires of every result,
// its kind among it, and leaves each of its other bytes as it is.
func finished(raw json.RawMessage, kind string, serverInfo []byte) json.RawMessage {
	list, err := rawjson.List(raw)
	if err != nil {
		return raw
	}
	out := raw
	at := -1
	for i, m := range list {
		if m.Key == "_meta" && rawjson.IsObject(m.Value) {
			at = i
		}
	}
	if at >= 0 {
		out = rawjson.Replace(raw, list[at], rawjson.Prepend(list[at].Value, mcpgo.MetaKeyServerInfo, serverInfo))
	} else {
		meta := append(append([]byte(`{`), rawjson.Quote(mcpgo.MetaKeyServerInfo)...), ':')
		out = rawjson.Prepend(out, "_meta", append(append(meta, serverInfo...), '}'))
	}
	return rawjson.Prepend(out, "resultType", rawjson.Quote(kind))
}
