package main

import (
	"fmt"
	"strings"
)

// The definitions say what a gateway must not change: keywords that it does not
// know, and numbers that it can't hold.
var toolNames = []string{"echo", "fails", "refuses", "steps", "hangs", "seen", "logs", "change", "touch", "ask", "talks", "rounds"}

func (s *server) tools() string {
	var out []string
	add := func(name, more string) {
		out = append(out, fmt.Sprintf(`{"name":%q,"description":"d","inputSchema":{"type":"object","x-big":12345678901234567890,"patternProperties":{"^x":{}}},"annotations":{"readOnlyHint":true}%s}`, name, more))
	}
	for _, name := range toolNames {
		add(name, "")
	}
	out = append(out, `{"name":"region","inputSchema":{"type":"object","properties":{"region":{"type":"string","x-mcp-header":"Region"}}},"annotations":{"readOnlyHint":true}}`)
	if !s.bare {
		add("job", s.supportsTasks())
	}
	for i := range s.addedOf("tools") {
		add(fmt.Sprintf("added-%d", i+1), "")
	}
	return joined(out)
}

func (s *server) supportsTasks() string {
	if s.modern {
		return ""
	}
	return `,"execution":{"taskSupport":"optional"}`
}

func (s *server) addedOf(kind string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.added[kind]
}

func (s *server) scheme() string {
	if s.bare {
		return "bare"
	}
	return "era"
}

func (s *server) resources() string {
	var out []string
	add := func(name string) {
		out = append(out, fmt.Sprintf(`{"uri":"%s:%s","name":%q,"size":9007199254740993}`, s.scheme(), name, name))
	}
	add("text")
	add("blob")
	for i := range s.addedOf("resources") {
		add(fmt.Sprintf("added-%d", i+1))
	}
	return joined(out)
}

func (s *server) templates() string {
	return `{"uriTemplate":"` + s.scheme() + `:item/{id}","name":"item"}`
}

func (s *server) prompts() string {
	out := []string{`{"name":"asks"}`, `{"name":"greet","description":"d","arguments":[{"name":"who","required":true}]}`}
	for i := range s.addedOf("prompts") {
		out = append(out, fmt.Sprintf(`{"name":"added-%d"}`, i+1))
	}
	return joined(out)
}

func (s *server) read(c *call) string {
	uri := c.Params.URI
	kind, _ := strings.CutPrefix(uri, s.scheme()+":")
	switch {
	case kind == "text":
		return s.cacheable(fmt.Sprintf(`"contents":[{"uri":%q, "mimeType":"text/plain","text":"h\u00e9 <&>","x":1.50}]`, uri))
	case kind == "blob":
		return s.cacheable(fmt.Sprintf(`"contents":[{"uri":%q, "blob":"AAEC/w=="}]`, uri))
	case kind == "item/asks":
		return s.ask(c, "elicitation", func(answer string) string { return `"contents":[],"x-answer":` + answer })
	case strings.HasPrefix(kind, "item/"):
		return s.cacheable(fmt.Sprintf(`"contents":[{"uri":%q, "text":"item"}]`, uri))
	}
	code := -32002
	if s.modern {
		code = -32602
	}
	return failed(code, "Resource not found", fmt.Sprintf(`{"uri":%q}`, uri))
}

func (s *server) prompt(c *call) string {
	switch c.Params.Name {
	case "asks":
		return s.ask(c, "sampling", func(answer string) string { return `"messages":[],"x-answer":` + answer })
	case "greet":
	default:
		return failed(-32602, "no such prompt", "null")
	}
	return s.result(`"description":"d","messages":[{"role":"user", "content":{"type":"text","text":"got"}}],"x-got":` + string(c.Params.Arguments))
}
