package main

import (
	"encoding/json"
	"fmt"
	"strings"
)

func joined(members []string) string { return strings.Join(members, ",") }

func failed(code int, message, data string) string {
	return fmt.Sprintf(`"error":{"code":%d,"message":%q,"data":%s}`, code, message, data)
}

// result is one with these members.
func (s *server) result(members string) string {
	if !s.modern {
		return `"result":{` + members + `}`
	}
	if members != "" {
		members = "," + members
	}
	return `"result":{"resultType":"complete"` + members + `}`
}

// cacheable is a result that 2026-07-28 wants to have hints for caches.
func (s *server) cacheable(members string) string {
	if s.modern {
		members += `,"ttlMs":0,"cacheScope":"private"`
	}
	return s.result(members)
}

func (s *server) answer(c *call) string {
	if s.modern && c.Params.Meta.Version != modernVersion {
		return failed(-32602, "no protocol version in _meta", "null")
	}
	if answer, ok := s.answerOfEra(c); ok {
		return answer
	}
	switch c.Method {
	case "tools/list":
		return s.cacheable(`"tools":[` + s.tools() + `]`)
	case "tools/call":
		return s.tool(c)
	case "resources/list":
		return s.cacheable(`"resources":[` + s.resources() + `]`)
	case "resources/templates/list":
		return s.cacheable(`"resourceTemplates":[` + s.templates() + `]`)
	case "resources/read":
		return s.read(c)
	case "tasks/get", "tasks/result", "tasks/cancel":
		return s.aboutTask(c)
	}
	if !s.bare {
		switch c.Method {
		case "prompts/list":
			return s.cacheable(`"prompts":[` + s.prompts() + `]`)
		case "prompts/get":
			return s.prompt(c)
		case "completion/complete":
			return s.complete(c)
		}
	}
	return failed(-32601, "Method not found", "null")
}

func (s *server) complete(c *call) string {
	if ref := c.Params.Ref; ref.Name != "greet" && ref.URI != "era:item/{id}" {
		return failed(-32602, "no such reference", "null")
	}
	return s.result(`"completion":{"values":["one", "two"],"total":12,"hasMore":true},"x-got":` + string(c.Params.Argument))
}

// answerOfEra answers what only one era has.
func (s *server) answerOfEra(c *call) (string, bool) {
	switch method := c.Method; {
	case s.modern && method == "server/discover":
		return s.cacheable(`"supportedVersions":["` + modernVersion + `"],"capabilities":` + s.capabilities() +
			`,"_meta":{"io.modelcontextprotocol/serverInfo":{"name":"eraserver","version":"1"}}`), true
	case s.modern && method == "subscriptions/listen":
		s.listenModern(c)
		return s.result(""), true
	case s.modern:
		return "", false
	case method == "initialize":
		return s.result(`"protocolVersion":"` + legacyVersion + `","capabilities":` + s.capabilities() +
			`,"serverInfo":{"name":"eraserver","version":"1"}`), true
	case method == "ping":
		return s.result(""), true
	case s.bare:
		return "", false
	case method == "logging/setLevel":
		s.mu.Lock()
		s.Level = c.Params.Level
		s.mu.Unlock()
		return s.result(""), true
	case method == "resources/subscribe":
		s.mu.Lock()
		s.Subscribed[c.Params.URI] = 1
		s.mu.Unlock()
		return s.result(""), true
	case method == "resources/unsubscribe":
		s.mu.Lock()
		delete(s.Subscribed, c.Params.URI)
		s.mu.Unlock()
		return s.result(""), true
	}
	return "", false
}

func (s *server) listenModern(c *call) {
	uris := c.Params.Notifications.URIs
	if s.bare {
		uris = nil
	}
	granted, _ := json.Marshal(append([]string{}, uris...))
	s.listen(c.ctx, &listener{id: c.ID, uris: uris, say: c.say}, func() {
		c.notify("notifications/subscriptions/acknowledged", `"_meta":{%q:%s},"notifications":{"toolsListChanged":true,"promptsListChanged":true,"resourcesListChanged":true,"resourceSubscriptions":%s}`,
			listenID, c.ID, granted)
	})
}

func (s *server) capabilities() string {
	if s.bare {
		return `{"tools":{},"resources":{}}`
	}
	own := `"tasks":{"cancel":{},"requests":{"tools":{"call":{}}}}`
	if s.modern {
		own = `"extensions":{"` + tasks + `":{}}`
	}
	return `{"tools":{"listChanged":true},"resources":{"listChanged":true,"subscribe":true},"prompts":{"listChanged":true},"completions":{},"logging":{},` + own + `}`
}
