package mcp_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	mcpclient "github.com/mark3labs/mcp-go/client"
	"github.com/mark3labs/mcp-go/client/transport"
	mcpgo "github.com/mark3labs/mcp-go/mcp"

	"github.com/bailiwick-mcp/bailiwick/keys"
)

// TestClients drives the gateway with mcp-go's client: streamable HTTP in
// both eras, and HTTP+SSE.
func TestClients(t *testing.T) {
	w := newWorld(t)
	up := newUpstream(t, tool("read_x", "r"), tool("drop_x", "d"))
	w.mount("a1", up)
	k := w.key(func(n *keys.NewKey) { n.MCPReadOnly = keys.Some(true) })
	headers := map[string]string{"Authorization": "Bearer " + k.Secret.Reveal()}
	for name, c := range map[string]struct {
		want string
		open func() (transport.Interface, error)
		opts []mcpclient.ClientOption
	}{
		"stateless": {mcpgo.ProtocolVersion20260728, func() (transport.Interface, error) {
			return transport.NewStreamableHTTP(w.http.URL+"/mcp", transport.WithHTTPHeaders(headers), transport.WithHTTPBasicClient(w.client))
		}, nil},
		"sessions": {mcpgo.ProtocolVersion20251125, func() (transport.Interface, error) {
			return transport.NewStreamableHTTP(w.http.URL+"/mcp", transport.WithHTTPHeaders(headers), transport.WithHTTPBasicClient(w.client),
				transport.WithContinuousListening())
		}, []mcpclient.ClientOption{mcpclient.WithLegacyProtocolOnly()}},
		"SSE": {mcpgo.ProtocolVersion20251125, func() (transport.Interface, error) {
			return transport.NewSSE(w.http.URL+"/sse", transport.WithHeaders(headers), transport.WithHTTPClient(w.client))
		}, []mcpclient.ClientOption{mcpclient.WithLegacyProtocolOnly()}},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, done := context.WithTimeout(t.Context(), 10*time.Second)
			defer done()
			tr, err := c.open()
			must(t, err)
			client := mcpclient.NewClient(tr, c.opts...)
			defer func() { _ = client.Close() }()
			told := make(chan string, 10)
			client.OnNotification(func(n mcpgo.JSONRPCNotification) { told <- n.Method })
			must(t, client.Start(ctx))
			_, err = client.Initialize(ctx, mcpgo.InitializeRequest{Params: mcpgo.InitializeParams{
				ProtocolVersion: mcpgo.LATEST_PROTOCOL_VERSION, ClientInfo: mcpgo.Implementation{Name: "test", Version: "1"}}})
			must(t, err)
			if got := client.ProtocolVersion(); got != c.want {
				t.Errorf("version %s", got)
			}
			list, err := client.ListTools(ctx, mcpgo.ListToolsRequest{})
			must(t, err)
			got := []string{}
			for _, tl := range list.Tools {
				got = append(got, tl.Name)
			}
			if !slices.Contains(got, "a1__read_x") || slices.Contains(got, "a1__drop_x") {
				t.Errorf("listed %v", got)
			}
			call := mcpgo.CallToolRequest{}
			call.Params.Name = "a1__read_x"
			res, err := client.CallTool(ctx, call)
			must(t, err)
			if len(res.Content) != 1 || res.IsError {
				t.Errorf("%+v", res)
			}
			call.Params.Name = "a1__drop_x"
			if _, err := client.CallTool(ctx, call); err == nil || !strings.Contains(err.Error(), "Unknown tool: a1__drop_x") {
				t.Errorf("denied: %v", err)
			}
			if name == "stateless" {
				stop, err := client.ListenAsync(ctx, mcpgo.SubscriptionFilter{ToolsListChanged: true}, nil)
				must(t, err)
				defer stop()
				w.awaitNotification(told, "notifications/subscriptions/acknowledged")
			}
			// The stream of a session opens beside the first requests, so the
			// change is made until it is told.
			n := 0
			w.until("list_changed", func() bool {
				if n++; n%2 == 0 {
					up.setTools(tool("read_x", "r"), tool("drop_x", "d"))
				} else {
					up.setTools(tool("read_x", "r"), tool("read_more", "r"))
				}
				select {
				case method := <-told:
					return method == mcpgo.MethodNotificationToolsListChanged
				case <-time.After(100 * time.Millisecond):
					return false
				}
			})
			up.setTools(tool("read_x", "r"), tool("drop_x", "d"))
		})
	}
}

func (w *world) awaitNotification(told <-chan string, method string) {
	w.t.Helper()
	for {
		select {
		case got := <-told:
			if got == method {
				return
			}
		case <-time.After(5 * time.Second):
			w.t.Fatalf("never: %s", method)
		}
	}
}
