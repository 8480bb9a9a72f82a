package main

import (
	"encoding/json"
	"fmt"
	"slices"
)

// Content has a kind that no library knows, and spaces that none writes.
const content = `"content":[ {"type":"text","text":"h\u00e9 \u2028 <&>"} , {"type":"hologram","depth":3.10} ]`

// structured is a tool's result that answers what it was given.
func (s *server) structured(raw string) string {
	return s.result(content + `,"structuredContent":` + raw)
}

func (s *server) tool(c *call) string {
	switch c.Params.Name {
	case "echo":
		return s.structured(`{"n":12345678901234567890, "got":` + string(c.Params.Arguments) + `,"meta":` + string(c.Params.Meta.Own) + `}`)
	case "region":
		return s.structured(string(c.Params.Arguments))
	case "fails":
		return s.result(`"content":[{"type":"text","text":"no"}],"isError":true`)
	case "refuses":
		return failed(-31999, "not \"today\"", `{"n":12345678901234567890, "when":null}`)
	case "steps":
		for i := range 3 {
			c.notify("notifications/progress", `"progressToken":%s,"progress":%d,"total":3,"message":"step %d"`, c.Params.Meta.ProgressToken, i+1, i+1)
		}
		return s.structured(`{}`)
	case "hangs":
		c.notify("notifications/progress", `"progressToken":%s,"progress":1`, c.Params.Meta.ProgressToken)
		<-c.ctx.Done()
		s.mu.Lock()
		s.Cancelled++
		s.mu.Unlock()
		return failed(-32800, "cancelled", "null")
	case "seen":
		s.mu.Lock()
		raw, _ := json.Marshal(s.log)
		s.mu.Unlock()
		return s.structured(string(raw))
	case "logs":
		return s.logs(c)
	case "change":
		s.mu.Lock()
		s.added[c.text("what")]++
		s.mu.Unlock()
		s.announce("notifications/"+c.text("what")+"/list_changed", "")
		return s.structured(`{}`)
	case "touch":
		s.announce("notifications/resources/updated", c.text("uri"))
		return s.structured(`{}`)
	case "ask":
		return s.ask(c, c.text("what"), func(answer string) string { return content + `,"structuredContent":{"answer":` + answer + `}` })
	case "talks":
		return s.talks(c)
	case "rounds":
		return s.rounds(c)
	case "job":
		return s.job(c)
	}
	return failed(-32602, "no such tool", "null")
}

// logs at four levels those that the client asked for.
func (s *server) logs(c *call) string {
	s.mu.Lock()
	least := s.Level
	s.mu.Unlock()
	if s.modern {
		least = c.Params.Meta.Level
	}
	levels := []string{"debug", "info", "warning", "error"}
	if from := slices.Index(levels, least); from >= 0 {
		for _, level := range levels[from:] {
			c.notify("notifications/message", `"level":%q,"logger":"eraserver","data":{"n":12345678901234567890}`, level)
		}
	}
	return s.structured(fmt.Sprintf(`{"least":%q}`, least))
}
