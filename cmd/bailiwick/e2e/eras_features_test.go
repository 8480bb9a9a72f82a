package e2e_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
)

// eraFeatures are what the design promises for every pair.
var eraFeatures = []eraFeature{
	{"tools list", (*eraCell).listsTools},
	{"tools call", (*eraCell).callsTool},
	{"tools call with mirrored argument", (*eraCell).mirrorsArgument},
	{"tools isError", (*eraCell).failsTool},
	{"tools error", (*eraCell).keepsError},
	{"tools unknown", (*eraCell).unknownTool},
	{"resources list", (*eraCell).listsResources},
	{"resources read", (*eraCell).readsResources},
	{"resources unknown", (*eraCell).unknownResource},
	{"prompts", (*eraCell).prompts},
	{"completion", (*eraCell).completes},
	{"completion not offered", (*eraCell).completesInVain},
	{"removed methods", (*eraCell).removedMethods},
	{"progress", (*eraCell).progress},
	{"progress of two calls", (*eraCell).progressOfTwo},
	{"cancellation", (*eraCell).cancels},
	{"logging", (*eraCell).logs},
	{"list_changed", (*eraCell).listChanged},
	{"subscriptions", (*eraCell).subscribes},
	{"subscriptions not offered", (*eraCell).subscribesInVain},
	{"elicitation", (*eraCell).elicits},
	{"sampling", (*eraCell).samples},
	{"roots", (*eraCell).roots},
	{"questions of prompts and resources", (*eraCell).asksElsewhere},
	{"progress around a question", (*eraCell).talks},
	{"cancellation during a question", (*eraCell).cancelsQuestion},
	{"undeclared", (*eraCell).undeclared},
	{"rounds", (*eraCell).rounds},
	{"tasks", (*eraCell).tasks},
}

// soon polls until ok, within the tests' patience.
func soon(ok func() bool) bool {
	for deadline := time.Now().Add(patience / 3); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if ok() {
			return true
		}
	}
	return false
}

// problems joins what is wrong.
func problems(all ...string) string {
	return strings.Join(slices.DeleteFunc(all, func(s string) bool { return s == "" }), "\n")
}

// equal is "" when got is want, to the byte.
func equal(what, got, want string) string {
	if got == want {
		return ""
	}
	return fmt.Sprintf("%s: %s\nwant %s", what, got, want)
}

// complete checks the members that 2026-07-28 adds to a result, and that no older
// client sees them.
func (e *eraCell) complete(m rpcMessage, cacheable bool) string {
	type_, ttl, scope := "", "", ""
	if e.modern {
		type_ = `"complete"`
	}
	if e.modern && cacheable {
		ttl, scope = "0", `"private"`
	}
	got := m.member("resultType") + " " + m.member("ttlMs") + " " + m.member("cacheScope")
	if !e.modern && cacheable {
		// What an upstream says of caching does no harm to an older client.
		return equal("resultType", m.member("resultType"), "")
	}
	return equal("resultType, ttlMs, cacheScope of "+m.String(), got, type_+" "+ttl+" "+scope)
}

// eraContent is the fixture's: its kinds, spaces and escapes are no library's.
const eraContent = `[ {"type":"text","text":"h\u00e9 \u2028 <&>"} , {"type":"hologram","depth":3.10} ]`

// named are a list's items of this cell's instance, by their member.
func (e *eraCell) named(list, member string) (names []string, problem string) {
	var items []object
	if err := json.Unmarshal([]byte(list), &items); err != nil {
		return nil, fmt.Sprintf("%v in %s", err, list)
	}
	for _, item := range items {
		name, _ := item[member].(string)
		if own, ok := strings.CutPrefix(name, e.slug+"__"); ok {
			names = append(names, own)
		} else if strings.HasPrefix(name, "era:") {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names, ""
}

func (e *eraCell) listsTools() (string, error) {
	m, err := e.once("tools/list", object{})
	names, problem := e.named(m.member("tools"), "name")
	if !strings.Contains(m.member("tools"), `"x-big":12345678901234567890,"patternProperties":{"^x":{}}`) {
		problem += "a schema was changed: " + m.String()
	}
	return problems(problem, e.complete(m, true), equal("tools", fmt.Sprint(names),
		"[ask change echo fails hangs job logs refuses region rounds seen steps talks touch]")), err
}

func (e *eraCell) callsTool() (string, error) {
	const arguments = `{"a":{"b":98765432109876543210},"c":1.50,"d":"\u00e9"}`
	const own = `{"n":98765432109876543210}`
	m, err := e.ask("tools/call", object{"name": e.slug + "__echo", "arguments": json.RawMessage(arguments),
		"_meta": object{"example.com/own": json.RawMessage(own)}})
	return problems(e.complete(m, false), equal("content", m.member("content"), eraContent),
		equal("structuredContent", m.member("structuredContent"), `{"n":12345678901234567890, "got":`+arguments+`,"meta":`+own+`}`),
		equal("isError", m.member("isError"), "")), err
}

// mirrorsArgument: what 2026-07-28 wants to have in a header too, an upstream of it
// gets there, whatever the client is.
func (e *eraCell) mirrorsArgument() (string, error) {
	m, err := e.tool("region", object{"region": "Ærø"})
	return equal("structuredContent of "+m.String(), m.member("structuredContent"), `{"region":"Ærø"}`), err
}

func (e *eraCell) failsTool() (string, error) {
	m, err := e.tool("fails", object{})
	return problems(e.complete(m, false), equal("isError", m.member("isError"), "true"),
		equal("content", m.member("content"), `[{"type":"text","text":"no"}]`)), err
}

func (e *eraCell) keepsError() (string, error) {
	m, err := e.tool("refuses", object{})
	return equal("the upstream's error", m.String(), `error -31999 "not \"today\"" data {"n":12345678901234567890, "when":null}`), err
}

func (e *eraCell) unknownTool() (string, error) {
	m, err := e.tool("nothing", object{})
	return m.refused(-32602, "Unknown tool: "+e.slug+"__nothing (ref "), err
}

func (e *eraCell) listsResources() (string, error) {
	m, err := e.once("resources/list", object{})
	uris, problem := e.named(m.member("resources"), "uri")
	if !strings.Contains(m.member("resources"), `"size":9007199254740993`) {
		problem += "a size was changed: " + m.String()
	}
	if err != nil {
		return "", err
	}
	templates, err := e.once("resources/templates/list", object{})
	patterns, other := e.named(templates.member("resourceTemplates"), "uriTemplate")
	return problems(problem, other, e.complete(m, true), e.complete(templates, true), equal("resources", fmt.Sprint(uris), "[era:blob era:text]"),
		equal("templates", fmt.Sprint(patterns), "[era:item/{id}]")), err
}

func (e *eraCell) readsResources() (string, error) {
	var all []string
	for uri, want := range map[string]string{
		"era:text":    `[{"uri":"era:text", "mimeType":"text/plain","text":"h\u00e9 <&>","x":1.50}]`,
		"era:blob":    `[{"uri":"era:blob", "blob":"AAEC/w=="}]`,
		"era:item/42": `[{"uri":"era:item/42", "text":"item"}]`,
		"era:item/é":  `[{"uri":"era:item/é", "text":"item"}]`, // no header can hold it as it is
	} {
		m, err := e.ask("resources/read", object{"uri": uri})
		if err != nil {
			return "", err
		}
		all = append(all, equal(uri, m.member("contents"), want), e.complete(m, true))
	}
	return problems(all...), nil
}

func (e *eraCell) unknownResource() (string, error) {
	code := -32002
	if e.modern {
		code = -32602 // SEP-2164
	}
	m, err := e.ask("resources/read", object{"uri": "era:nothing"})
	return m.refused(code, "Unknown resource: era:nothing (ref "), err
}

func (e *eraCell) prompts() (string, error) {
	list, err := e.once("prompts/list", object{})
	if err != nil {
		return "", err
	}
	names, problem := e.named(list.member("prompts"), "name")
	m, err := e.ask("prompts/get", object{"name": e.slug + "__greet", "arguments": object{"who": "Zoë"}})
	if err != nil {
		return "", err
	}
	unknown, err := e.ask("prompts/get", object{"name": e.slug + "__nothing"})
	return problems(problem, equal("prompts", fmt.Sprint(names), "[asks greet]"), e.complete(list, true), e.complete(m, false),
		equal("messages", m.member("messages"), `[{"role":"user", "content":{"type":"text","text":"got"}}]`),
		equal("arguments", m.member("x-got"), `{"who":"Zoë"}`),
		unknown.refused(-32602, "Unknown prompt: "+e.slug+"__nothing (ref ")), err
}

func (e *eraCell) completes() (string, error) {
	var all []string
	for _, ref := range []object{{"type": "ref/prompt", "name": e.slug + "__greet"}, {"type": "ref/resource", "uri": "era:item/{id}"}} {
		m, err := e.once("completion/complete", object{"ref": ref, "argument": object{"name": "id", "value": "o"}})
		if err != nil {
			return "", err
		}
		all = append(all, equal("completion", m.member("completion"), `{"values":["one", "two"],"total":12,"hasMore":true}`),
			equal("argument", m.member("x-got"), `{"name":"id","value":"o"}`), e.complete(m, false))
	}
	return problems(all...), nil
}

// completesInVain: an instance without completions has none to offer.
func (e *eraCell) completesInVain() (string, error) {
	m, err := e.once("completion/complete", object{"ref": object{"type": "ref/resource", "uri": "bare:item/{id}"}, "argument": object{"name": "id", "value": "o"}})
	return m.refused(-32601, "Method not found"), err
}

// removedMethods are those that one era has and the other not.
func (e *eraCell) removedMethods() (string, error) {
	removed := map[string]object{"ping": {}, "logging/setLevel": {"level": "error"}, "resources/subscribe": {"uri": "era:text"}, "resources/unsubscribe": {"uri": "era:text"}}
	if !e.modern {
		m, err := e.once("ping", object{})
		if problem := equal("ping", string(m.Result), "{}"); problem != "" || err != nil {
			return problem, err
		}
		removed = map[string]object{"subscriptions/listen": {"notifications": object{}}, "tasks/update": {"taskId": "x"}, "tasks/list": {}}
	}
	var all []string
	for method, params := range removed {
		m, err := e.once(method, params)
		if err != nil {
			return "", err
		}
		if problem := m.refused(-32601, ""); problem != "" {
			all = append(all, method+": "+problem)
		}
	}
	return problems(all...), nil
}
