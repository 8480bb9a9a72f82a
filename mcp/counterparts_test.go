package mcp_test

import (
	"context"
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	mcpclient "github.com/mark3labs/mcp-go/client"
	"github.com/mark3labs/mcp-go/client/transport"
	mcpgo "github.com/mark3labs/mcp-go/mcp"
	mcpserver "github.com/mark3labs/mcp-go/server"
)

// libraryServer is mcp-go's own server, which asks for a name, a model's answer
// and the roots by input_required, or in the older era by requests of its own.
func libraryServer(t *testing.T, opts ...mcpserver.StreamableHTTPOption) *fakeUpstream {
	s := mcpserver.NewMCPServer("lib", "1", mcpserver.WithToolCapabilities(false), mcpserver.WithPromptCapabilities(false))
	s.EnableSampling()
	ask := mcpgo.ElicitationParams{Message: "Who?", RequestedSchema: map[string]any{"type": "object", "properties": map[string]any{"name": map[string]any{"type": "string"}}}}
	sample := mcpgo.CreateMessageParams{Messages: []mcpgo.SamplingMessage{{Role: mcpgo.RoleUser, Content: mcpgo.NewTextContent("Hi")}}, MaxTokens: 7}
	s.AddTool(mcpgo.NewTool("both", mcpgo.WithReadOnlyHintAnnotation(true)), func(_ context.Context, r mcpgo.CallToolRequest) (*mcpgo.CallToolResult, error) {
		who, said := mcpserver.ElicitationResponse(r.Params.InputResponses, "who"), mcpserver.SamplingResponse(r.Params.InputResponses, "said")
		if who == nil || said == nil {
			return mcpserver.NewInputRequestBuilder("s").Elicit("who", ask).Sample("said", sample).ToolResult(), nil
		}
		if r.Params.RequestState != "s" {
			return nil, fmt.Errorf("state %q", r.Params.RequestState)
		}
		return mcpgo.NewToolResultText(fmt.Sprintf("%v %v %s", who.Action, who.Content, mcpgo.GetTextFromContent(said.Content))), nil
	})
	s.AddPrompt(mcpgo.NewPrompt("p"), func(_ context.Context, r mcpgo.GetPromptRequest) (*mcpgo.GetPromptResult, error) {
		who := mcpserver.ElicitationResponse(r.Params.InputResponses, "who")
		if who == nil {
			return mcpserver.NewInputRequestBuilder("").Elicit("who", ask).PromptResult(), nil
		}
		return mcpgo.NewGetPromptResult("", []mcpgo.PromptMessage{mcpgo.NewPromptMessage(mcpgo.RoleUser, mcpgo.NewTextContent(fmt.Sprint(who.Content)))}), nil
	})
	u := &fakeUpstream{tools: []string{"both"}} // for mount, which counts them
	u.server = httptest.NewServer(mcpserver.NewStreamableHTTPServer(s, opts...))
	t.Cleanup(func() { u.server.CloseClientConnections(); u.server.Close() })
	return u
}

// person answers what a client of mcp-go's is asked.
type person struct{}

func (person) Elicit(context.Context, mcpgo.ElicitationRequest) (*mcpgo.ElicitationResult, error) {
	return &mcpgo.ElicitationResult{ElicitationResponse: mcpgo.ElicitationResponse{Action: mcpgo.ElicitationResponseActionAccept, Content: map[string]any{"name": "Ada"}}}, nil
}

func (person) CreateMessage(context.Context, mcpgo.CreateMessageRequest) (*mcpgo.CreateMessageResult, error) {
	return &mcpgo.CreateMessageResult{SamplingMessage: mcpgo.SamplingMessage{Role: mcpgo.RoleAssistant, Content: mcpgo.NewTextContent("Ho")}, Model: "m"}, nil
}

// TestLibraryCounterparts: mcp-go's clients and servers of both eras ask and
// answer through the gateway.
func TestLibraryCounterparts(t *testing.T) {
	w := newWorld(t)
	older := mcpserver.WithStreamableHTTPProtocolVersions(mcpgo.LegacyProtocolVersions()...)
	// In the older era mcp-go asks on the stream of the whole connection, where a
	// question is for nobody right after another client's call: each has its own.
	for _, era := range []string{"2026", "2025"} {
		w.mount("new-"+era, libraryServer(t))
		w.mount("old-"+era, libraryServer(t, older))
	}
	k := w.key()
	headers := map[string]string{"Authorization": "Bearer " + k.Secret.Reveal()}
	for era, c := range map[string]struct {
		trans []transport.StreamableHTTPCOption
		opts  []mcpclient.ClientOption
	}{
		"2026": {},
		"2025": {[]transport.StreamableHTTPCOption{transport.WithContinuousListening()}, []mcpclient.ClientOption{mcpclient.WithLegacyProtocolOnly()}},
	} {
		tr, err := transport.NewStreamableHTTP(w.http.URL+"/mcp", append(c.trans, transport.WithHTTPHeaders(headers), transport.WithHTTPBasicClient(w.client))...)
		must(t, err)
		client := mcpclient.NewClient(tr, append(c.opts, mcpclient.WithElicitationHandler(person{}), mcpclient.WithSamplingHandler(person{}))...)
		ctx, done := context.WithTimeout(t.Context(), 20*time.Second)
		must(t, client.Start(ctx))
		_, err = client.Initialize(ctx, mcpgo.InitializeRequest{Params: mcpgo.InitializeParams{
			ProtocolVersion: mcpgo.LATEST_PROTOCOL_VERSION, ClientInfo: mcpgo.Implementation{Name: "test", Version: "1"}}})
		must(t, err)
		for _, slug := range []string{"new-" + era, "old-" + era} {
			t.Run(slug, func(t *testing.T) {
				call := mcpgo.CallToolRequest{}
				call.Params.Name = slug + "__both"
				res, err := client.CallTool(ctx, call)
				must(t, err)
				if got := fmt.Sprint(res.Content); !strings.Contains(got, "accept map[name:Ada] Ho") {
					t.Errorf("answered %s", got)
				}
				get := mcpgo.GetPromptRequest{}
				get.Params.Name = slug + "__p"
				p, err := client.GetPrompt(ctx, get)
				must(t, err)
				if got := fmt.Sprint(p.Messages); !strings.Contains(got, "map[name:Ada]") {
					t.Errorf("prompt %s", got)
				}
			})
		}
		_ = client.Close()
		done()
	}
}
