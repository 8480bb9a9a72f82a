package mcp

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/bailiwick-mcp/bailiwick/mcp/rawjson"
)

// pinned are the members of a definition that its digest covers, in order. A
// member that differs from one of them in case alone is covered as well, for
// some clients take the one for the other.
var pinned = []string{"name", "description", "inputSchema", "outputSchema", "annotations"}

// digestOf is the hex SHA-256 over what pinned names; the order of keys and
// white space do not count.
func digestOf(raw json.RawMessage) string {
	h := sha256.New()
	write := func(key string, canonical []byte) {
		_, _ = fmt.Fprintf(h, "%s:%d:", key, len(canonical))
		_, _ = h.Write(canonical)
	}
	for _, key := range pinned {
		canonical := []byte("null")
		if value := rawjson.Field(raw, key); value != nil {
			canonical = canonicalJSON(value, true)
		}
		write(key, canonical)
	}
	for _, m := range lookalikes(raw) {
		write(m.Key, canonicalJSON(m.Value, true))
	}
	return hex.EncodeToString(h.Sum(nil))
}

// Reviewed is what an approval of a definition is about: the members that its
// digest covers, indented, the keys within them in order. An empty definition
// is empty.
func Reviewed(raw json.RawMessage) []byte {
	out := []byte{'{'}
	put := func(key string, value []byte) {
		if len(out) > 1 {
			out = append(out, ',')
		}
		out = append(append(append(out, rawjson.Quote(key)...), ':'), canonicalJSON(value, false)...)
	}
	for _, key := range pinned {
		if value := rawjson.Field(raw, key); value != nil {
			put(key, value)
		}
	}
	for _, m := range lookalikes(raw) {
		put(m.Key, m.Value)
	}
	if len(out) == 1 {
		return nil
	}
	var indented bytes.Buffer
	if json.Indent(&indented, append(out, '}'), "", "  ") != nil {
		return append(out, '}')
	}
	return indented.Bytes()
}

// lookalikes are the members whose key is one of pinned but for its case.
func lookalikes(raw json.RawMessage) []rawjson.Member {
	list, _ := rawjson.List(raw)
	return slices.DeleteFunc(list, func(m rawjson.Member) bool {
		return slices.Contains(pinned, m.Key) ||
			!slices.ContainsFunc(pinned, func(key string) bool { return strings.EqualFold(key, m.Key) })
	})
}

// canonicalJSON writes equal values alike. A value in which an object has a key
// twice stays as it is, for which of the two counts is each reader's own choice.
func canonicalJSON(value json.RawMessage, escaped bool) []byte {
	if repeats(value) {
		return value
	}
	dec := json.NewDecoder(bytes.NewReader(value))
	dec.UseNumber()
	var v any
	if dec.Decode(&v) != nil {
		v = string(value)
	}
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(escaped)
	if enc.Encode(v) != nil {
		return []byte("null")
	}
	return bytes.TrimSuffix(out.Bytes(), []byte("\n"))
}

// repeats tells whether an object within the value has a key twice.
func repeats(value json.RawMessage) bool {
	seen, found := map[string]bool{}, false
	inner := func(v []byte) error {
		found = found || repeats(v)
		return nil
	}
	switch {
	case rawjson.IsObject(value):
		_ = rawjson.Members(value, func(key string, v []byte) error {
			found = found || seen[key]
			seen[key] = true
			return inner(v)
		})
	case len(value) > 0 && bytes.TrimSpace(value)[0] == '[':
		_ = rawjson.Elements(value, inner)
	}
	return found
}
