package mcp

import (
	"encoding/json"
	"fmt"
	"strings"
	"unicode/utf8"

	mcpgo "github.com/mark3labs/mcp-go/mcp"

	"github.com/bailiwick-mcp/bailiwick/mcp/rawjson"
)

// Limits of what a message may say about itself.
const (
	maxIDBytes     = 256
	maxMethodBytes = 256
	maxTokenBytes  = 256
	maxDepth       = 128 // objects and arrays in one another
	maxMembers     = 256 // of the message, of params, of params._meta

	usualMembers = 8 // of each of them: what fits on the stack
)

// message is one JSON-RPC message as read once, strictly. What it holds are
// pieces of the body as received.
type message struct {
	id     json.RawMessage // string or number; nil = a notification
	method string
	params json.RawMessage // an object; nil = absent

	rawName   json.RawMessage // params.name as it came; nil = absent
	rawURI    json.RawMessage // params.uri, in the same way
	name      string          // params.name of tools/call and prompts/get
	uri       string          // params.uri of resources/read
	ref       json.RawMessage // params.ref of completion/complete; nil = absent
	task      json.RawMessage // params.task of tools/call; nil = absent
	taskID    string          // params.taskId of tasks/*
	arguments json.RawMessage // params.arguments; nil = absent
	meta      json.RawMessage // params._meta, an object; nil = absent
	version   string          // protocol version that _meta declares
	progress  json.RawMessage // progress token; nil = none wanted

	responses json.RawMessage // params.inputResponses, the answers to an earlier input_required; nil = absent
	state     json.RawMessage // params.requestState, from there too; nil = absent

	// Of a response, which has no method: exactly one of them is there.
	result  json.RawMessage
	failure json.RawMessage // its error

	raw []byte // the whole body, where a relay needs it
}

// isRequest tells a request from a notification and a response.
func (m *message) isRequest() bool { return m.id != nil && !m.isResponse() }

// isResponse tells an answer to a request of ours.
func (m *message) isResponse() bool { return m.result != nil || m.failure != nil }

// envelopeError is a message that is not what JSON-RPC or MCP say. Its text
// goes to the client and quotes no value.
type envelopeError struct {
	code    int
	problem string
	id      json.RawMessage // as far as it was readable
}

func (e *envelopeError) Error() string { return e.problem }

var (
	topKeys    = []string{"jsonrpc", "id", "method", "params", "result", "error"}
	paramsKeys = []string{"name", "uri", "ref", "arguments", "argument", "context", "_meta", "cursor", "requestId", "level",
		"notifications", "protocolVersion", "task", "taskId", "inputResponses", "requestState"}
	metaKeys = []string{"progressToken", mcpgo.MetaKeyProtocolVersion, mcpgo.MetaKeyClientInfo,
		mcpgo.MetaKeyClientCapabilities, mcpgo.MetaKeyLogLevel}
)

// readMessage reads one message. An error is an *envelopeError.
//
// mcp-go and encoding/json match keys case-insensitively and let the last of
// two win, so a body could say one thing to who decides and another to who
// acts; such keys are refused, here and in params and params._meta.
func readMessage(body []byte) (*message, error) {
	if !utf8.Valid(body) {
		return nil, &envelopeError{code: mcpgo.PARSE_ERROR, problem: "the body is not valid UTF-8"}
	}
	top, err := rawjson.AppendList(make([]rawjson.Member, 0, usualMembers), body, maxDepth)
	if err != nil {
		return nil, unreadable(body)
	}
	if problem := strictKeys(top, topKeys); problem != "" {
		return nil, invalidRequest(nil, problem)
	}
	m, version := topLevel(top)
	switch {
	case !validID(m.id):
		return nil, invalidRequest(nil, fmt.Sprintf("id must be a number, or a string, of at most %d bytes", maxIDBytes))
	case string(version) != `"2.0"`:
		return nil, invalidRequest(m.id, `jsonrpc must be "2.0"`)
	case m.result != nil && m.failure != nil:
		return nil, invalidRequest(m.id, "a response has a result or an error, not both")
	case m.isResponse() && m.method == "" && m.id != nil:
		return m, nil
	case m.isResponse():
		return nil, invalidRequest(m.id, "a message is a request or a response, not both")
	case m.method == "" || len(m.method) > maxMethodBytes:
		return nil, invalidRequest(m.id, fmt.Sprintf("method must be a string of 1 to %d bytes", maxMethodBytes))
	}
	return m.readParams()
}

// unreadable says why a body is not one object that nests as deep as it may.
func unreadable(body []byte) *envelopeError {
	switch {
	case !rawjson.Valid(body):
		return &envelopeError{code: mcpgo.PARSE_ERROR, problem: "the body is not valid JSON"}
	case rawjson.TooDeep(body, maxDepth):
		return invalidRequest(nil, fmt.Sprintf("the body nests deeper than %d levels", maxDepth))
	}
	return invalidRequest(nil, "the body is not one JSON-RPC message: batches are not supported, send each message by itself")
}

func topLevel(top []rawjson.Member) (m *message, version []byte) {
	m = &message{}
	for _, f := range top {
		switch f.Key {
		case "jsonrpc":
			version = f.Value
		case "id":
			m.id = f.Value
		case "method":
			m.method = rawjson.Text(f.Value)
		case "params":
			m.params = f.Value
		case "result":
			m.result = f.Value
		case "error":
			m.failure = f.Value
		}
	}
	return m, version
}

func (m *message) readParams() (*message, error) {
	if m.params == nil {
		return m, nil
	}
	params, err := rawjson.AppendList(make([]rawjson.Member, 0, usualMembers), m.params, maxDepth)
	if err != nil {
		return nil, invalidRequest(m.id, "params must be an object")
	}
	if problem := strictKeys(params, paramsKeys); problem != "" {
		return nil, invalidRequest(m.id, "params: "+problem)
	}
	for _, f := range params {
		switch f.Key {
		case "name":
			m.rawName, m.name = f.Value, rawjson.Text(f.Value)
		case "uri":
			m.rawURI, m.uri = f.Value, rawjson.Text(f.Value)
		case "ref":
			m.ref = f.Value
		case "task":
			m.task = f.Value
		case "taskId":
			m.taskID = rawjson.Text(f.Value)
		case "arguments":
			m.arguments = f.Value
		case "_meta":
			m.meta = f.Value
		case "inputResponses":
			m.responses = f.Value
		case "requestState":
			m.state = f.Value
		}
	}
	if m.meta == nil {
		return m, nil
	}
	return m.readMeta()
}

// mirrored is params with no more than what a standard header repeats of them, so
// that whoever checks the headers does not read large arguments again. nil = absent.
func (m *message) mirrored() json.RawMessage {
	if m.params == nil {
		return nil
	}
	out := append(make([]byte, 0, 32+len(m.rawName)+len(m.rawURI)), '{')
	if m.rawName != nil {
		out = append(append(out, `"name":`...), m.rawName...)
	}
	if m.rawURI != nil {
		if m.rawName != nil {
			out = append(out, ',')
		}
		out = append(append(out, `"uri":`...), m.rawURI...)
	}
	return append(out, '}')
}

func (m *message) readMeta() (*message, error) {
	meta, err := rawjson.AppendList(make([]rawjson.Member, 0, usualMembers), m.meta, maxDepth)
	if err != nil {
		return nil, invalidRequest(m.id, "params._meta must be an object")
	}
	if problem := strictKeys(meta, metaKeys); problem != "" {
		return nil, invalidRequest(m.id, "params._meta: "+problem)
	}
	for _, f := range meta {
		switch f.Key {
		case mcpgo.MetaKeyProtocolVersion:
			m.version = rawjson.Text(f.Value)
		case "progressToken":
			if len(f.Value) > maxTokenBytes || !validID(f.Value) {
				return nil, invalidRequest(m.id, fmt.Sprintf("params._meta.progressToken must be a number, or a string, of at most %d bytes", maxTokenBytes))
			}
			m.progress = f.Value
		}
	}
	return m, nil
}

// strictKeys says what is wrong with an object's keys: two that are equal but
// for case, or one that is a known one but for case.
func strictKeys(list []rawjson.Member, known []string) string {
	if len(list) > maxMembers {
		return fmt.Sprintf("more than %d keys", maxMembers)
	}
	for i, m := range list {
		for _, k := range known {
			if m.Key != k && strings.EqualFold(m.Key, k) {
				return fmt.Sprintf("a key is spelled like %q but for case", k)
			}
		}
		for _, other := range list[:i] {
			if strings.EqualFold(m.Key, other.Key) {
				return "a key is there twice"
			}
		}
	}
	return ""
}

func validID(id json.RawMessage) bool {
	if id == nil {
		return true
	}
	c := id[0]
	return len(id) <= maxIDBytes && (c == '"' || c == '-' || c >= '0' && c <= '9')
}

func invalidRequest(id json.RawMessage, problem string) *envelopeError {
	return &envelopeError{code: mcpgo.INVALID_REQUEST, problem: problem, id: id}
}
