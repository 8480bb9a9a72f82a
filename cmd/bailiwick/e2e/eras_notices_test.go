package e2e_test

import (
	"errors"
	"fmt"
	"strings"
)

// progress is told under the client's own token, and all of it before the result.
func (e *eraCell) progress() (string, error) {
	token := "t-" + e.slug
	m, err := e.ask("tools/call", object{"name": e.slug + "__steps", "arguments": object{}, "_meta": object{"progressToken": token}})
	if err != nil {
		return "", err
	}
	all := []string{equal("content", m.member("content"), eraContent)}
	for i := 1; i <= 3; i++ {
		n, err := e.told("notifications/progress")
		if err != nil {
			return "", err
		}
		want := fmt.Sprintf(`{"progressToken":%q,"progress":%d,"total":3,"message":"step %d"}`, token, i, i)
		all = append(all, equal("progress", string(n.Params), want))
	}
	return problems(all...), nil
}

// progressOfTwo: of calls that run at once each has its own.
func (e *eraCell) progressOfTwo() (string, error) {
	var ids []int64
	for _, token := range []string{"one", "two"} {
		id, err := e.begin("tools/call", object{"name": e.slug + "__steps", "arguments": object{}, "_meta": object{"progressToken": token}})
		if err != nil {
			return "", err
		}
		ids = append(ids, id)
	}
	for _, id := range ids {
		if m, err := e.finish(id); err != nil || m.Result == nil {
			return m.String(), err
		}
	}
	heard := map[string]int{}
	for range 6 {
		n, err := e.told("notifications/progress")
		if err != nil {
			return "", err
		}
		heard[between(string(n.Params), `"progressToken":"`, `"`)]++
	}
	return equal("progress", fmt.Sprint(heard), "map[one:3 two:3]"), nil
}

// cancels: the upstream is told that its call is given up, and the session works on.
func (e *eraCell) cancels() (string, error) {
	id, err := e.begin("tools/call", object{"name": e.slug + "__hangs", "arguments": object{}, "_meta": object{"progressToken": 1}})
	if err != nil {
		return "", err
	}
	if _, err := e.told("notifications/progress"); err != nil {
		return "", err
	}
	if err := e.eraClient.door.leave(e.eraClient, id); err != nil {
		return "", err
	}
	return e.untilSeen(`"cancelled":1`)
}

// logs: the client hears what it asked for, by its era's means. In 2026-07-28 that
// is nothing when it asked for nothing; in the older one, what servers mostly say
// unasked.
func (e *eraCell) logs() (string, error) {
	hears := func(meta object) (string, error) {
		e.forget()
		if _, err := e.ask("tools/call", object{"name": e.slug + "__logs", "arguments": object{}, "_meta": meta}); err != nil {
			return "", err
		}
		var levels []string
		for _, m := range e.untaken() {
			if m.Method == "notifications/message" && strings.Contains(string(m.Params), `"data":{"n":12345678901234567890}`) {
				for _, level := range []string{"debug", "info", "warning", "error"} {
					if strings.Contains(string(m.Params), `"level":"`+level+`"`) {
						levels = append(levels, level)
					}
				}
			}
		}
		return strings.Join(levels, " "), nil
	}
	unset, err := hears(object{})
	if err != nil {
		return "", err
	}
	if e.modern {
		set, err := hears(object{metaPrefix + "logLevel": "warning"})
		return problems(equal("no level", unset, ""), equal("warning", set, "warning error")), err
	}
	m, err := e.once("logging/setLevel", object{"level": "warning"})
	if err != nil {
		return "", err
	}
	set, err := hears(object{})
	return problems(equal("no level", unset, "info warning error"), equal("setLevel", string(m.Result), "{}"), equal("warning", set, "warning error")), err
}

// listens opens what the era has for hearing of changes: in the older one it is
// there already. ended is to be called.
func (c *eraClient) listens(filter object) (ended func() error, err error) {
	if !c.modern {
		return func() error { return nil }, nil
	}
	id, err := c.begin("subscriptions/listen", object{"notifications": filter})
	if err != nil {
		return nil, err
	}
	m, err := c.told("notifications/subscriptions/acknowledged")
	if err == nil && !strings.Contains(string(m.Params), fmt.Sprintf(`"%ssubscriptionId":%d`, metaPrefix, id)) {
		err = fmt.Errorf("acknowledged %s", m)
	}
	return func() error { return c.door.leave(c, id) }, err
}

// listChanged: each list's change is told, and then it is listed.
func (e *eraCell) listChanged() (string, error) {
	ended, err := e.listens(object{"toolsListChanged": true, "promptsListChanged": true, "resourcesListChanged": true})
	if err != nil {
		return "", err
	}
	for _, kind := range []string{"tools", "prompts", "resources"} {
		if _, err := e.tool("change", object{"what": kind}); err != nil {
			return "", err
		}
		if _, err := e.told("notifications/" + kind + "/list_changed"); err != nil {
			return "", err
		}
		m, err := e.once(kind+"/list", object{})
		if err != nil || !strings.Contains(m.member(kind), "added-1") {
			return "what was added is not in " + m.String(), err
		}
	}
	return "", ended()
}

// subscription has a client told of a resource's updates; ended is to be called.
func (e *eraCell) subscription(c *eraClient, uri string) (ended func() error, err error) {
	if e.modern {
		return c.listens(object{"resourceSubscriptions": []string{uri}})
	}
	m, err := c.once("resources/subscribe", object{"uri": uri})
	if err == nil && string(m.Result) != "{}" {
		err = fmt.Errorf("resources/subscribe: %s", m)
	}
	return func() error {
		m, err := c.once("resources/unsubscribe", object{"uri": uri})
		if err == nil && string(m.Result) != "{}" {
			err = fmt.Errorf("resources/unsubscribe: %s", m)
		}
		return err
	}, err
}

// subscribes: an update reaches the client that wants it and no other, and the
// upstream is told when nobody wants it any more.
func (e *eraCell) subscribes() (string, error) {
	other := e.connect(e.t, object{})
	ended, err := e.subscription(e.eraClient, "era:text")
	if err != nil {
		return "", err
	}
	otherEnded, err := e.subscription(other, "era:blob")
	if err != nil {
		return "", err
	}
	if problem, err := e.untilSeen(`"era:text":1`); problem != "" || err != nil {
		return problem, err
	}
	var all []string
	for _, told := range []struct {
		c   *eraClient
		uri string
	}{{other, "era:blob"}, {e.eraClient, "era:text"}} {
		if _, err := told.c.ask("tools/call", object{"name": e.slug + "__touch", "arguments": object{"uri": told.uri}}); err != nil {
			return "", err
		}
		m, err := told.c.told("notifications/resources/updated")
		if err != nil {
			return "", err
		}
		all = append(all, contains(string(m.Params), `"uri":"`+told.uri+`"`))
		if strings.Contains(string(m.Params), "subscriptionId") != e.modern {
			all = append(all, "told of "+m.String())
		}
	}
	if err := errors.Join(ended(), otherEnded()); err != nil {
		return "", err
	}
	problem, err := e.untilSeen(`"subscribed":{}`)
	return problems(append(all, problem)...), err
}

// subscribesInVain: an instance without subscriptions is said to be one.
func (e *eraCell) subscribesInVain() (string, error) {
	if !e.modern {
		m, err := e.once("resources/subscribe", object{"uri": "bare:text"})
		return m.refused(-32602, "The instance bare-"+e.up.era()+" does not tell when its resources change"), err
	}
	id, err := e.begin("subscriptions/listen", object{"notifications": object{"resourceSubscriptions": []string{"bare:text", "era:text"}}})
	if err != nil {
		return "", err
	}
	m, err := e.told("notifications/subscriptions/acknowledged")
	if err != nil {
		return "", err
	}
	if got := string(m.Params); !strings.Contains(got, `"resourceSubscriptions":["era:text"]`) {
		return "acknowledged " + got, nil
	}
	return "", e.eraClient.door.leave(e.eraClient, id)
}
