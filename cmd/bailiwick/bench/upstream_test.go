package bench_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"

	mcpgo "github.com/mark3labs/mcp-go/mcp"
	mcpserver "github.com/mark3labs/mcp-go/server"
)

// pageSize is that of the large answer, in bytes of text.
const pageSize = 18 << 10

// beUpstream is an MCP server over streamable HTTP: /mcp speaks both eras,
// /old only the one with sessions, /many has as many tools as its argument says.
func beUpstream(args []string) error {
	tools, err := strconv.Atoi(args[0])
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.Handle("/mcp", mcpserver.NewStreamableHTTPServer(newUpstream(0)))
	mux.Handle("/old", old(mcpserver.NewStreamableHTTPServer(newUpstream(0))))
	mux.Handle("/many", mcpserver.NewStreamableHTTPServer(newUpstream(tools)))
	return listenAndServe(mux)
}

// old refuses what a server from before 2026-07-28 does not know.
func old(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if mcpgo.IsModernProtocol(r.Header.Get(mcpgo.HeaderProtocolVersion)) {
			http.Error(w, "Bad Request: Unsupported protocol version", http.StatusBadRequest)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// listenAndServe says where on standard output.
func listenAndServe(h http.Handler) error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Printf("listening on http://%s\n", l.Addr())
	return http.Serve(l, h)
}

// beStdio is the same server on standard input and output.
func beStdio([]string) error {
	err := mcpserver.ServeStdio(newUpstream(0))
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// newUpstream has two tools, echo and page, and as many more as told.
func newUpstream(more int) *mcpserver.MCPServer {
	s := mcpserver.NewMCPServer("bench", "1.0.0", mcpserver.WithToolCapabilities(true))
	s.AddTool(newTool("echo"), func(_ context.Context, r mcpgo.CallToolRequest) (*mcpgo.CallToolResult, error) {
		return mcpgo.NewToolResultText(r.GetString("text", "")), nil
	})
	page := strings.Repeat(`a line "quoted" é, `, pageSize/20)
	s.AddTool(newTool("page"), func(context.Context, mcpgo.CallToolRequest) (*mcpgo.CallToolResult, error) {
		return mcpgo.NewToolResultText(page), nil
	})
	for i := range more {
		s.AddTool(newTool(fmt.Sprintf("tool_%04d", i)), func(context.Context, mcpgo.CallToolRequest) (*mcpgo.CallToolResult, error) {
			return mcpgo.NewToolResultText("ok"), nil
		})
	}
	return s
}

func newTool(name string) mcpgo.Tool {
	return mcpgo.NewTool(name, mcpgo.WithDescription("Answers a text; the description is as long as descriptions are."),
		mcpgo.WithString("text", mcpgo.Required(), mcpgo.Description("What to answer")),
		mcpgo.WithToolAnnotation(mcpgo.ToolAnnotation{ReadOnlyHint: new(true)}))
}
