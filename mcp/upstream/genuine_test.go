package upstream_test

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	mcpgo "github.com/mark3labs/mcp-go/mcp"
	mcpserver "github.com/mark3labs/mcp-go/server"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/mcp/upstream"
)

// nosy is a server of mcp-go whose tool asks in the way of the era: by a request
// during the call, or by a result of the kind input_required.
func nosy() *mcpserver.MCPServer {
	s := genuine(mcpserver.WithElicitation())
	s.EnableSampling()
	s.AddTool(mcpgo.NewTool("confirm"), func(ctx context.Context, r mcpgo.CallToolRequest) (*mcpgo.CallToolResult, error) {
		if got := mcpserver.ElicitationResponse(r.Params.InputResponses, "sure"); got != nil {
			return mcpgo.NewToolResultText(string(got.Action) + " " + r.Params.RequestState), nil
		}
		return mcpserver.NewInputRequestBuilder("state of it").
			Elicit("sure", mcpgo.ElicitationParams{Message: "Are you sure?", RequestedSchema: map[string]any{"type": "object", "properties": map[string]any{}}}).
			ToolResult(), nil
	})
	s.AddTool(mcpgo.NewTool("sample"), func(ctx context.Context, _ mcpgo.CallToolRequest) (*mcpgo.CallToolResult, error) {
		got, err := s.RequestSampling(ctx, mcpgo.CreateMessageRequest{CreateMessageParams: mcpgo.CreateMessageParams{MaxTokens: 7}})
		if err != nil {
			return nil, err
		}
		return mcpgo.NewToolResultText(got.Model), nil
	})
	return s
}

func init() { stdioServers["nosy"] = func() { _ = mcpserver.ServeStdio(nosy()) } }

func TestGenuineServersAsk(t *testing.T) {
	for name, cfg := range map[string]upstream.Config{
		"http": remote(keys.TransportHTTP, serveHTTP(t, nosy(), mcpserver.WithStreamableHTTPProtocolVersions("2025-11-25"))),
	} {
		t.Run(name, func(t *testing.T) {
			m := runAsker(t, cfg)
			ctx, cancel := context.WithTimeout(context.Background(), patience)
			defer cancel()
			var methods []string
			ask := func(_ context.Context, method string, params json.RawMessage) (json.RawMessage, *upstream.Error) {
				methods = append(methods, method)
				if method == "elicitation/create" {
					if !strings.Contains(string(params), `"message":"Are you sure?"`) {
						t.Errorf("asked %s", params)
					}
					return raw(`{"action":"accept","content":{}}`), nil
				}
				return raw(`{"role":"assistant","content":{"type":"text","text":"hi"},"model":"the-model"}`), nil
			}
			for tool, want := range map[string]string{"confirm": `"text":"accept state of it"`, "sample": `"text":"the-model"`} {
				reply, err := m.Call(ctx, upstream.Call{Tool: tool, Owner: "anna", Ask: ask})
				if err != nil || reply.Error != nil || !strings.Contains(string(reply.Result), want) {
					t.Errorf("%s: %s %v %v", tool, reply.Result, reply.Error, err)
				}
			}
			if len(methods) != 2 {
				t.Errorf("asked %v", methods)
			}
			reply, err := m.Call(ctx, upstream.Call{Tool: "confirm", Owner: "anna"})
			if err != nil || reply.Error == nil && !strings.Contains(string(reply.Result), "isError") {
				t.Errorf("a client that can't be asked: %s %v", reply.Result, err)
			}
		})
	}
}

func TestInputIsRequired(t *testing.T) {
	for name, cfg := range map[string]upstream.Config{
		"http": remote(keys.TransportHTTP, serveHTTP(t, nosy())), "stdio": stdio(t, "nosy"),
		"embedded": inside(nosy()),
	} {
		t.Run(name, func(t *testing.T) {
			m := runAsker(t, cfg)
			c := upstream.Call{Tool: "confirm", Capabilities: raw(`{"elicitation":{"form":{}}}`), Types: []string{"input_required"}}
			reply, err := m.Call(context.Background(), c)
			if err != nil || reply.Error != nil || reply.Type != "input_required" {
				t.Fatalf("%q %s %v %v", reply.Type, reply.Result, reply.Error, err)
			}
			var r struct {
				State    string                     `json:"requestState"`
				Requests map[string]json.RawMessage `json:"inputRequests"`
				Type     string                     `json:"resultType"`
			}
			if err := json.Unmarshal(reply.Result, &r); err != nil || r.State != "state of it" || r.Requests["sure"] == nil || r.Type != "" {
				t.Fatalf("%s", reply.Result)
			}
			c.Params = raw(`{"inputResponses":{"sure":{"action":"decline"}},"requestState":"state of it"}`)
			reply, err = m.Call(context.Background(), c)
			if err != nil || reply.Error != nil || reply.Type != "" || !strings.Contains(string(reply.Result), `"text":"decline state of it"`) {
				t.Errorf("%q %s %v %v", reply.Type, reply.Result, reply.Error, err)
			}
			c.Types, c.Params = nil, nil
			if reply, err = m.Call(context.Background(), c); err != nil || reply.Error == nil || reply.Error.Code != -32603 || reply.Type != "" {
				t.Errorf("not taken: %q %s %v", reply.Type, reply.Result, err)
			}
		})
	}
}

func TestKindsOfResult(t *testing.T) {
	h := modernWeb(named("a"))
	var result string
	h["tools/call"] = func(w http.ResponseWriter, _ *http.Request, m message) { answer(w, 200, m, `"result":`+result) }
	s := newWeb(t, h)
	m := s.mount(t)
	c := upstream.Call{Tool: "a", Types: []string{"input_required", "task"}, Capabilities: raw("{\"elicitation\":{},\n\"n\":1.50}")}
	for _, tt := range []struct{ result, kind, want, fault string }{
		{`{"a":1}`, "", `{"a":1}`, ""},
		{`{"resultType":"complete","a":1}`, "", `{"a":1}`, ""},
		{`{"resultType":"task","taskId":"t","n":9007199254740993}`, "task", `{"taskId":"t","n":9007199254740993}`, ""},
		{`{"a":1,"resultType":"input_required"}`, "input_required", `{"a":1}`, ""},
		{`{"resultType":"hologram"}`, "", "", "does not take: hologram"},
		{`{"resultType":7}`, "", "", "does not say of what kind"},
		{`{"resultType":""}`, "", "", "does not say of what kind"},
		{`{"resultType":"task","resultType":"input_required"}`, "", "", "does not say of what kind"},
		{`{"resultType":"task","resultType":"complete"}`, "", "", "does not say of what kind"},
	} {
		result = tt.result
		reply, err := m.Call(context.Background(), c)
		if err != nil || reply.Type != tt.kind || string(reply.Result) != tt.want ||
			(reply.Error != nil) != (tt.fault != "") || reply.Error != nil && !strings.Contains(reply.Error.Message, tt.fault) {
			t.Errorf("%s: %q %s %v %v", tt.result, reply.Type, reply.Result, reply.Error, err)
		}
	}
	if got := string(s.came("tools/call")[0].Params); !strings.Contains(got, `"io.modelcontextprotocol/clientCapabilities":{"elicitation":{}, "n":1.50},`) {
		t.Errorf("params %s", got)
	}
	for _, bad := range []string{`[]`, `{`, `{}{}`} {
		if _, err := m.Call(context.Background(), upstream.Call{Tool: "a", Capabilities: raw(bad)}); err == nil {
			t.Errorf("capabilities %s went out", bad)
		}
	}
}

// A request that makes a task is not ended by notifications/cancelled.
func TestTasksAreNotCancelledByNotification(t *testing.T) {
	path, wait := notes(t)
	m := run(t, stdio(t, "misbehave", "UPSTREAM_TEST_NOTES", path)).ready()
	for _, params := range []string{`{"task":{"ttl":1}}`, `{"x":1}`} {
		ctx, cancel := context.WithCancel(context.Background())
		result := make(chan struct{})
		go func() {
			defer close(result)
			_, _ = m.Call(ctx, upstream.Call{Tool: "silent", Params: raw(params)})
		}()
		for m.Running() == 0 {
			<-m.wakeSoon()
		}
		m.call("odd", `{}`) // it has come by then
		cancel()
		<-result
	}
	// The first one's would have come before the second one's.
	first := strings.TrimPrefix(wait("silent "), "silent ")
	if line := wait("notifications/cancelled"); strings.Contains(line, `"requestId":`+first+`,`) {
		t.Errorf("the task's request was cancelled: %s", line)
	}
}
