// Command conformanceserver is the MCP server that the official conformance
// suite (npm @modelcontextprotocol/conformance) tests: the tools, resources
// and prompts that its scenarios ask for by name, written for mcp-go. The
// end-to-end tests mount it behind Bailiwick, and run the suite on both.
//
//	conformanceserver 127.0.0.1:PORT legacy|both
//
// With `legacy` it speaks only the revisions with sessions (to 2025-11-25),
// with `both` also 2026-07-28. It prints "listening on URL" and serves until it
// is killed.
//
// What a tool must answer is in the descriptions of the suite's scenarios
// (`conformance list --server`, and dist/index.js of the package).
package main

import (
	"fmt"
	"net"
	"net/http"
	"os"

	mcpgo "github.com/mark3labs/mcp-go/mcp"
	mcpserver "github.com/mark3labs/mcp-go/server"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) != 2 || args[1] != "legacy" && args[1] != "both" {
		return fmt.Errorf("usage: conformanceserver 127.0.0.1:PORT legacy|both")
	}
	listener, err := net.Listen("tcp", args[0])
	if err != nil {
		return err
	}
	fmt.Println("listening on", "http://"+listener.Addr().String()+"/mcp")
	return http.Serve(listener, handler(args[1] == "legacy"))
}

// handler serves everything at /mcp. Sessions end with DELETE, which mcp-go
// does only when told that it is stateful.
func handler(legacyOnly bool) http.Handler {
	options := []mcpserver.StreamableHTTPOption{mcpserver.WithStateful(true)}
	if legacyOnly {
		options = append(options, mcpserver.WithStreamableHTTPProtocolVersions("2025-11-25", "2025-06-18", "2025-03-26"))
	}
	var served http.Handler = mcpserver.NewStreamableHTTPServer(newServer(legacyOnly), options...)
	if !legacyOnly {
		served = &taskServer{next: served, tasks: map[string]*task{}}
	}
	mux := http.NewServeMux()
	mux.Handle("/mcp", burst{served})
	return mux
}

func newServer(legacyOnly bool) *mcpserver.MCPServer {
	options := []mcpserver.ServerOption{
		mcpserver.WithToolCapabilities(true),
		mcpserver.WithResourceCapabilities(true, true),
		mcpserver.WithPromptCapabilities(true),
		mcpserver.WithCompletions(),
		mcpserver.WithLogging(),
		mcpserver.WithElicitation(),
		mcpserver.WithRoots(),
	}
	if !legacyOnly {
		options = append(options, mcpserver.WithExtensions(map[string]any{tasksExtension: object{}}))
	}
	s := mcpserver.NewMCPServer("conformance-server", "1.0.0", options...)
	s.EnableSampling()
	addContentTools(s)
	addSchemaTools(s)
	addNotifyingTools(s)
	addChangingTools(s)
	addAskingTools(s)
	addInputTools(s)
	addTaskTools(s)
	addResources(s)
	addPrompts(s)
	return s
}

// addTool adds a tool without arguments of its own.
func addTool(s *mcpserver.MCPServer, name, description string, handle mcpserver.ToolHandlerFunc) {
	s.AddTool(mcpgo.NewTool(name, mcpgo.WithDescription(description)), handle)
}
