package main

import (
	"fmt"
	"strings"
)

// questions are what the tools ask, by what they are called with.
var questions = map[string][2]string{
	"elicitation": {"elicitation/create", `{"message":"Who?","requestedSchema":{"type":"object","properties":{"n":{"type":"integer","default":12345678901234567890}}}}`},
	"sampling":    {"sampling/createMessage", `{"messages":[{"role":"user","content":{"type":"text","text":"Hi"}}],"maxTokens":7}`},
	"roots":       {"roots/list", `{}`},
}

// ask asks one thing, and answers what it was answered: as makes a result's members
// of it.
func (s *server) ask(c *call, what string, as func(answer string) string) string {
	if !s.modern {
		answer, ok := s.question(c, what)
		if !ok {
			return s.result(`"content":[],"isError":true,"structuredContent":{"refused":` + answer + `}`)
		}
		return s.result(as(answer))
	}
	if answer := c.Params.InputResponses["q"]; answer != nil {
		return s.result(as(string(answer)))
	}
	return inputRequired("q", what, "")
}

// talks tells of progress and logs before its question and after it.
func (s *server) talks(c *call) string {
	say := func(n int) {
		c.notify("notifications/progress", `"progressToken":%s,"progress":%d`, c.Params.Meta.ProgressToken, n)
		c.notify("notifications/message", `"level":"error","data":"talk %d"`, n)
	}
	if c.Params.InputResponses == nil {
		say(1)
	}
	return s.ask(c, "elicitation", func(answer string) string {
		say(2)
		return content + `,"structuredContent":{"answer":` + answer + `}`
	})
}

// rounds asks the user, then the model.
func (s *server) rounds(c *call) string {
	if !s.modern {
		first, ok := s.question(c, "elicitation")
		if !ok {
			return failed(-32603, "refused", first)
		}
		second, ok := s.question(c, "sampling")
		if !ok {
			return failed(-32603, "refused", second)
		}
		return s.structured(`{"first":` + first + `,"second":` + second + `}`)
	}
	first, second := c.Params.InputResponses["first"], c.Params.InputResponses["second"]
	switch {
	case c.Params.RequestState == "":
		return inputRequired("first", "elicitation", "one")
	case c.Params.RequestState == "one" && first != nil:
		return inputRequired("second", "sampling", "two "+string(first))
	case second != nil:
		return s.structured(`{"first":` + c.Params.RequestState[len("two "):] + `,"second":` + string(second) + `}`)
	}
	return failed(-32602, "bad requestState", "null")
}

func inputRequired(key, what, state string) string {
	q := questions[what]
	if state != "" {
		state = fmt.Sprintf(`,"requestState":%q`, state)
	}
	return fmt.Sprintf(`"result":{"resultType":"input_required","inputRequests":{%q:{"method":%q,"params":%s}}%s}`, key, q[0], q[1], state)
}

// question sends a request of the server's own on the call's stream; the answer
// is its result, or its error and false.
func (s *server) question(c *call, what string) (answer string, ok bool) {
	q := questions[what]
	s.mu.Lock()
	s.questions++
	id := fmt.Sprintf(`"q-%d"`, s.questions)
	waits := make(chan message, 1)
	s.asked[id] = waits
	s.mu.Unlock()
	c.say(fmt.Sprintf(`{"jsonrpc":"2.0","id":%s,"method":%q,"params":%s}`, id, q[0], q[1]))
	select {
	case m := <-waits:
		if m.Result != nil {
			return string(m.Result), true
		}
		if strings.Contains(string(m.Error), "is over") { // which may come before the word that it is
			<-c.ctx.Done()
			s.withdraw()
		}
		return string(m.Error), false
	case <-c.ctx.Done():
		s.withdraw()
		return `null`, false
	}
}

func (s *server) withdraw() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.Withdrawn++
}
