package mcp_test

import (
	"context"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	mcpgo "github.com/mark3labs/mcp-go/mcp"
	mcpserver "github.com/mark3labs/mcp-go/server"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/mcp"
	"github.com/bailiwick-mcp/bailiwick/policy"
)

// shop is somebody's own server of mcp-go, with something of each kind.
func shop(called *atomic.Int64) *mcpserver.MCPServer {
	s := mcpserver.NewMCPServer("shop", "1", mcpserver.WithToolCapabilities(true), mcpserver.WithPromptCapabilities(true),
		mcpserver.WithResourceCapabilities(true, true), mcpserver.WithTaskCapabilities(true, true, true))
	add := func(name string, hints mcpgo.ToolAnnotation) {
		s.AddTool(mcpgo.NewTool(name, mcpgo.WithToolAnnotation(hints)), func(context.Context, mcpgo.CallToolRequest) (*mcpgo.CallToolResult, error) {
			called.Add(1)
			return mcpgo.NewToolResultText("did " + name), nil
		})
	}
	add("list_orders", mcpgo.ToolAnnotation{ReadOnlyHint: new(true)})
	add("add_order", mcpgo.ToolAnnotation{ReadOnlyHint: new(false), DestructiveHint: new(false)})
	add("drop_orders", mcpgo.ToolAnnotation{})
	task := mcpgo.NewTool("export_orders", mcpgo.WithTaskSupport(mcpgo.TaskSupportRequired))
	s.AddTaskTool(task, func(context.Context, mcpgo.CallToolRequest) (*mcpgo.CreateTaskResult, error) {
		called.Add(1)
		return &mcpgo.CreateTaskResult{}, nil
	})
	s.AddPrompt(mcpgo.NewPrompt("greet"), func(context.Context, mcpgo.GetPromptRequest) (*mcpgo.GetPromptResult, error) {
		called.Add(1)
		return mcpgo.NewGetPromptResult("", nil), nil
	})
	s.AddResource(mcpgo.NewResource("shop://terms", "terms"), func(context.Context, mcpgo.ReadResourceRequest) ([]mcpgo.ResourceContents, error) {
		called.Add(1)
		return []mcpgo.ResourceContents{mcpgo.TextResourceContents{URI: "shop://terms", Text: "pay"}}, nil
	})
	return s
}

// newShop is a world whose gateway serves the shop, and not the other instance
// that its store has.
func newShop(t *testing.T) (w *world, s *mcpserver.MCPServer, called *atomic.Int64) {
	called = &atomic.Int64{}
	s = shop(called)
	beside := newUpstream(t, tool("x", "r"))
	w = newWorld(t, func(c *mcp.Config) {
		op, err := c.Service.Operator(t.Context(), "default")
		must(t, err)
		_, err = c.Service.CreateInstance(t.Context(), op, keys.InstanceSpec{Slug: keys.Some("beside"),
			Transport: keys.Some(keys.TransportHTTP), URL: keys.Some(beside.server.URL), WriteEnabled: keys.Some(true)})
		must(t, err)
		i, err := c.Service.Embed(t.Context(), op, keys.InstanceSpec{Slug: keys.Some("shop")})
		must(t, err)
		c.Name = "shop"
		c.Embedded = &mcp.Embedded{Instance: i.ID, Handler: mcpserver.NewStreamableHTTPServer(s)}
	})
	return w, s, called
}

// TestEmbedded: the tools of a server inside the program are gated like those of
// any instance, under their own names.
func TestEmbedded(t *testing.T) {
	w, s, called := newShop(t)
	all, reader := w.connect(w.key(), "/mcp"), w.connect(w.key(func(n *keys.NewKey) { n.MCPReadOnly = keys.Some(true) }), "/mcp")
	if got := all.list(); !slices.Equal(got, []string{"add_order", "drop_orders", "export_orders", "list_orders"}) {
		t.Errorf("everything: %v", got)
	}
	if got := reader.list(); !slices.Equal(got, []string{"list_orders"}) {
		t.Errorf("a read-only key: %v", got)
	}
	if a := reader.call("list_orders", `{}`); !strings.Contains(a.body, "did list_orders") {
		t.Errorf("read: %s", a.body)
	}
	before := called.Load()
	unknown := scrubbed(reader.call("no_such", `{}`).body, "no_such")
	for _, name := range []string{"add_order", "drop_orders", "export_orders", "shop__list_orders", "shop/list_orders", "whoami", "list_api_keys"} {
		if a := scrubbed(reader.call(name, `{}`).body, name); a != unknown || !strings.Contains(a, "Unknown tool: NAME (ref REF)") {
			t.Errorf("%s: %s, an unknown one: %s", name, a, unknown)
		}
	}
	for _, body := range []string{
		`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"list_orders","NAME":"drop_orders"}}`,
		`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"list_orders","name":"drop_orders"}}`,
		`{"jsonrpc":"2.0","id":1,"method":"tools/drop","params":{"name":"drop_orders"}}`,
		`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"export_orders","task":{}}}`,
		`{"jsonrpc":"2.0","id":1,"method":"tasks/list"}`,
	} {
		if a := reader.send(body); !strings.Contains(a.body, `"error"`) {
			t.Errorf("%s: %s", body, a.body)
		}
	}
	if n := called.Load() - before; n != 0 {
		t.Errorf("refused calls reached the server %d times", n)
	}
	if a := all.call("add_order", `{}`); !strings.Contains(a.body, "did add_order") {
		t.Errorf("write: %s", a.body)
	}
	s.AddTool(mcpgo.NewTool("list_more", mcpgo.WithToolAnnotation(mcpgo.ToolAnnotation{ReadOnlyHint: new(true)})),
		func(context.Context, mcpgo.CallToolRequest) (*mcpgo.CallToolResult, error) {
			return mcpgo.NewToolResultText("more"), nil
		})
	w.until("a tool that is added later is listed", func() bool { return slices.Contains(reader.list(), "list_more") })
	s.AddTool(mcpgo.NewTool("list_more", mcpgo.WithDescription("destroys")), nil)
	w.until("one that becomes destructive is no longer, and waits for nobody", func() bool {
		return !slices.Contains(reader.list(), "list_more") && slices.Contains(all.list(), "list_more")
	})
}

// scrubbed is an answer without the echoed name and the reference.
func scrubbed(body, name string) string {
	return regexp.MustCompile(`\(ref [^)]+\)`).ReplaceAllString(strings.ReplaceAll(body, name, "NAME"), "(ref REF)")
}

// TestEmbeddedOtherKinds: prompts and resources are tools that only read, under
// their own names, of an instance that a key reaches or not.
func TestEmbeddedOtherKinds(t *testing.T) {
	w, _, called := newShop(t)
	reader := w.connect(w.key(func(n *keys.NewKey) { n.MCPReadOnly = keys.Some(true) }), "/mcp")
	outside := w.connect(w.key(func(n *keys.NewKey) { n.MCPInstanceIDs = keys.Some(policy.Only()) }), "/mcp")
	requests := map[string]string{
		"prompts/get":    `{"jsonrpc":"2.0","id":1,"method":"prompts/get","params":{"name":"greet"}}`,
		"resources/read": `{"jsonrpc":"2.0","id":1,"method":"resources/read","params":{"uri":"shop://terms"}}`,
	}
	for list, want := range map[[3]string]string{{"prompts/list", "prompts", "name"}: "greet", {"resources/list", "resources", "uri"}: "shop://terms"} {
		if got := reader.listOf(list[0], list[1], list[2]); !slices.Equal(got, []string{want}) {
			t.Errorf("%s: %v", list[0], got)
		}
		if got := outside.listOf(list[0], list[1], list[2]); len(got) != 0 {
			t.Errorf("%s outside: %v", list[0], got)
		}
	}
	for method, body := range requests {
		if a := reader.send(body); !strings.Contains(a.body, `"result"`) {
			t.Errorf("%s: %s", method, a.body)
		}
	}
	before := called.Load()
	for method, body := range requests {
		if a := outside.send(body); !strings.Contains(a.body, `"error"`) || called.Load() != before {
			t.Errorf("%s outside: %s", method, a.body)
		}
	}
}

// TestEmbeddedEras: clients of both eras learn the server's own name, and a
// stateless one is gated as well.
func TestEmbeddedEras(t *testing.T) {
	w, _, _ := newShop(t)
	k := w.key(func(n *keys.NewKey) { n.MCPReadOnly = keys.Some(true) })
	if a := w.post("/mcp", initialize, auth(k)...); !strings.Contains(a.body, `"name":"shop"`) {
		t.Errorf("initialize: %s", a.body)
	}
	if a := w.modern(k, "/mcp", "tools/call", `"name":"list_orders","arguments":{}`); !strings.Contains(a.body, "did list_orders") {
		t.Errorf("stateless: %s", a.body)
	}
	if a := w.modern(k, "/mcp", "tools/call", `"name":"drop_orders","arguments":{}`); !strings.Contains(a.body, "Unknown tool: drop_orders (ref ") {
		t.Errorf("stateless, denied: %s", a.body)
	}
	if a := w.post("/mcp/shop", initialize, auth(k)...); a.status != 200 {
		t.Errorf("by its slug: %d %s", a.status, a.body)
	}
}

// TestEmbeddedElsewhere: another program on the store knows the instance, and
// offers nothing of it, for it could call nothing.
func TestEmbeddedElsewhere(t *testing.T) {
	w, _, _ := newShop(t)
	k := w.key()
	w.until("its tools are stored", func() bool { return slices.Contains(w.connect(k, "/mcp").list(), "list_orders") })
	other := w.second()
	other.run()
	other.gw.WaitReady(t.Context())
	for _, name := range other.connect(k, "/mcp").list() {
		if strings.Contains(name, "orders") {
			t.Errorf("listed elsewhere: %s", name)
		}
	}
	if a := other.connect(k, "/mcp").call("shop__list_orders", `{}`); !strings.Contains(a.body, "Unknown tool: shop__list_orders (ref ") {
		t.Errorf("called elsewhere: %s", a.body)
	}
}

func TestEmbeddedConfig(t *testing.T) {
	w := newWorld(t)
	for name, e := range map[string]*mcp.Embedded{
		"no instance": {Handler: mcpserver.NewStreamableHTTPServer(shop(new(atomic.Int64)))}, "no handler": {Instance: "x"},
	} {
		if _, err := mcp.New(mcp.Config{Service: w.svc, Authenticate: w.authenticate, Embedded: e}); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}
