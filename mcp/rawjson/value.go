package rawjson

import (
	"bytes"
	"encoding/json"
)

// Valid reports whether b is one JSON value and nothing else, as json.Valid.
func Valid(b []byte) bool { return within(b, maxDepth) }

// ValidObject reports whether b is one JSON object and nothing else.
func ValidObject(b []byte) bool { return IsObject(b) && Valid(b) }

// IsObject reports whether b, when it is valid JSON, is an object. It looks at
// the first byte only.
func IsObject(b []byte) bool {
	i := skipSpace(b, 0)
	return i < len(b) && b[i] == '{'
}

// TooDeep reports whether a valid JSON text nests deeper than limit objects and
// arrays. What is not valid is too deep as well.
func TooDeep(b []byte, limit int) bool { return !within(b, min(limit, maxDepth)) }

// within reports whether b is one JSON value that nests at most limit deep.
func within(b []byte, limit int) bool {
	end, ok := skipValue(b, skipSpace(b, 0), maxDepth-limit+1)
	return ok && skipSpace(b, end) == len(b)
}

// Text is the string that b holds, "" when b is anything but one JSON string
// without white space around it.
func Text(b []byte) string {
	if end, ok := skipString(b, 0); !ok || end != len(b) {
		return ""
	}
	return decode(b)
}

// Quote is the JSON string of s.
func Quote(s string) []byte {
	out, _ := json.Marshal(s) // a string always marshals
	return out
}

// decode is the text of a checked string.
func decode(quoted []byte) string {
	if bytes.IndexByte(quoted, '\\') < 0 {
		return string(quoted[1 : len(quoted)-1])
	}
	var s string
	_ = json.Unmarshal(quoted, &s) // checked: every such string has a text
	return s
}

// common are the keys of nearly every message, which need not be made anew.
var common = func() map[string]string {
	known := map[string]string{}
	for _, key := range []string{"jsonrpc", "id", "method", "params", "result", "error", "name", "arguments", "_meta",
		"content", "isError", "structuredContent", "resultType", "progressToken", "cursor", "code", "message", "data",
		"io.modelcontextprotocol/protocolVersion", "io.modelcontextprotocol/clientInfo",
		"io.modelcontextprotocol/clientCapabilities", "io.modelcontextprotocol/serverInfo"} {
		known[key] = key
	}
	return known
}()

// decodeKey is decode for the key of a member.
func decodeKey(quoted []byte) string {
	if key, ok := common[string(quoted[1:len(quoted)-1])]; ok {
		return key
	}
	return decode(quoted)
}
