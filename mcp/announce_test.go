package mcp_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/policy"
)

// ear is one open stream, with what its client can see and wants to hear of.
type ear struct {
	name  string
	got   <-chan string
	sees  []string // instances
	wants []string // kinds, as methods name them
	key   string
	send  func(line string) // of a session
}

// heard are the methods of what came on the stream.
func (e *ear) heard() []string {
	out := []string{}
	for {
		select {
		case data := <-e.got:
			_, method, _ := strings.Cut(data, `"method":"`)
			method, _, _ = strings.Cut(method, `"`)
			out = append(out, method)
		default:
			return out
		}
	}
}

// ears opens every kind of stream for each key.
func (w *world) ears(t *testing.T, k keys.Issued, key string, sees ...string) []*ear {
	groups := []string{"tools", "prompts", "resources"}
	c := w.connect(k, "/mcp")
	out := []*ear{{"GET", w.stream(http.MethodGet, "/mcp", "", c.headers...).got, sees, groups, key, func(l string) { c.send(l) }}}
	sse := w.stream(http.MethodGet, "/sse", "", auth(k)...)
	endpoint := sse.next()
	out = append(out, &ear{"SSE", sse.got, sees, groups, key, func(l string) { w.post(endpoint, l, auth(k)...); sse.next() }})
	p := startPipes(t, doors(w, k)["local"])
	p.send(initialize, initialized)
	p.expect(`"id":"init"`)
	out = append(out, &ear{"stdio", p.got, sees, groups, key, func(l string) { p.send(l); p.next() }})
	for _, wants := range [][]string{{"tools"}, {"prompts"}, {"resources"}, groups} {
		filter := ""
		for _, g := range wants {
			filter += `"` + g + `ListChanged":true,`
		}
		e := w.stream(http.MethodPost, "/mcp", `{"jsonrpc":"2.0","id":"sub","method":"subscriptions/listen","params":{"notifications":{`+strings.TrimSuffix(filter, ",")+`},`+modernMeta+`}}`,
			append(auth(k), "Mcp-Protocol-Version", "2026-07-28", "Mcp-Method", "subscriptions/listen")...)
		ack := e.next()
		for _, g := range groups {
			if strings.Contains(ack, `"`+g+`ListChanged":true`) != slices.Contains(wants, g) {
				t.Errorf("wants %v: %s", wants, ack)
			}
		}
		out = append(out, &ear{"listen to " + strings.Join(wants, " and "), e.got, sees, wants, key, nil})
	}
	for _, e := range out {
		e.name = key + ", " + e.name
	}
	return out
}

// TestAnnouncements: a change is told to exactly the streams whose client sees
// it and wants to hear of its kind, with the one word for it.
func TestAnnouncements(t *testing.T) {
	for _, modern := range []bool{false, true} {
		w := newWorld(t)
		ups, ids := map[string]*fakeUpstream{}, map[string]string{}
		was := others{[]string{prompt("p")}, []string{resource("x:r"), resource("x:shared")}, []string{template("x:t/{id}")}}
		for _, slug := range []string{"a1", "b2"} {
			ups[slug] = newUpstream(t, tool("t", "r")).with(was)
			ups[slug].modern, ups[slug].subscribes = modern, true
			ids[slug] = w.mount(slug, ups[slug]).ID
		}
		only := func(slugs ...string) func(*keys.NewKey) {
			list := []string{}
			for _, s := range slugs {
				list = append(list, ids[s])
			}
			return func(n *keys.NewKey) { n.MCPInstanceIDs = keys.Some(policy.Only(list...)) }
		}
		kb := w.key(only("b2"))
		all := slices.Concat(w.ears(t, w.key(only("a1")), "a", "a1"), w.ears(t, kb, "b", "b2"),
			w.ears(t, w.key(), "both", "a1", "b2"), w.ears(t, w.key(only()), "none"))
		for _, e := range all { // clients that have listed everything
			for _, method := range []string{"tools/list", "prompts/list", "resources/list", "resources/templates/list"} {
				if e.send != nil {
					e.send(`{"jsonrpc":"2.0","id":1,"method":"` + method + `"}`)
				}
			}
		}
		edit := func(p keys.PolicyPatch) func() {
			return func() {
				_, err := w.svc.UpdateKey(t.Context(), w.op, kb.Key.ID, keys.KeyPatch{PolicyPatch: p})
				must(t, err)
			}
		}
		more := func(edit func(o *others)) others {
			o := others{slices.Clone(was.prompts), slices.Clone(was.resources), slices.Clone(was.templates)}
			edit(&o)
			was = o
			return o
		}
		for _, c := range []struct {
			name string
			do   func()
			at   string // the instance; "key b" = the key's edit
			kind []string
		}{
			{"a prompt more", func() { ups["a1"].setOthers(more(func(o *others) { o.prompts = append(o.prompts, prompt("q")) })) }, "a1", []string{"prompts"}},
			{"a resource more", func() {
				ups["a1"].setOthers(more(func(o *others) { o.resources = append(o.resources, resource("x:s")) }))
			}, "a1", []string{"resources"}},
			{"a template more", func() {
				ups["a1"].setOthers(more(func(o *others) { o.templates = append(o.templates, template("x:u/{id}")) }))
			}, "a1", []string{"resources"}},
			{"a template other", func() {
				ups["a1"].setOthers(more(func(o *others) { o.templates[0] = `{"uriTemplate":"x:t/{id}","name":"other"}` }))
			}, "a1", []string{"resources"}},
			{"a tool more", func() { ups["a1"].setTools(tool("t", "r"), tool("u", "r")) }, "a1", []string{"tools"}},
			{"said, but the same", func() {
				for _, g := range []string{"tools", "prompts", "resources"} {
					ups["a1"].announce("notifications/" + g + "/list_changed")
				}
			}, "", nil},
			// Of the one that sees both, b2's is behind a1's.
			{"a resource behind another", func() {
				ups["b2"].setOthers(others{[]string{prompt("p")}, []string{resource("x:r"), `{"uri":"x:shared","name":"behind"}`}, []string{template("x:t/{id}")}})
			}, "b2 alone", []string{"resources"}},
			{"an edit of prompts", edit(keys.PolicyPatch{MCPAllowlistMode: keys.Some(policy.ModeDeny), MCPToolAllowlist: keys.Some([]string{"b2__p"})}), "key b", []string{"prompts"}},
			{"an edit of tools", edit(keys.PolicyPatch{MCPToolAllowlist: keys.Some([]string{"b2__p", "b2__t"})}), "key b", []string{"tools"}},
			{"an edit of resources", edit(keys.PolicyPatch{MCPToolAllowlist: keys.Some([]string{"b2__p", "b2__t", "b2__x:r"})}), "key b", []string{"resources"}},
			{"an edit of all that is left", edit(keys.PolicyPatch{MCPAllowlistMode: keys.Some(policy.ModeAllow), MCPToolAllowlist: keys.Some([]string{})}), "key b", []string{"tools", "resources"}},
		} {
			c.do()
			expect := func(e *ear) []string {
				want := []string{}
				concerned := slices.Contains(e.sees, c.at) || c.at == "key b" && e.key == "b" || c.at == "b2 alone" && e.key == "b"
				for _, g := range c.kind {
					if concerned && slices.Contains(e.wants, g) {
						want = append(want, "notifications/"+g+"/list_changed")
					}
				}
				return want
			}
			heard := map[*ear][]string{}
			w.until(c.name+" is told", func() bool {
				done := true
				for _, e := range all {
					heard[e] = append(heard[e], e.heard()...)
					done = done && len(heard[e]) >= len(expect(e))
				}
				return done
			})
			time.Sleep(300 * time.Millisecond) // what should not come would
			for _, e := range all {
				heard[e] = append(heard[e], e.heard()...)
				if want := expect(e); !slices.Equal(heard[e], want) {
					t.Errorf("modern upstream %v, %s: %s heard %v, want %v", modern, c.name, e.name, heard[e], want)
				}
			}
		}
	}
}
