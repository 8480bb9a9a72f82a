package e2e_test

import (
	"fmt"
	"strings"
)

func (e *eraCell) elicits() (string, error) {
	return e.asks("elicitation", "elicitation/create", eraFormed)
}
func (e *eraCell) samples() (string, error) {
	return e.asks("sampling", "sampling/createMessage", eraSampled)
}

// asks: the upstream's question reaches the client, and the answer the upstream.
func (e *eraCell) asks(what, method, answer string) (string, error) {
	m, err := e.tool("ask", object{"what": what})
	return problems(equal("it got "+m.String(), m.member("structuredContent"), `{"answer":`+answer+`}`),
		equal("asked", e.questionsAsked(), method)), err
}

// asksElsewhere: a prompt and a resource may ask too.
func (e *eraCell) asksElsewhere() (string, error) {
	prompt, err := e.ask("prompts/get", object{"name": e.slug + "__asks"})
	if err != nil {
		return "", err
	}
	resource, err := e.ask("resources/read", object{"uri": "era:item/asks"})
	return problems(equal("the prompt got "+prompt.String(), prompt.member("x-answer"), eraSampled), equal("the resource got "+resource.String(), resource.member("x-answer"), eraFormed),
		equal("asked", e.questionsAsked(), "sampling/createMessage elicitation/create")), err
}

// talks: what an upstream says before its question and after it reaches the client
// in that order, also where the call waits in between.
func (e *eraCell) talks() (string, error) {
	meta := object{"progressToken": "talk"}
	if e.modern {
		meta[metaPrefix+"logLevel"] = "error"
	}
	m, err := e.ask("tools/call", object{"name": e.slug + "__talks", "arguments": object{}, "_meta": meta})
	if err != nil {
		return "", err
	}
	var said []string
	for _, n := range e.untaken() {
		if n.Method == "notifications/progress" || n.Method == "notifications/message" {
			said = append(said, string(n.Params))
		}
	}
	return problems(equal("it got "+m.String(), m.member("structuredContent"), `{"answer":`+eraFormed+`}`),
		equal("said", strings.Join(said, " "), `{"progressToken":"talk","progress":1} {"level":"error","data":"talk 1"} `+
			`{"progressToken":"talk","progress":2} {"level":"error","data":"talk 2"}`)), nil
}

// cancelsQuestion: a call is given up while its question is open. An upstream of
// the older era is told, which waits for the answer. One of 2026-07-28 has nothing
// that runs, and to a client of 2026-07-28 the request is over when it is asked.
func (e *eraCell) cancelsQuestion() (string, error) {
	e.eraClient.silent.Store(true)
	defer e.eraClient.silent.Store(false)
	id, err := e.begin("tools/call", object{"name": e.slug + "__ask", "arguments": object{"what": "elicitation"}})
	if err != nil {
		return "", err
	}
	if e.modern {
		m, err := e.finish(id)
		return equal("resultType", m.member("resultType"), `"input_required"`), err
	}
	if !soon(func() bool { return e.questionsAsked() != "" }) {
		return "it was never asked", nil
	}
	if err := e.eraClient.door.leave(e.eraClient, id); err != nil {
		return "", err
	}
	if e.up.modern {
		return e.untilSeen(`"withdrawn":0`)
	}
	return e.untilSeen(`"withdrawn":1`)
}

// roots are for an upstream of 2026-07-28, which asks during a call. To one of the
// older era they are not declared: they would be those of all who share it.
func (e *eraCell) roots() (string, error) {
	if e.up.modern {
		return e.asks("roots", "roots/list", eraRooted)
	}
	m, err := e.tool("ask", object{"what": "roots"})
	return problems(equal("isError", m.member("isError"), "true"), equal("asked", e.questionsAsked(), ""),
		contains(m.member("structuredContent"), `{"refused":{"code":-32601,"message":"Method not found: roots are not declared`)), err
}

// rounds: one question after the other.
func (e *eraCell) rounds() (string, error) {
	m, err := e.tool("rounds", object{})
	return problems(equal("it got "+m.String(), m.member("structuredContent"), `{"first":`+eraFormed+`,"second":`+eraSampled+`}`),
		equal("asked", e.questionsAsked(), "elicitation/create sampling/createMessage")), err
}

// undeclared: a client that declared nothing is asked nothing. What it is told
// depends on who has to do without: an upstream of the older era gets an error to
// its question, and answers what it likes; an upstream of 2026-07-28 wants the call
// again, which can't be made; and a client of 2026-07-28 is always told what to
// declare.
func (e *eraCell) undeclared() (string, error) {
	c := e.connect(e.t, object{})
	var all []string
	for what, needs := range map[string]string{"elicitation": `{"elicitation":{"form":{}}}`, "sampling": `{"sampling":{}}`} {
		m, err := c.ask("tools/call", object{"name": e.slug + "__ask", "arguments": object{"what": what}})
		if err != nil {
			return "", err
		}
		if e.modern || e.up.modern {
			all = append(all, m.refused(-32021, needs))
			if m.Error != nil {
				all = append(all, equal("data", string(m.Error.Data), `{"requiredCapabilities":`+needs+`}`))
			}
		} else {
			all = append(all, equal("isError", m.member("isError"), "true"),
				contains(m.member("structuredContent"), `{"refused":{"code":-32601,"message":"The client of this call did not declare`))
		}
	}
	return problems(append(all, equal("asked", c.questionsAsked(), ""))...), nil
}

func contains(got, want string) string {
	if strings.Contains(got, want) {
		return ""
	}
	return fmt.Sprintf("%s\nwant %s in it", got, want)
}

const eraJobResult = `[ {"type":"text","text":"worked"} ]`

// tasks are of one era, and there only for a client and an upstream that both have
// it. In a mixed pair a client of the older era is told so; one of 2026-07-28
// leaves it to the server whether a call is a task, and has the result at once.
func (e *eraCell) tasks() (string, error) {
	switch {
	case e.modern && e.up.modern:
		return e.modernTask()
	case !e.modern && !e.up.modern:
		return e.legacyTask()
	case e.modern:
		m, err := e.ask("tools/call", e.job(object{"_meta": object{metaPrefix + "clientCapabilities": object{"extensions": canRunTasks}}}))
		return equal("content", m.member("content"), eraJobResult), err
	}
	m, err := e.ask("tools/call", e.job(object{"task": object{"ttl": 60000}}))
	return m.refused(-32601, "__job can't be called as a task"), err
}

func (e *eraCell) job(more object) object {
	return with(object{"name": e.slug + "__job", "arguments": object{}}, more)
}

func (e *eraCell) legacyTask() (string, error) {
	made, err := e.once("tools/call", e.job(object{"task": object{"ttl": 60000}}))
	if err != nil {
		return "", err
	}
	id := between(made.member("task"), `"taskId":"`, `"`)
	problem, err := e.taskEnds(id, "")
	if problem != "" || err != nil {
		return problem, err
	}
	m, err := e.once("tasks/result", object{"taskId": id})
	if err != nil {
		return "", err
	}
	again, err := e.once("tools/call", e.job(object{"task": object{"ttl": 60000}}))
	if err != nil {
		return "", err
	}
	canceled, err := e.once("tasks/cancel", object{"taskId": between(again.member("task"), `"taskId":"`, `"`)})
	return problems(equal("content", m.member("content"), eraJobResult),
		equal("_meta", m.member("_meta"), `{"io.modelcontextprotocol/related-task":{"taskId":"`+id+`"}}`),
		equal("canceled", canceled.member("status"), `"cancelled"`)), err
}

func (e *eraCell) modernTask() (string, error) {
	extended := object{"_meta": object{metaPrefix + "clientCapabilities": object{"extensions": canRunTasks}}}
	made, err := e.once("tools/call", e.job(extended))
	if err != nil {
		return "", err
	}
	id := between(made.member("taskId"), `"`, `"`)
	problem, err := e.taskEnds(id, `"complete"`)
	if problem != "" || err != nil {
		return problem, err
	}
	m, err := e.once("tasks/get", with(object{"taskId": id}, extended))
	if err != nil {
		return "", err
	}
	canceled, err := e.once("tasks/cancel", with(object{"taskId": id}, extended))
	return problems(equal("made", made.member("resultType"), `"task"`), contains(m.member("result"), `"content":`+eraJobResult),
		equal("canceled", canceled.member("resultType"), `"complete"`)), err
}

// taskEnds asks about a task until it has completed.
func (e *eraCell) taskEnds(id, resultType string) (problem string, err error) {
	if id == "" || id == "task-1" {
		return fmt.Sprintf("the task's id is %q", id), nil
	}
	ok := soon(func() bool {
		var m rpcMessage
		m, err = e.once("tasks/get", object{"taskId": id, "_meta": object{metaPrefix + "clientCapabilities": object{"extensions": canRunTasks}}})
		problem = problems(equal("id", m.member("taskId"), `"`+id+`"`), equal("resultType", m.member("resultType"), resultType))
		return err != nil || problem != "" || m.member("status") == `"completed"`
	})
	if !ok {
		return "the task never completes", err
	}
	return problem, err
}

// between is what stands in text after one thing and before the next.
func between(text, after, before string) string {
	_, rest, _ := strings.Cut(text, after)
	found, _, _ := strings.Cut(rest, before)
	return found
}
