package mcp_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/mcp"
	"github.com/bailiwick-mcp/bailiwick/policy"
)

// defined is a definition of a tool that reads, with these members beside.
func defined(name, members string) string {
	return `{"name":` + quoted(name) + `,"description":"says ` + name + `","inputSchema":{"type":"object"},` +
		`"annotations":{"readOnlyHint":true}` + members + `}`
}

// redefined is a definition of the tool that nobody has approved.
func redefined(name string) string {
	return `{"name":` + quoted(name) + `,"description":"poison","inputSchema":{"type":"object"},"annotations":{"readOnlyHint":true}}`
}

// info is what people see of one tool; nil when there is none.
func (w *world) info(i keys.Instance, name string) *mcp.ToolInfo {
	w.t.Helper()
	all, err := w.gw.InstanceTools(context.Background(), i)
	must(w.t, err)
	n := slices.IndexFunc(all, func(t mcp.ToolInfo) bool { return t.Name == name })
	if n < 0 {
		return nil
	}
	return &all[n]
}

// quarantined waits until the tool is, or is not.
func (w *world) quarantined(i keys.Instance, name string, want bool) *mcp.ToolInfo {
	w.t.Helper()
	var t *mcp.ToolInfo
	w.until(fmt.Sprintf("%s is quarantined: %v", name, want), func() bool {
		t = w.info(i, name)
		return t != nil && t.Quarantined == want
	})
	return t
}

// approve approves what is announced of the tools.
func (w *world) approve(i keys.Instance, names ...string) {
	w.t.Helper()
	var list []keys.ToolApproval
	for _, name := range names {
		list = append(list, keys.ToolApproval{Name: name, Digest: w.info(i, name).Digest})
	}
	w.until("the announcement is stored", func() bool {
		_, err := w.svc.ApproveTools(context.Background(), w.op, i.ID, list)
		return err == nil
	})
}

var aReference = regexp.MustCompile(`\(ref [a-z2-7]{16}\)`)

// asUnknown checks that calls of a tool answer as those of one that does not
// exist, to the byte but for name and reference, in both eras.
func (w *world) asUnknown(k keys.Issued, name string) {
	w.t.Helper()
	c := w.connect(k, "/mcp")
	ways := map[string]func(name string) answer{
		"session": func(name string) answer { return c.call(name, `{}`) },
		"modern": func(name string) answer {
			return w.modern(k, "/mcp", "tools/call", `"name":"`+name+`","arguments":{}`)
		},
	}
	for way, call := range ways {
		got, want := call(name), call("a1__no_such_tool")
		bare := func(a answer, name string) string {
			h := a.header.Clone()
			h.Del("Date")
			h.Del("Content-Length")
			return fmt.Sprint(a.status, h, aReference.ReplaceAllString(strings.ReplaceAll(a.body, name, "NAME"), "REF"))
		}
		if g, u := bare(got, name), bare(want, "a1__no_such_tool"); g != u || !strings.Contains(g, "Unknown tool: NAME REF") {
			w.t.Errorf("%s, %s: %s, an unknown tool: %s", way, name, g, u)
		}
	}
	listed := c.list()
	modern := names(w.t, w.modern(k, "/mcp", "tools/list", ""))
	if slices.Contains(listed, name) || slices.Contains(modern, name) {
		w.t.Errorf("%s is listed: %v %v", name, listed, modern)
	}
}

// TestChangedWhileCalled: a definition that changes while calls of it run takes
// new calls away and lets those go on that began under the approved one; it is
// told to exactly the sessions that saw it, and no other tool is touched.
func TestChangedWhileCalled(t *testing.T) {
	w := newWorld(t)
	up, ub := newUpstream(t, defined("x", ""), defined("y", "")), newUpstream(t, defined("z", ""))
	i := w.mount("a1", up)
	b2 := w.mount("b2", ub)
	k := w.key()
	seesB := w.key(func(n *keys.NewKey) { n.MCPInstanceIDs = keys.Some(policy.Only(b2.ID)) })
	narrow := w.key(func(n *keys.NewKey) {
		n.MCPAllowlistMode, n.MCPToolAllowlist = keys.Some(policy.ModeAllow), keys.Some([]string{"a1/y"})
	})
	open := func(k keys.Issued) (*legacy, *events) {
		c := w.connect(k, "/mcp")
		c.list()
		return c, w.stream(http.MethodGet, "/mcp", "", c.headers...)
	}
	c, told := open(k)
	modern := w.listen(k)
	_, onB := open(seesB)
	_, onY := open(narrow)

	started, release := make(chan struct{}, 4), make(chan struct{})
	finish := sync.OnceFunc(func() { close(release) })
	defer finish()
	up.on("x", func(fakeCall) string {
		started <- struct{}{}
		<-release
		return `{"content":[{"type":"text","text":"from before"}]}`
	})
	got := make(chan answer, 4)
	for range cap(got) {
		go func() { got <- w.modern(k, "/mcp", "tools/call", `"name":"a1__x","arguments":{}`) }()
	}
	for range cap(got) {
		<-started
	}
	up.setTools(redefined("x"), defined("y", ""))
	if e := told.next(); e != changed {
		t.Errorf("told %s", e)
	}
	if e := modern.next(); !strings.Contains(e, "list_changed") {
		t.Errorf("told %s", e)
	}
	onB.quiet("another instance's change")
	onY.quiet("a change of a tool that it may not call")
	told.quiet("told once")
	w.asUnknown(k, "a1__x")
	if a := c.call("a1__y", `{}`); !strings.Contains(a.body, `"ok"`) {
		t.Errorf("another tool of the instance: %s", a.body)
	}
	finish()
	for range cap(got) {
		if a := <-got; !strings.Contains(a.body, "from before") {
			t.Errorf("a call that ran: %d %s", a.status, a.body)
		}
	}
	if n := len(up.seen()); n != cap(got)+1 {
		t.Errorf("%d calls reached the upstream", n)
	}
	w.approve(i, "x")
	if e := told.next(); e != changed {
		t.Errorf("told %s", e)
	}
	if a := c.call("a1__x", `{}`); !strings.Contains(a.body, "from before") {
		t.Errorf("approved: %s", a.body)
	}
}

// TestQuarantineLifts: going back lifts it, as an approval of what is announced
// does; a tool that left and came back is held against what was approved.
func TestQuarantineLifts(t *testing.T) {
	w := newWorld(t)
	first, second := defined("x", ""), redefined("x")
	up := newUpstream(t, first, defined("y", ""))
	i := w.mount("a1", up)
	c := w.connect(w.key(), "/mcp/a1")
	lists := func(why string, want ...string) {
		t.Helper()
		w.until(why, func() bool { return slices.Equal(c.list(), want) })
	}
	lists("both are there", "a1__x", "a1__y")
	up.setTools(second, defined("y", ""))
	lists("the changed one is held", "a1__y")
	held := w.quarantined(i, "x", true)
	if string(held.Approved) != first || held.ApprovedDigest != mcp.DigestOf(json.RawMessage(first)) || held.Digest != mcp.DigestOf(json.RawMessage(second)) {
		t.Errorf("shown: %+v", held)
	}
	up.setTools(first, defined("y", ""))
	lists("it went back", "a1__x", "a1__y")
	if got := w.quarantined(i, "x", false); got.ApprovedDigest != "" || got.Approved != nil {
		t.Errorf("shown: %+v", got)
	}
	up.setTools(defined("y", ""))
	lists("it is gone", "a1__y")
	w.until("that is stored", func() bool { d, err := w.svc.Definitions(t.Context(), i); return err == nil && len(d) == 1 })
	up.setTools(second, defined("y", ""))
	w.quarantined(i, "x", true)
	lists("it came back changed", "a1__y")
	up.setTools(defined("y", ""))
	w.until("it is gone", func() bool { return w.info(i, "x") == nil })
	up.setTools(first, defined("y", ""))
	lists("it came back as it was", "a1__x", "a1__y")
	up.setTools(second, defined("y", ""))
	lists("it is held again", "a1__y")
	w.approve(i, "x")
	lists("it is approved", "a1__x", "a1__y")
	up.setTools(first, defined("y", ""))
	lists("what was approved before is not any more", "a1__y")
}

// TestQuarantineNew: a tool that a known instance adds is offered, unless the
// instance says that it waits.
func TestQuarantineNew(t *testing.T) {
	for name, quarantine := range map[string]bool{"offered": false, "waits": true} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			up := newUpstream(t, defined("x", ""))
			i := w.mount("a1", up, func(s *keys.InstanceSpec) { s.QuarantineNew = keys.Some(quarantine) })
			c := w.connect(w.key(), "/mcp/a1")
			if l := c.list(); !slices.Equal(l, []string{"a1__x"}) {
				t.Errorf("at first: %v", l)
			}
			up.setTools(defined("x", ""), defined("new", ""))
			got := w.quarantined(i, "new", quarantine)
			if !quarantine {
				w.until("it is listed", func() bool { return slices.Contains(c.list(), "a1__new") })
				return
			}
			if got.ApprovedDigest != "" || len(got.Approved) > 0 {
				t.Errorf("shown: %+v", got)
			}
			w.asUnknown(w.key(), "a1__new")
			w.approve(i, "new")
			if l := c.list(); !slices.Equal(l, []string{"a1__new", "a1__x"}) {
				t.Errorf("approved: %v", l)
			}
		})
	}
}

// TestUnapprovedWordsStayAway: list_instance_tools tells models that a tool is
// quarantined, and nothing of what nobody has approved.
func TestUnapprovedWordsStayAway(t *testing.T) {
	w := newWorld(t)
	up := newUpstream(t, defined("x", ""))
	i := w.mount("a1", up, func(s *keys.InstanceSpec) { s.QuarantineNew = keys.Some(true) })
	up.setTools(redefined("x"), redefined("new"))
	w.quarantined(i, "x", true)
	w.quarantined(i, "new", true)
	raw := string(w.connect(w.key(), "/mcp").result("list_instance_tools", `{"id":"a1"}`).Data)
	if strings.Contains(raw, "poison") {
		t.Errorf("told: %s", raw)
	}
	var got struct {
		Tools []struct {
			Name        string
			Quarantined bool
			Definition  struct{ Name, Description string }
		}
	}
	must(t, json.Unmarshal([]byte(raw), &got))
	want := map[string]string{"x": "says x", "new": ""}
	for _, tool := range got.Tools {
		if d, ok := want[tool.Name]; !ok || !tool.Quarantined || tool.Definition.Name != tool.Name || tool.Definition.Description != d {
			t.Errorf("told: %+v", tool)
		}
		delete(want, tool.Name)
	}
	if len(want) > 0 {
		t.Errorf("not told: %v", want)
	}
}

// TestQuarantineOutlivesRestart: what was held is held from the first list on,
// with the upstream away.
func TestQuarantineOutlivesRestart(t *testing.T) {
	w := newWorld(t)
	up := newUpstream(t, defined("x", ""), defined("y", ""))
	i := w.mount("a1", up)
	up.setTools(redefined("x"), defined("y", ""))
	w.until("it is stored", func() bool {
		d, err := w.svc.Definitions(t.Context(), i)
		return err == nil && len(d) == 2 && d[0].Quarantined()
	})
	up.server.CloseClientConnections()
	up.server.Close()
	s := w.second()
	s.run()
	k := w.key()
	if l := s.connect(k, "/mcp/a1").list(); !slices.Equal(l, []string{"a1__y"}) {
		t.Errorf("%v", l)
	}
	s.asUnknown(k, "a1__x")
	if got := s.quarantined(i, "x", true); string(got.Approved) != defined("x", "") {
		t.Errorf("%+v", got)
	}
	s.approve(i, "x")
	if l := s.connect(k, "/mcp/a1").list(); !slices.Equal(l, []string{"a1__x", "a1__y"}) {
		t.Errorf("approved: %v", l)
	}
}

// TestPinsOutliveConnection: pins are of the instance, wherever it is.
func TestPinsOutliveConnection(t *testing.T) {
	w := newWorld(t)
	i := w.mount("a1", newUpstream(t, defined("x", ""), defined("y", "")))
	elsewhere := newUpstream(t, redefined("x"), defined("y", ""))
	_, err := w.svc.UpdateInstance(t.Context(), w.op, i.ID, keys.InstanceSpec{URL: keys.Some(elsewhere.server.URL)})
	must(t, err)
	w.quarantined(i, "x", true)
	w.asUnknown(w.key(), "a1__x")
	c := w.connect(w.key(), "/mcp/a1")
	if l := c.list(); !slices.Equal(l, []string{"a1__y"}) {
		t.Errorf("%v", l)
	}
}
