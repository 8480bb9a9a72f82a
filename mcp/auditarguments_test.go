package mcp_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/keys/wire"
	"github.com/bailiwick-mcp/bailiwick/policy"
)

// keepArguments switches the default tenant's field and waits for nothing: the edit
// is in force when it answers.
func (w *world) keepArguments(on bool) {
	w.t.Helper()
	_, err := w.svc.UpdateTenant(w.t.Context(), w.op, keys.TenantPatch{AuditArguments: keys.Some(on)})
	must(w.t, err)
}

// entry is the one entry of a key's about a tool by the name asked for.
func (w *world) entry(k keys.Issued, tool string) (e keys.AuditEntry) {
	w.t.Helper()
	w.until("the call of "+tool+" is recorded", func() bool {
		list, err := w.svc.AuditEvents(w.t.Context(), w.op, keys.AuditQuery{KeyID: k.Key.ID, Tool: tool})
		if err == nil && len(list) == 1 {
			e = list[0]
		}
		return err == nil && len(list) == 1
	})
	return e
}

// detailOf is the detail of an entry by its members.
func detailOf(t *testing.T, e keys.AuditEntry) map[string]string {
	t.Helper()
	if e.Detail == nil {
		return nil
	}
	var members map[string]json.RawMessage
	must(t, json.Unmarshal(e.Detail, &members))
	out := map[string]string{}
	for name, value := range members {
		out[name] = string(value)
	}
	return out
}

// TestAuditArguments: the arguments of tool calls are in the trail where the tenant
// has them kept, beside the rules of a denial, and nowhere else.
func TestAuditArguments(t *testing.T) {
	w := newWorld(t)
	up := newUpstream(t, tool("ok", "r"), tool("fails", "r"), tool("writes", "w")).with(others{prompts: []string{prompt("p")}})
	up.on("fails", func(fakeCall) string { return `{"content":[],"isError":true}` })
	w.mount("a1", up)
	for _, on := range []bool{false, true, false} {
		w.keepArguments(on)
		k := w.key(func(n *keys.NewKey) { n.MCPReadOnly = keys.Some(true) })
		c := w.connect(k, "/mcp")
		names := []string{"a1__ok", "a1__fails", "a1__writes", "a1__nope", "list_projects"}
		for _, name := range names {
			c.call(name, `{"q" : "secret plan", "n":1}`)
		}
		w.modern(k, "/mcp", "prompts/get", `"name":"a1__p","arguments":{"a":"v"}`)
		for _, name := range names {
			e := w.entry(k, name)
			got, want := detailOf(t, e), ""
			if on {
				want = `{"n":1,"q":"secret plan"}`
			}
			if got["arguments"] != want || got["argumentsOmitted"] != "" || len(e.ArgsDigest) != 64 {
				t.Errorf("on %v, %s: %v, digest %q", on, name, got, e.ArgsDigest)
			}
			denied := e.Decision == "deny"
			if (got["rules"] != "") != denied || denied != (name == "a1__writes" || name == "a1__nope") {
				t.Errorf("on %v, %s: %s, with rules %q", on, name, e.Decision, got["rules"])
			}
			if d := wire.RecordedDecision(e); denied && (len(d.Rules) < 5 || *d.Reason != e.Failed[0]) {
				t.Errorf("on %v, %s: the decision reads %+v", on, name, d)
			}
			if !on && !denied && e.Detail != nil {
				t.Errorf("%s: %s", name, e.Detail)
			}
		}
		if e := w.entry(k, "a1__p"); e.Detail != nil {
			t.Errorf("on %v, a prompt: %s", on, e.Detail)
		}
	}
}

// TestAuditArgumentsOfOneTenant: what one tenant wants is no matter of another's.
func TestAuditArgumentsOfOneTenant(t *testing.T) {
	w := newWorld(t)
	other := w.tenant("other")
	w.keepArguments(true)
	k := w.keyAs(other)
	w.connect(k, "/mcp").call("nothing__here", `{"q":"theirs"}`)
	w.until("it is recorded", func() bool {
		list, err := w.svc.AuditEvents(t.Context(), other, keys.AuditQuery{KeyID: k.Key.ID})
		if err == nil && len(list) == 1 && strings.Contains(string(list[0].Detail), "theirs") {
			t.Fatalf("kept: %s", list[0].Detail)
		}
		return err == nil && len(list) == 1
	})
}

// TestAuditArgumentsBound: above 16 KiB it says that they were left out, with the
// digest as always; none at all are none.
func TestAuditArgumentsBound(t *testing.T) {
	w := newWorld(t)
	w.keepArguments(true)
	const most = 16 << 10
	sized := func(size int, of string) string {
		return `{"q":"` + strings.Repeat(of, size-len(`{"q":""}`)) + `"}`
	}
	for name, tt := range map[string]struct {
		arguments string
		kept      bool
	}{
		"none":       {"", true},
		"at":         {sized(most, "x"), true},
		"at, of <":   {sized(most, "<"), true},
		"above":      {sized(most+1, "x"), false},
		"far above":  {sized(1<<20, "x"), false},
		"when anew":  {`{"q":[1e20` + strings.Repeat(",1e20", 1000) + `]}`, false},
		"not, anew":  {`{"q":"x"` + strings.Repeat(" ", most-9) + `}`, true},
		"blank only": {`{"q":"x"` + strings.Repeat(" ", most) + `}`, false},
	} {
		k := w.key()
		params := `"name":"nothing__here"`
		if tt.arguments != "" {
			params += `,"arguments":` + tt.arguments
		}
		w.modern(k, "/mcp", "tools/call", params)
		e := w.entry(k, "nothing__here")
		got, want := detailOf(t, e), strings.ReplaceAll(tt.arguments, " ", "")
		if tt.kept && (got["arguments"] != want || got["argumentsOmitted"] != "") ||
			!tt.kept && (got["arguments"] != "" || got["argumentsOmitted"] != "true") || len(e.ArgsDigest) != 64 || got["rules"] == "" {
			t.Errorf("%s: %d bytes are kept, omitted %q, digest %q", name, len(got["arguments"]), got["argumentsOmitted"], e.ArgsDigest)
		}
	}
}

// TestAuditArgumentsHoldNoToken: a token is cut to its shown part wherever it
// stands in them, and however JSON has it written.
func TestAuditArgumentsHoldNoToken(t *testing.T) {
	w := newWorld(t)
	w.keepArguments(true)
	token := w.key().Secret.Reveal()
	escaped := ""
	for _, c := range []byte(token) {
		escaped += `\u00` + string("0123456789abcdef"[c>>4]) + string("0123456789abcdef"[c&15])
	}
	body := token[len(keys.DefaultTokenPrefix):]
	for name, arguments := range map[string]string{
		"value":   `{"key":"` + token + `"}`,
		"within":  `{"header":{"Authorization":["<Bearer ` + token + `>"]}}`,
		"member":  `{"` + token + `":1}`,
		"escaped": `{"key":"` + escaped + `"}`,
		"in part": `{"key":"\u0062` + token[1:len(token)-1] + `\u00` + escaped[len(escaped)-2:] + `"}`,
		"lines":   `{"key":"\n` + token + `\n"}`,
	} {
		k := w.key()
		w.connect(k, "/mcp").call("nothing__here", arguments)
		e := w.entry(k, "nothing__here")
		got := detailOf(t, e)["arguments"]
		var all strings.Builder
		must(t, writeTexts(&all, got))
		if got == "" || strings.Contains(all.String(), body[4:16]) || !strings.Contains(all.String(), token[:len(keys.DefaultTokenPrefix)+4]+"…") {
			t.Errorf("%s: kept as %s", name, got)
		}
	}
}

// TestAuditArgumentsOfARefusal: a call over its key's limit is recorded with them.
func TestAuditArgumentsOfARefusal(t *testing.T) {
	w := newWorld(t)
	w.keepArguments(true)
	up := newUpstream(t, tool("wait", "r"))
	w.mount("a1", up)
	started, release := make(chan struct{}, limit), make(chan struct{})
	up.on("wait", func(c fakeCall) string {
		started <- struct{}{}
		select {
		case <-release:
		case <-c.done:
		}
		return `{"content":[]}`
	})
	k := w.key()
	done := make(chan struct{}, limit)
	for range limit {
		go func() { w.modern(k, "/mcp", "tools/call", `"name":"a1__wait"`); done <- struct{}{} }()
	}
	for range limit {
		<-started
	}
	w.connect(k, "/mcp").call("whoami", `{"q":"one too many"}`)
	close(release)
	for range limit {
		<-done
	}
	e := w.entry(k, "whoami")
	if got := detailOf(t, e); e.Failed[0] != policy.RuleRate.String() || got["arguments"] != `{"q":"one too many"}` {
		t.Errorf("%+v, %v", e, got)
	}
}

// writeTexts writes JSON as what its texts say, without escapes.
func writeTexts(out *strings.Builder, raw string) error {
	var value any
	if err := json.Unmarshal([]byte(raw), &value); err != nil {
		return err
	}
	enc := json.NewEncoder(out)
	enc.SetEscapeHTML(false)
	return enc.Encode(value)
}
