package mcp

import (
	"context"
	"encoding/json"
	"errors"
	"strings"

	mcpgo "github.com/mark3labs/mcp-go/mcp"
	"go.uber.org/zap"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/policy"
)

// The categories of built-in tools.
const (
	categoryKeys     = "keys"
	categoryAudit    = "audit"
	categoryPlatform = "platform"
)

// builtin is a tool of the gateway itself. Its permission is checked by the
// gate and again by the Service that it calls.
type builtin struct {
	name        string
	title       string
	description string
	category    string
	permission  string // REST permission; "" = every key (whoami)
	effect      policy.Effect
	idempotent  bool
	input       schema
	output      schema
	// run answers the structured result. Its errors become isError results
	// that name the field.
	run func(ctx context.Context, r *request, arguments json.RawMessage) (any, error)

	definition json.RawMessage
	log        *zap.Logger
}

// builtinTools are all of them, with their definitions encoded.
func (g *Gateway) builtinTools() []builtin {
	var all []builtin
	all = append(all, g.whoamiTool())
	all = append(all, g.keyTools()...)
	all = append(all, g.keyEditTools()...)
	all = append(all, g.auditTools()...)
	all = append(all, g.platformTools()...)
	for i := range all {
		all[i].log = g.log
		all[i].definition = all[i].encode()
	}
	return all
}

// tool is what policies see of it.
func (b *builtin) tool() policy.Tool {
	return policy.Tool{ID: serverName + "/" + b.name, Name: b.name, Category: b.category,
		Effect: b.effect, Permission: b.permission}
}

type annotations struct {
	Title           string `json:"title"`
	ReadOnlyHint    bool   `json:"readOnlyHint"`
	DestructiveHint bool   `json:"destructiveHint"`
	IdempotentHint  bool   `json:"idempotentHint"`
	OpenWorldHint   bool   `json:"openWorldHint"`
}

func (b *builtin) encode() json.RawMessage {
	raw, err := json.Marshal(struct {
		Name         string          `json:"name"`
		Title        string          `json:"title"`
		Description  string          `json:"description"`
		InputSchema  json.RawMessage `json:"inputSchema"`
		OutputSchema json.RawMessage `json:"outputSchema"`
		Annotations  annotations     `json:"annotations"`
	}{b.name, b.title, b.description, b.input.encode(), b.output.encode(), annotations{
		Title: b.title, ReadOnlyHint: b.effect == policy.EffectRead,
		DestructiveHint: b.effect == policy.EffectDestructive,
		IdempotentHint:  b.idempotent || b.effect == policy.EffectRead,
	}})
	if err != nil { // nothing in it can fail to encode
		return nil
	}
	return raw
}

// registration is the tool as mcp-go dispatches it; lists are not mcp-go's.
func (b *builtin) registration() mcpgo.Tool {
	return mcpgo.NewToolWithRawSchema(b.name, b.description, b.input.encode())
}

// handle runs the tool for the request in the context. The arguments are the
// request's own bytes: mcp-go has decoded its copy through float64.
func (b *builtin) handle(ctx context.Context, _ mcpgo.CallToolRequest) (*mcpgo.CallToolResult, error) {
	r := requestFrom(ctx)
	if r == nil {
		return nil, keys.ErrUnauthenticated
	}
	arguments := r.msg.arguments
	if arguments == nil {
		arguments = json.RawMessage(`{}`)
	}
	out, err := b.run(ctx, r, arguments)
	if err != nil {
		return mcpgo.NewToolResultError(b.explain(err)), nil
	}
	raw, err := json.Marshal(out)
	if err != nil {
		return nil, errors.New("the result can't be encoded")
	}
	return &mcpgo.CallToolResult{
		Content:           []mcpgo.Content{mcpgo.NewTextContent(string(raw))},
		StructuredContent: json.RawMessage(raw),
	}, nil
}

// explain is an error for the model: what is wrong, where, what to do.
func (b *builtin) explain(err error) string {
	var (
		syntax   *policy.SyntaxError
		invalid  *keys.InvalidError
		denied   *keys.PermissionError
		conflict *keys.ConflictError
	)
	switch {
	case errors.As(err, &syntax):
		return "arguments: " + syntax.Error()
	case errors.As(err, &invalid):
		return problems("invalid arguments", invalid.Fields)
	case errors.As(err, &denied):
		text := problems(denied.Error(), denied.Fields)
		if denied.Hint != "" {
			text += " (hint: " + denied.Hint + ")"
		}
		return text
	case errors.As(err, &conflict):
		return conflict.Error()
	case errors.Is(err, keys.ErrNotFound):
		return "not found: no such id, or it is not yours to see"
	case errors.Is(err, keys.ErrVersion):
		return "changed since it was read: read it again"
	case errors.Is(err, keys.ErrBadCredential), errors.Is(err, keys.ErrUnauthenticated):
		return "this key no longer counts"
	case errors.Is(err, keys.ErrUnavailable):
		return "the store can't be reached now, try again"
	}
	b.log.Error("built-in tool failed", zap.String("tool", b.name), zap.Error(err))
	return "internal error"
}

func problems(what string, fields []policy.Problem) string {
	parts := make([]string, 0, len(fields))
	for _, f := range fields {
		parts = append(parts, f.Field+": "+f.Problem)
	}
	if len(parts) == 0 {
		return what
	}
	return what + ": " + strings.Join(parts, "; ")
}

// invalidArgument is one fault of one argument.
func invalidArgument(name, problem string) error {
	return &keys.InvalidError{Fields: []policy.Problem{{Field: name, Problem: problem}}}
}

// arguments decodes strictly into one of the argument types.
func arguments[T any](raw json.RawMessage) (v T, err error) {
	return v, policy.UnmarshalStrict(raw, &v)
}
