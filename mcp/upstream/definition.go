package upstream

import (
	"errors"
	"fmt"
	"strings"

	"github.com/bailiwick-mcp/bailiwick/mcp/rawjson"
)

// begins is how the values of a definition's members begin.
var begins = map[string]byte{"name": '"', "title": '"', "description": '"',
	"inputSchema": '{', "outputSchema": '{', "annotations": '{', "_meta": '{',
	"arguments": '[', "uri": '"', "uriTemplate": '"', "mimeType": '"'}

// maxDepth is how deep a definition may nest, as deep as a client's message may:
// readers recurse, and each level of it is read again and again for its digest.
const maxDepth = 128

// definition checks an item's definition as far as a client would stumble over
// it: one bad item makes some clients refuse the whole list. schema is a tool's.
func definition(k Kind, raw []byte) (name string, schema []byte, err error) {
	seen := map[string]bool{}
	bad := ""
	err = rawjson.Members(raw, func(key string, value []byte) error {
		folded := strings.ToLower(key)
		switch kind, known := begins[key]; {
		case bad != "":
		case seen[folded]:
			bad = fmt.Sprintf("it has the member %q twice", printable(key, 40))
		case known && value[0] != kind:
			bad = fmt.Sprintf("its %s has the wrong type", key)
		}
		seen[folded] = true
		switch key {
		case listOf[k].named:
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
	case rawjson.TooDeep(raw, maxDepth):
		return name, nil, fmt.Errorf("it nests deeper than %d levels", maxDepth)
	case k == KindTool && !validName(name):
		return name, nil, errors.New("its name is not 1 to 128 of A-Z a-z 0-9 _ - . /")
	case k != KindTool:
		return name, nil, checkNamed(k, name)
	case schema == nil:
		return name, nil, errors.New("it has no inputSchema")
	case !objectSchema(schema):
		return name, nil, errors.New(`the type of its inputSchema is not "object"`)
	}
	return name, schema, nil
}

// Lengths of names, in bytes. A store's index takes no longer ones.
const (
	maxPromptName = 128
	maxURI        = 2048
)

// checkNamed checks what names a prompt, a resource or a template.
func checkNamed(k Kind, name string) error {
	most := maxURI
	if k == KindPrompt {
		most = maxPromptName
	}
	switch {
	case name == "":
		return fmt.Errorf("it has no %s", listOf[k].named)
	case len(name) > most:
		return fmt.Errorf("its %s is longer than %d bytes", listOf[k].named, most)
	case strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r == 0x7f || r == '\uFFFD' }):
		return fmt.Errorf("its %s has control characters", listOf[k].named)
	}
	return nil
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
