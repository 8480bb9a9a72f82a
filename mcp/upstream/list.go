package upstream

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	mcpgo "github.com/mark3labs/mcp-go/mcp"

	"github.com/bailiwick-mcp/bailiwick/mcp/rawjson"
)

const (
	maxTools     = 10_000
	maxPages     = 1_000
	maxListBytes = 16 << 20
	maxToolBytes = 1 << 20
	maxSkipped   = 100 // entries of Status.Skipped
)

// listing collects a list over its pages.
type listing struct {
	tools    []Tool
	skipped  []string
	more     int // left out beyond maxSkipped
	size     int
	seen     map[string]bool // names
	cursors  map[string]bool
	mirrored map[string]*mcpgo.Tool
}

// list reads all pages of tools/list. A tool that cannot be served is left out
// and named in skipped; so is the rest of a list that is too long.
func (s *session) list(ctx context.Context) (*listing, error) {
	l := &listing{seen: map[string]bool{}, cursors: map[string]bool{}, mirrored: map[string]*mcpgo.Tool{}}
	cursor := ""
	for page := 1; ; page++ {
		params := ""
		if cursor != "" {
			c, _ := json.Marshal(cursor)
			params = `"cursor":` + string(c)
		}
		f, err := s.ask(ctx, mcpgo.MethodToolsList, params)
		if err != nil {
			return nil, step("tools/list", err)
		}
		if f.err != nil {
			if f.err.Code == mcpgo.METHOD_NOT_FOUND && page == 1 {
				break // a server without tools
			}
			return nil, step("tools/list", f.err)
		}
		next, err := l.read(f.result)
		if err != nil {
			return nil, step("tools/list", err)
		}
		if next == "" {
			break
		}
		if why := l.full(page, next); why != "" {
			l.skip("(rest of the list)", why)
			break
		}
		cursor = next
	}
	if l.more > 0 {
		l.skipped = append(l.skipped, fmt.Sprintf("(%d more)", l.more))
	}
	s.mirrored.Store(&l.mirrored)
	return l, nil
}

// full says why no further page is read, "" when it may be.
func (l *listing) full(page int, next string) string {
	switch {
	case l.cursors[next]:
		return "the cursor repeats"
	case page >= maxPages:
		return fmt.Sprintf("more than %d pages", maxPages)
	case len(l.tools) >= maxTools:
		return fmt.Sprintf("more than %d tools", maxTools)
	case l.size >= maxListBytes:
		return fmt.Sprintf("more than %d MiB", maxListBytes>>20)
	}
	l.cursors[next] = true
	return ""
}

// read takes one page.
func (l *listing) read(result json.RawMessage) (next string, err error) {
	var tools []byte
	err = rawjson.Members(result, func(key string, value []byte) error {
		switch key {
		case "tools":
			tools = value
		case "nextCursor":
			next = rawjson.Text(value)
		}
		return nil
	})
	if err == nil {
		err = rawjson.Elements(tools, func(raw []byte) error { l.add(raw); return nil })
	}
	if err != nil {
		return "", fmt.Errorf("%w: the result has no array of tools", ErrGarbage)
	}
	return next, nil
}

// add takes one definition, or says why it is left out.
func (l *listing) add(raw []byte) {
	l.size += len(raw)
	name, schema, err := definition(raw)
	if err == nil {
		switch {
		case len(raw) > maxToolBytes:
			err = fmt.Errorf("its definition is larger than %d MiB", maxToolBytes>>20)
		case l.seen[name]:
			err = errors.New("there is another tool of this name")
		case len(l.tools) >= maxTools:
			err = fmt.Errorf("more than %d tools", maxTools)
		case l.size > maxListBytes:
			err = fmt.Errorf("the list is larger than %d MiB", maxListBytes>>20)
		}
	}
	tool := &mcpgo.Tool{Name: name, RawInputSchema: schema}
	if err == nil {
		err = mcpgo.ValidateParamHeaderAnnotations(tool)
	}
	if err != nil {
		l.skip(name, err.Error())
		return
	}
	l.seen[name] = true
	l.tools = append(l.tools, Tool{Name: name, Raw: raw})
	if len(mcpgo.ExtractParamHeaderBindings(tool)) > 0 {
		l.mirrored[name] = tool
	}
}

func (l *listing) skip(name, why string) {
	if len(l.skipped) >= maxSkipped {
		l.more++
		return
	}
	if name == "" {
		name = "(no name)"
	}
	l.skipped = append(l.skipped, printable(name, 128)+": "+printable(why, 200))
}

// kinds is how the values of a definition's members begin.
var kinds = map[string]byte{"name": '"', "title": '"', "description": '"',
	"inputSchema": '{', "outputSchema": '{', "annotations": '{', "_meta": '{'}

// definition checks a tool's definition as far as a client would stumble over
// it: one bad tool makes some clients refuse the whole list.
func definition(raw []byte) (name string, schema []byte, err error) {
	seen := map[string]bool{}
	bad := ""
	err = rawjson.Members(raw, func(key string, value []byte) error {
		folded := strings.ToLower(key)
		switch kind, known := kinds[key]; {
		case bad != "":
		case seen[folded]:
			bad = fmt.Sprintf("it has the member %q twice", printable(key, 40))
		case known && value[0] != kind:
			bad = fmt.Sprintf("its %s has the wrong type", key)
		}
		seen[folded] = true
		switch key {
		case "name":
			name = rawjson.Text(value)
		case "inputSchema":
			schema = value
		}
		return nil
	})
	switch {
	case err != nil:
		return "", nil, errors.New("it is not an object")
	case bad != "":
		return name, nil, errors.New(bad)
	case !validName(name):
		return name, nil, errors.New("its name is not 1 to 128 of A-Z a-z 0-9 _ - . /")
	case schema == nil:
		return name, nil, errors.New("it has no inputSchema")
	case !objectSchema(schema):
		return name, nil, errors.New(`the type of its inputSchema is not "object"`)
	}
	return name, schema, nil
}

// validName is the grammar of tool names (MCP 2025-11-25, server/tools), and
// the slash that later versions allow.
func validName(name string) bool {
	for _, c := range []byte(name) {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9':
		case c == '_', c == '-', c == '.', c == '/':
		default:
			return false
		}
	}
	return name != "" && len(name) <= 128
}

func objectSchema(schema []byte) bool {
	found, times := false, 0
	err := rawjson.Members(schema, func(key string, value []byte) error {
		if key == "type" {
			kind := rawjson.Text(value)
			found, times = kind == "object", times+1
		}
		return nil
	})
	return err == nil && found && times == 1
}
