package upstream

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	mcpgo "github.com/mark3labs/mcp-go/mcp"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/mcp/rawjson"
)

// Call is one request that is passed on for a client: tools/call, unless
// Method names another.
type Call struct {
	Method    string          // "" = tools/call
	Tool      string          // upstream name; of tools/call only
	Arguments json.RawMessage // an object, as received; nil = absent
	// Params are the other members of params, an object without _meta; nil =
	// none. A client's second try after input_required has its inputResponses and
	// requestState here. Mirror is what Mcp-Name repeats of them to a modern
	// upstream (params.name or params.uri); "" = nothing.
	Params json.RawMessage
	Mirror string
	Meta   json.RawMessage // the client's params._meta, without the protocol's own keys and the progress token; nil = absent
	// Progress, when not nil, asks the upstream for progress; each notification's
	// params come without progressToken. Called in order, from the goroutine of
	// Call, never after Call returned. A caller that is 1,000 notifications or
	// 4 MiB behind loses the oldest.
	Progress func(params json.RawMessage)
	// Log, when not nil, gets, in the same way, the params of notifications/message
	// that arrive on this call's own stream, or on a stream of the whole connection
	// while all calls that run have the one Owner: then the newest of them.
	Log func(params json.RawMessage)
	// LogLevel is the level asked of a modern upstream when Log is not nil;
	// empty = info.
	LogLevel string

	// Owner says whose the call is, in any words: calls with the same Owner come
	// from one client, which may see what is meant for any of them. "" is nobody,
	// and never the same as another nobody.
	Owner string
	// Principal is who is behind the Owner, who may have several of them; "" =
	// the Owner. Calls that were just answered are told apart by it alone.
	Principal string
	// Ask answers a request that an upstream of the legacy era makes during the
	// call (sampling/createMessage or elicitation/create; which of them reach it is
	// written in questions.go); nil = the client can't be asked, and the upstream is
	// told so. Each runs on a goroutine of its own, up to 16 at once; ctx ends with
	// the call, or when the upstream takes its request back. Ask must then return,
	// for Call waits for it. params is an object as received, without a task to make
	// of it (none is declared); the result must be an object.
	Ask func(ctx context.Context, method string, params json.RawMessage) (result json.RawMessage, err *Error)
	// Capabilities are the client's, as a modern upstream is told them with this
	// call: an object; nil = {}.
	Capabilities json.RawMessage
	// Types are the kinds of result besides the complete one that the client takes
	// from a modern upstream: "input_required", and those of the extensions among its
	// Capabilities ("task"). Any other is an error of code -32603.
	Types []string
}

// Reply is what the upstream answered: a result as received (without what the
// modern era's resultType and serverInfo say, in either era), or its JSON-RPC error. There are no
// line breaks in its JSON: those between tokens became spaces.
type Reply struct {
	Result json.RawMessage
	// Type is what kind of result it is: "" for a complete one, else one of
	// Call.Types.
	Type    string
	Error   *Error
	IsError bool // Result says isError: true
	Meta    bool // Result has a _meta
}

// Error is an upstream's own JSON-RPC error, or what it is answered with.
type Error struct {
	Code    int
	Message string
	Data    json.RawMessage
}

func (e *Error) Error() string { return fmt.Sprintf("upstream error %d: %s", e.Code, e.Message) }

// call relays one request.
func (s *session) call(ctx context.Context, c *Call) (Reply, error) {
	switch {
	case c.Arguments != nil && !rawjson.ValidObject(c.Arguments):
		return Reply{}, errors.New("arguments are not a JSON object")
	case c.Params != nil && !rawjson.ValidObject(c.Params):
		return Reply{}, errors.New("params are not a JSON object")
	case c.Capabilities != nil && !rawjson.ValidObject(c.Capabilities):
		return Reply{}, errors.New("capabilities are not a JSON object")
	}
	r := s.relayed(c)
	if c.Progress != nil || c.Log != nil {
		r.notes = c.deliver
	}
	if tools := s.mirrored.Load(); s.modern && c.Tool != "" && tools != nil && (*tools)[c.Tool] != nil {
		r.headers = mcpgo.GenerateParamHeaders((*tools)[c.Tool], r.params)
	}
	if s.cfg.Transport == keys.TransportEmbedded && c.Principal != "" {
		if r.headers == nil {
			r.headers = map[string]string{}
		}
		r.headers[HeaderPrincipal] = c.Principal
	}
	end := s.callers.begin(ctx, r.id, c)
	f, err := s.link.exchange(ctx, r)
	end(err == nil)
	switch {
	case err != nil:
		return Reply{}, err
	case f.err != nil:
		if f.err.Code == mcpgo.HEADER_MISMATCH {
			s.changed(setOf(KindTool)) // the schema that says which headers to send is old
		}
		return Reply{Error: f.err}, nil
	}
	reply := resultOf(&f, s.modern)
	if reply.Type != "" && !slices.Contains(c.Types, reply.Type) {
		reply = refusedResult("upstream answered with a kind of result that the client does not take: " + printable(reply.Type, 40))
	}
	return reply, nil
}

// relayed encodes a request that is passed on.
func (s *session) relayed(c *Call) *request {
	method, mirror := c.Method, c.Mirror
	if method == "" {
		method, mirror = string(mcpgo.MethodToolsCall), c.Tool
	}
	id := s.ids.Add(1)
	size := len(c.Tool) + len(c.Arguments) + len(c.Params) + len(c.Meta) + len(c.Capabilities) + 256
	r := newRequest(id, method, size, func(b []byte) []byte {
		b = append(b, '{')
		sep := byte(0)
		if inside := bytes.TrimSpace(c.Params); len(inside) > 2 {
			if inside = bytes.TrimSpace(inside[1 : len(inside)-1]); len(inside) > 0 {
				b, sep = append(b, inside...), ','
			}
		}
		if c.Tool != "" || c.Method == "" {
			if sep != 0 {
				b = append(b, sep)
			}
			b, sep = append(append(b, `"name":`...), rawjson.Quote(c.Tool)...), ','
		}
		if c.Arguments != nil {
			if sep != 0 {
				b = append(b, sep)
			}
			b, sep = append(append(b, `"arguments":`...), c.Arguments...), ','
		}
		return append(s.appendMeta(b, sep, c, id), '}')
	})
	r.modern, r.name, r.logs = s.modern, mirror, c.Log != nil
	// A request that makes a task is not ended by notifications/cancelled (MCP
	// 2025-11-25, basic/utilities/cancellation): tasks/cancel is for that.
	r.told = s.modern || rawjson.Field(c.Params, "task") == nil
	return r
}

// deliver hands a notification to the caller.
func (c *Call) deliver(n note) {
	switch {
	case n.method == "notifications/progress" && c.Progress != nil:
		c.Progress(n.params)
	case n.method == "notifications/message" && c.Log != nil:
		c.Log(n.params)
	}
}

// appendMeta appends the _meta member behind the separator sep (0 = none),
// when there is anything in it: the client's own members, our progress token,
// and in the modern era what every request must carry.
func (s *session) appendMeta(b []byte, sep byte, c *Call, id int64) []byte {
	start := len(b)
	if sep != 0 {
		b = append(b, sep)
	}
	b = append(b, `"_meta":{`...)
	empty := len(b)
	add := func(key string, value []byte) {
		if len(b) > empty {
			b = append(b, ',')
		}
		name, _ := json.Marshal(key)
		b = append(append(append(b, name...), ':'), value...)
	}
	if c != nil && c.Meta != nil {
		mark := len(b)
		err := rawjson.Members(c.Meta, func(key string, value []byte) error {
			if !dropMeta(key) {
				add(key, value)
			}
			return nil
		})
		if err != nil {
			b = b[:mark] // not an object: nothing of it can be passed on
		}
	}
	if c != nil && c.Progress != nil {
		add("progressToken", fmt.Append(nil, id))
	}
	if s.modern {
		add(mcpgo.MetaKeyProtocolVersion, []byte(`"`+mcpgo.ProtocolVersion20260728+`"`))
		add(mcpgo.MetaKeyClientCapabilities, c.capabilities())
		add(mcpgo.MetaKeyClientInfo, s.self)
		if c != nil && c.Log != nil {
			level, _ := json.Marshal(c.level())
			add(mcpgo.MetaKeyLogLevel, level)
		}
	}
	if len(b) == empty {
		return b[:start]
	}
	return append(b, '}')
}

func (c *Call) capabilities() []byte {
	if c == nil || c.Capabilities == nil {
		return []byte(`{}`)
	}
	return c.Capabilities
}

func (c *Call) level() string {
	if c.LogLevel == "" {
		return string(mcpgo.LoggingLevelInfo)
	}
	return c.LogLevel
}
