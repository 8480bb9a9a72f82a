package e2e_test

import (
	"context"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	mcpclient "github.com/mark3labs/mcp-go/client"
	"github.com/mark3labs/mcp-go/client/transport"
	mcpgo "github.com/mark3labs/mcp-go/mcp"
)

// libraryExample is the README's program with tools of its own behind keys.
const libraryExample = "examples/library"

// TestLibrary runs the program of "Use it as a library" as it stands there, with
// keys that the binary makes and revokes beside it on the same data folder.
func TestLibrary(t *testing.T) {
	t.Parallel()
	s := serveLibrary(t)
	if s.firstKey == "" {
		t.Fatal("no first key was printed")
	}
	first := s.library(t, s.firstKey)
	if got := first.tools(t); !slices.Equal(got, []string{"cancel_order", "list_orders", "place_order"}) {
		t.Errorf("the first key sees %v", got)
	}
	if got, err := first.call("place_order", object{"id": "2", "item": "a chair"}); err != nil || got != "order 2: a chair" {
		t.Errorf("the first key writes: %q, %v", got, err)
	}
	made := cli(t, s, "keys", "create", "--name", "reader", "--scope", "mcp_only", "--instances", "shop", "--allow", "shop/*")
	reader := s.library(t, made["key"].(string))
	if got := reader.tools(t); !slices.Equal(got, []string{"list_orders"}) {
		t.Errorf("a read-only key sees %v", got)
	}
	if got, err := reader.call("list_orders", object{}); err != nil || got != "1: a lamp\n2: a chair" {
		t.Errorf("it reads: %q, %v", got, err)
	}
	said := regexp.MustCompile(`Unknown tool: (\w+) \(ref (\w+)\)`)
	refs := map[string]string{}
	for _, name := range []string{"place_order", "cancel_order", "no_such_tool"} {
		_, err := reader.call(name, object{"id": "1", "item": "a desk"})
		if err == nil || said.FindStringSubmatch(err.Error()) == nil || said.FindStringSubmatch(err.Error())[1] != name {
			t.Fatalf("%s: %v", name, err)
		}
		refs[name] = said.FindStringSubmatch(err.Error())[2]
	}
	if got, err := first.call("list_orders", object{}); err != nil || got != "1: a lamp\n2: a chair" {
		t.Errorf("what was denied changed the orders: %q, %v", got, err)
	}
	why := cli(t, s, "explain", "reader", "shop/cancel_order")
	if why["decision"] != "deny" || why["reason"] != "preset.excluded" {
		t.Errorf("explain: %v", why)
	}
	eventually(t, "the denial is in the audit trail", func() string {
		events := cli(t, s, "audit", "list", "--ref", refs["place_order"])["events"].([]any)
		if len(events) != 1 {
			return "no event of the reference"
		}
		if e := events[0].(object); e["subject"] != "shop/place_order" || e["decision"] != "deny" {
			t.Fatalf("the event is %v", e)
		}
		return ""
	})
	t.Run("credentials", func(t *testing.T) { s.refusesCredentials(t, made["id"].(string), reader) })
	t.Run("beside a server", func(t *testing.T) { s.besideServe(t) })
}

// refusesCredentials: a closed scope and a paused key are 403; no key, a wrong one,
// and a revoked one as soon as the command has ended, are 401.
func (s *server) refusesCredentials(t *testing.T, reader string, session *libraryClient) {
	paused := cli(t, s, "keys", "create", "--name", "paused", "--paused")["key"].(string)
	api := cli(t, s, "keys", "create", "--name", "api", "--scope", "api")["key"].(string)
	if _, err := operator(s.data, "keys", "revoke", reader); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]struct {
		token  string
		status int
	}{
		"none": {"", 401}, "wrong": {"bwk_live_0", 401}, "revoked": {session.token, 401}, "paused": {paused, 403}, "of the API alone": {api, 403},
	} {
		r, err := http.NewRequest("POST", s.url, strings.NewReader(`{"jsonrpc":"2.0","id":1,"method":"tools/list"}`))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/json")
		if want.token != "" {
			r.Header.Set("Authorization", "Bearer "+want.token)
		}
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = answer.Body.Close()
		if answer.StatusCode != want.status || want.status == 401 && answer.Header.Get("Www-Authenticate") != "Bearer" {
			t.Errorf("a credential that is %s: %d %q", name, answer.StatusCode, answer.Header.Get("Www-Authenticate"))
		}
	}
	if _, err := session.call("list_orders", object{}); err == nil {
		t.Error("a session goes on after its key was revoked")
	}
}

// besideServe: bailiwick serve on the same folder knows the instance, and does not
// offer what it could not call.
func (s *server) besideServe(t *testing.T) {
	beside := serveOn(t, s.data, nil)
	api := rest{beside.url, s.firstKey}
	if i := api.must(t, "GET", "/api/instances/shop", nil); i["transport"] != "embedded" || i["source"] != "embedded" {
		t.Errorf("the instance is %v", i)
	}
	client := s.library(t, s.firstKey, beside.url+"/mcp")
	if got := client.tools(t); slices.ContainsFunc(got, func(name string) bool { return strings.Contains(name, "order") }) {
		t.Errorf("a server beside it lists %v", got)
	}
}

// serveLibrary builds the example and runs it.
func serveLibrary(t *testing.T) *server {
	t.Helper()
	binary, data := filepath.Join(t.TempDir(), "library"), t.TempDir()
	if out, err := exec.Command("go", "build", "-o", binary, module+"/"+libraryExample).CombinedOutput(); err != nil {
		t.Fatalf("building the example: %v\n%s", err, out)
	}
	command := exec.Command(binary, "--addr", "127.0.0.1:0", "--data", data)
	command.Env = cleanEnv()
	return started(t, command, data)
}

// libraryClient is mcp-go's own client with a key.
type libraryClient struct {
	*mcpclient.Client
	token string
}

func (s *server) library(t *testing.T, token string, url ...string) *libraryClient {
	t.Helper()
	tr, err := transport.NewStreamableHTTP(append(url, s.url)[0], transport.WithHTTPHeaders(map[string]string{"Authorization": "Bearer " + token}))
	if err != nil {
		t.Fatal(err)
	}
	c := &libraryClient{mcpclient.NewClient(tr), token}
	t.Cleanup(func() { _ = c.Close() })
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := c.Start(ctx); err != nil {
		t.Fatal(err)
	}
	hello := mcpgo.InitializeRequest{Params: mcpgo.InitializeParams{ProtocolVersion: mcpgo.LATEST_PROTOCOL_VERSION, ClientInfo: mcpgo.Implementation{Name: "test", Version: "1"}}}
	if _, err := c.Initialize(ctx, hello); err != nil {
		t.Fatal(err)
	}
	return c
}

func (c *libraryClient) tools(t *testing.T) (names []string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	list, err := c.ListTools(ctx, mcpgo.ListToolsRequest{})
	if err != nil {
		t.Fatal(err)
	}
	for _, tool := range list.Tools {
		names = append(names, tool.Name)
	}
	return names
}

func (c *libraryClient) call(tool string, arguments object) (text string, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	call := mcpgo.CallToolRequest{Params: mcpgo.CallToolParams{Name: tool, Arguments: arguments}}
	result, err := c.CallTool(ctx, call)
	if err != nil {
		return "", err
	}
	for _, content := range result.Content {
		if one, ok := content.(mcpgo.TextContent); ok {
			text += one.Text
		}
	}
	return text, nil
}

// TestLibraryIsShort holds the promise of less than 15 lines, and every page that
// shows them to what the program has.
func TestLibraryIsShort(t *testing.T) {
	source, err := os.ReadFile(filepath.Join(repository, filepath.FromSlash(libraryExample), "main.go"))
	if err != nil {
		t.Fatal(err)
	}
	_, after, begun := strings.Cut(string(source), "// Bailiwick begins\n")
	snippet, _, ended := strings.Cut(after, "\t// Bailiwick ends\n")
	if !begun || !ended {
		t.Fatal("the example has no marks")
	}
	if lines := strings.Count(snippet, "\n"); lines >= 15 || lines < 5 {
		t.Errorf("the example's protection has %d lines", lines)
	}
	var shown strings.Builder
	for line := range strings.Lines(snippet) {
		shown.WriteString(strings.TrimPrefix(line, "\t"))
	}
	pages := 0
	for _, page := range []string{"README.md", "docs/library.md"} {
		text, err := os.ReadFile(filepath.Join(repository, filepath.FromSlash(page)))
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(text), "guard.Open(") {
			continue
		}
		if pages++; !strings.Contains(string(text), shown.String()) {
			t.Errorf("%s does not show the example as it is:\n%s", page, shown.String())
		}
	}
	if pages == 0 {
		t.Error("no page shows the example")
	}
}
