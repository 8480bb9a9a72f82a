package upstream

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	mcpgo "github.com/mark3labs/mcp-go/mcp"

	"github.com/bailiwick-mcp/bailiwick/mcp/rawjson"
)

// maxMessage is the largest message that is read from an upstream, in bytes.
const maxMessage = 16 << 20

// request is one JSON-RPC request on its way.
type request struct {
	id      int64
	method  string
	message []byte // the whole message
	params  []byte // the part of message that is the params
	name    string // what Mcp-Name mirrors
	headers map[string]string
	modern  bool
	notes   func(note) // nil = the caller wants none
	told    bool       // the upstream is told when it ends before its answer
	logs    bool       // notifications/message on its own stream are for notes too
}

// note is a notification that belongs to a request.
type note struct {
	method string
	params json.RawMessage
}

// newRequest encodes a request; params appends the params object.
func newRequest(id int64, method string, size int, params func([]byte) []byte) *request {
	b := make([]byte, 0, size+len(method)+96)
	b = append(b, `{"jsonrpc":"2.0","id":`...)
	b = strconv.AppendInt(b, id, 10)
	b = append(b, `,"method":"`...)
	b = append(b, method...)
	b = append(b, `","params":`...)
	start := len(b)
	b = params(b)
	end := len(b)
	b = append(b, '}')
	rawjson.Flatten(b)
	return &request{id: id, method: method, message: b, params: b[start:end]}
}

// notification encodes a notification.
func notification(method, params string) []byte {
	return []byte(`{"jsonrpc":"2.0","method":"` + method + `","params":` + params + `}`)
}

// frame is one message of an upstream, its parts as received.
type frame struct {
	id     json.RawMessage // nil = absent or null
	method string
	params json.RawMessage
	result json.RawMessage
	err    *Error
	broken error // an answer that is not what the protocol says

	isError bool             // the result says isError: true
	members []rawjson.Member // of a result that has some of the protocol's own; else nil
}

var errNoMessage = errors.New("not a JSON-RPC message")

// parseFrame reads the envelope, and what matters in a result, in one pass. An
// error is something that is not a JSON-RPC message at all; a message with an id
// that breaks the rules is a frame whose broken says why. The frame keeps slices of b, and b's line breaks
// become spaces. Nothing of a message that is not valid UTF-8 (RFC 8259, 8.1)
// is in its frame but the id and the method: a client could not read it, and
// what it repeats must not make an answer of ours unreadable.
func parseFrame(b []byte) (frame, error) {
	var f frame
	var version, fault string
	var seen [6]bool
	once := func(i int, name string) {
		if seen[i] {
			fault = "member " + name + " twice"
		}
		seen[i] = true
	}
	var top, result [8]rawjson.Member // on the stack, where it is no more
	list, inResult, err := rawjson.AppendListAndOf(top[:0], result[:0], b, "result")
	if err != nil {
		return frame{}, err
	}
	for _, m := range list {
		key, value := m.Key, m.Value
		switch key {
		case "jsonrpc":
			once(0, key)
			version = rawjson.Text(value)
		case "id":
			once(1, key)
			if string(value) != "null" {
				f.id = value
			}
		case "method":
			once(2, key)
			f.method = rawjson.Text(value)
		case "params":
			once(3, key)
			f.params = value
		case "result":
			once(4, key)
			f.result = value
		case "error":
			once(5, key)
			f.err, f.broken = parseError(value)
		}
	}
	f.readResult(inResult)
	rawjson.Flatten(b)
	hasResult, hasError := seen[4], seen[5]
	switch {
	case !seen[0]:
		return frame{}, errNoMessage
	case version != mcpgo.JSONRPC_VERSION:
		fault = `jsonrpc is not "2.0"`
	case f.method != "" || f.broken != nil:
	case hasResult == hasError:
		fault = "not exactly one of result and error"
	case hasResult && !rawjson.IsObject(f.result):
		fault = "result is not an object"
	}
	if fault != "" {
		f.broken = errors.New(fault)
	}
	if !utf8.Valid(b) {
		f = frame{id: f.id, method: f.method, broken: ErrNotUTF8}
		if !utf8.Valid(f.id) {
			f.id = nil
		}
	}
	return f, nil
}

// readResult looks for what matters in a result.
func (f *frame) readResult(list []rawjson.Member) {
	for _, m := range list {
		switch {
		case m.Key == "content" || m.Key == "structuredContent":
		case m.Key == "isError":
			f.isError = string(m.Value) == "true" // the last of several wins, as in encoding/json
		case strings.EqualFold(m.Key, "resultType") || strings.EqualFold(m.Key, "_meta"):
			f.members = slices.Clone(list)
		}
	}
}

func parseError(b []byte) (*Error, error) {
	e, haveCode := &Error{}, false
	err := rawjson.Members(b, func(key string, value []byte) (err error) {
		switch key {
		case "code":
			e.Code, err = strconv.Atoi(string(value))
			haveCode = err == nil
		case "message":
			e.Message = rawjson.Text(value)
		case "data":
			e.Data = value
		}
		return err
	})
	if err != nil || !haveCode {
		return nil, errors.New("error is not an object with an integer code")
	}
	return e, nil
}

// answers reports whether f answers the request with this id.
func (f *frame) answers(id int64) bool {
	return f.method == "" && string(f.id) == strconv.FormatInt(id, 10)
}

// isRequest reports whether the upstream asks something.
func (f *frame) isRequest() bool { return f.method != "" && f.id != nil }

// check turns a broken answer into ErrGarbage.
func (f *frame) check() error {
	if f.broken != nil {
		return fmt.Errorf("%w: %w", ErrGarbage, f.broken)
	}
	return nil
}
