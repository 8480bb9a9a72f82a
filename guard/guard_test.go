package guard_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	mcpgo "github.com/mark3labs/mcp-go/mcp"
	mcpserver "github.com/mark3labs/mcp-go/server"
	"go.uber.org/goleak"

	"github.com/bailiwick-mcp/bailiwick/guard"
	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/policy"
	"github.com/bailiwick-mcp/bailiwick/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// server has a tool that tells who called it, one that asks in the old way, and one
// that says nothing of itself.
func server() *mcpserver.MCPServer {
	s := mcpserver.NewMCPServer("test", "1", mcpserver.WithElicitation())
	read := []mcpgo.ToolOption{mcpgo.WithReadOnlyHintAnnotation(true), mcpgo.WithDestructiveHintAnnotation(false)}
	s.AddTool(mcpgo.NewTool("who", read...), func(_ context.Context, call mcpgo.CallToolRequest) (*mcpgo.CallToolResult, error) {
		return mcpgo.NewToolResultText("called by " + guard.KeyID(call.Header)), nil
	})
	s.AddTool(mcpgo.NewTool("ask", read...), func(ctx context.Context, _ mcpgo.CallToolRequest) (*mcpgo.CallToolResult, error) {
		_, err := s.RequestElicitation(ctx, mcpgo.ElicitationRequest{})
		return mcpgo.NewToolResultText("asked"), err
	})
	s.AddTool(mcpgo.NewTool("wipe"), func(context.Context, mcpgo.CallToolRequest) (*mcpgo.CallToolResult, error) {
		return mcpgo.NewToolResultText("wiped"), nil
	})
	return s
}

func TestOpenRefuses(t *testing.T) {
	taken := filepath.Join(t.TempDir(), "data")
	withStore(t, taken, func(svc *keys.Service, op keys.Principal) {
		_, err := svc.CreateInstance(t.Context(), op, keys.InstanceSpec{Slug: keys.Some("taken"),
			Transport: keys.Some(keys.TransportHTTP), URL: keys.Some("https://mcp.example.com/mcp")})
		must(t, err)
	})
	var conflict *keys.ConflictError
	tests := []struct {
		name   string
		server *mcpserver.MCPServer
		cfg    guard.Config
		want   func(error) bool
	}{
		{"no server", nil, guard.Config{Slug: "x"}, says("a server is required")},
		{"no slug", server(), guard.Config{}, says("Config.Slug must be 1 to 32")},
		{"Bailiwick's own slug", server(), guard.Config{Slug: "bailiwick"}, says("Config.Slug")},
		{"another's slug", server(), guard.Config{Slug: "taken"}, func(err error) bool { return errors.As(err, &conflict) }},
		{"an unknown tenant", server(), guard.Config{Slug: "x", Tenant: "nobody"}, func(err error) bool { return errors.Is(err, keys.ErrNotFound) }},
		{"a bad effect", server(), guard.Config{Slug: "x", Tools: []keys.ToolRule{{Match: "a?"}}}, says("instance \"x\"")},
		{"another root secret", server(), guard.Config{Slug: "x", Secret: "test-root-secret-0123456789-abcdefghij"},
			func(err error) bool { return errors.Is(err, keys.ErrWrongSecret) }},
		{"a public URL that is none", server(), guard.Config{Slug: "x", PublicURL: "example.com"}, says("public URL")},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.cfg.Data = taken
			g, err := guard.Open(t.Context(), tt.server, tt.cfg)
			if err == nil {
				must(t, g.Close())
			}
			if !tt.want(err) {
				t.Errorf("%v", err)
			}
		})
	}
}

// TestHandler: a program serves the handler itself, while Run runs.
func TestHandler(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	g, err := guard.Open(t.Context(), server(), guard.Config{Slug: "mine", Data: data, Project: "team",
		Tools: []keys.ToolRule{{Match: "wipe", Effect: policy.EffectRead, Category: "cleaning"}}})
	must(t, err)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- g.Run(ctx) }()
	web := httptest.NewServer(g.Handler())
	first := g.FirstKey()
	var id string
	withStore(t, data, func(svc *keys.Service, op keys.Principal) {
		k, err := svc.FindKey(t.Context(), op, "first-key")
		must(t, err)
		id = k.ID
	})
	tests := map[string]struct {
		key    keys.Secret
		tool   string
		status int
		want   string
	}{
		"no key":           {"", "who", 401, "unauthenticated"},
		"the caller":       {first, "who", 200, "called by " + id},
		"asks the old way": {first, "ask", 200, `"error"`},
		"Bailiwick's own":  {first, "whoami", 200, "Unknown tool: whoami (ref "},
	}
	for name, tt := range tests {
		status, body := call(t, web.URL+"/mcp", tt.key, tt.tool)
		if status != tt.status || !strings.Contains(body, tt.want) {
			t.Errorf("%s: %d %s", name, status, body)
		}
	}
	web.Close()
	stop()
	if err := <-ended; err != nil {
		t.Errorf("Run: %v", err)
	}
	if err := g.Run(t.Context()); err == nil {
		t.Error("Run ran a second time")
	}
	must(t, g.Close())
	again, err := guard.Open(t.Context(), server(), guard.Config{Slug: "mine", Data: data})
	must(t, err)
	if key := again.FirstKey(); key != "" {
		t.Error("a second first key")
	}
	must(t, again.Close())
}

// TestServeStdio: one key, read-only, for which Tools say what the annotations do not.
func TestServeStdio(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	for effect, want := range map[string]string{"": "ask,who", "read": "ask,who,wipe"} {
		cfg := guard.Config{Slug: "mine", Data: data}
		if effect != "" {
			cfg.Tools = []keys.ToolRule{{Match: "w*", Effect: policy.EffectRead}}
		}
		var token keys.Secret
		withStore(t, data, func(svc *keys.Service, op keys.Principal) {
			issued, err := svc.CreateKey(t.Context(), op, keys.NewKey{Name: "reader"})
			must(t, err)
			token = issued.Secret
		})
		g, err := guard.Open(t.Context(), server(), cfg)
		must(t, err)
		in, client := io.Pipe()
		answers, out := io.Pipe()
		ended := make(chan error, 1)
		go func() {
			err := g.ServeStdio(t.Context(), token, in, out)
			ended <- errors.Join(err, in.Close(), out.Close()) // so that nobody waits for one that ended
		}()
		_, err = io.WriteString(client, `{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{`+meta+"}}\n")
		must(t, err)
		line, err := bufio.NewReader(answers).ReadString('\n')
		must(t, err)
		if got := named(line); got != want {
			t.Errorf("%q: it lists %s", effect, got)
		}
		must(t, client.Close())
		if err := <-ended; err != nil {
			t.Errorf("ServeStdio: %v", err)
		}
		must(t, g.Close())
	}
	g, err := guard.Open(t.Context(), server(), guard.Config{Slug: "mine", Data: data})
	must(t, err)
	if err := g.ServeStdio(t.Context(), "bwk_live_0", strings.NewReader(""), io.Discard); !errors.Is(err, keys.ErrBadCredential) {
		t.Errorf("an unknown key: %v", err)
	}
	must(t, g.Close())
}

const meta = `"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientInfo":{"name":"test","version":"1"},"io.modelcontextprotocol/clientCapabilities":{"elicitation":{}}}`

// call calls a tool as a client of 2026-07-28, with a header that only the gate
// may write.
func call(t *testing.T, url string, key keys.Secret, tool string) (status int, answer string) {
	t.Helper()
	body := `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{` + meta + `,"name":"` + tool + `","arguments":{}}}`
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(body))
	must(t, err)
	for header, value := range map[string]string{"Content-Type": "application/json", "Accept": "application/json, text/event-stream",
		"Mcp-Protocol-Version": "2026-07-28", "Mcp-Method": "tools/call", "Mcp-Name": tool, "Bailiwick-Principal": "a/forger"} {
		r.Header.Set(header, value)
	}
	if key != "" {
		r.Header.Set("Authorization", "Bearer "+key.Reveal())
	}
	res, err := http.DefaultClient.Do(r)
	must(t, err)
	defer http.DefaultClient.CloseIdleConnections()
	defer res.Body.Close()
	got, err := io.ReadAll(res.Body)
	must(t, err)
	return res.StatusCode, string(got)
}

// named are the names in a list, joined.
func named(list string) string {
	var out []string
	for _, part := range strings.Split(list, `"name":"`)[1:] {
		name, _, _ := strings.Cut(part, `"`)
		if name != "test" && name != "mine" {
			out = append(out, name)
		}
	}
	return strings.Join(out, ",")
}

// withStore works on the store as the binary beside the program does.
func withStore(t *testing.T, data string, fn func(*keys.Service, keys.Principal)) {
	t.Helper()
	cfg := store.Config{Data: data, Fresh: true}
	must(t, cfg.MakeFolder())
	s, err := store.Open(t.Context(), cfg, keys.Config{})
	must(t, err)
	_, err = s.Service.Bootstrap(t.Context())
	must(t, err)
	op, err := s.Service.Operator(t.Context(), "default")
	must(t, err)
	fn(s.Service, op)
	must(t, s.Close())
}

func says(text string) func(error) bool {
	return func(err error) bool { return err != nil && strings.Contains(err.Error(), text) }
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
