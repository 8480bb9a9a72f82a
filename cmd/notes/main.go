// Command notes is a small MCP server over stdio with a handful of notes kept
// in memory: an upstream that works on a fresh machine, for `make run` and for
// trying out what a key may do. Its four tools span the three effects: list
// and read, write, delete.
package main

import (
	"context"
	"fmt"
	"maps"
	"os"
	"slices"
	"sync"

	mcpgo "github.com/mark3labs/mcp-go/mcp"
	mcpserver "github.com/mark3labs/mcp-go/server"
)

func main() {
	if err := mcpserver.ServeStdio(newServer()); err != nil {
		fmt.Fprintln(os.Stderr, "notes:", err)
		os.Exit(1)
	}
}

func newServer() *mcpserver.MCPServer {
	n := &notebook{notes: map[string]string{
		"groceries": "bread, butter, tea",
		"standup":   "Monday to Thursday at 9:30",
	}}
	s := mcpserver.NewMCPServer("notes", "1.0.0", mcpserver.WithToolCapabilities(false))
	title := mcpgo.WithString("title", mcpgo.Required(), mcpgo.Description("Title of the note"))
	text := mcpgo.WithString("text", mcpgo.Required(), mcpgo.Description("What the note says"))
	s.AddTool(tool("list_notes", "Lists the titles of all notes.", reads), n.list)
	s.AddTool(tool("read_note", "Answers the text of one note.", reads, title), n.read)
	s.AddTool(tool("write_note", "Adds a note; an existing one is not changed.", adds, title, text), n.write)
	s.AddTool(tool("delete_note", "Deletes a note for good.", deletes, title), n.delete)
	return s
}

// What the tools do to the notes, as the protocol's hints say it.
var (
	reads   = mcpgo.ToolAnnotation{ReadOnlyHint: new(true), DestructiveHint: new(false), OpenWorldHint: new(false)}
	adds    = mcpgo.ToolAnnotation{ReadOnlyHint: new(false), DestructiveHint: new(false), OpenWorldHint: new(false)}
	deletes = mcpgo.ToolAnnotation{ReadOnlyHint: new(false), DestructiveHint: new(true), OpenWorldHint: new(false)}
)

func tool(name, description string, hints mcpgo.ToolAnnotation, args ...mcpgo.ToolOption) mcpgo.Tool {
	options := []mcpgo.ToolOption{mcpgo.WithDescription(description), mcpgo.WithToolAnnotation(hints)}
	return mcpgo.NewTool(name, append(options, args...)...)
}

// notebook is safe for concurrent calls.
type notebook struct {
	mu    sync.Mutex
	notes map[string]string
}

func (n *notebook) list(context.Context, mcpgo.CallToolRequest) (*mcpgo.CallToolResult, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	titles := slices.Sorted(maps.Keys(n.notes))
	return mcpgo.NewToolResultStructuredOnly(map[string]any{"titles": titles}), nil
}

func (n *notebook) read(_ context.Context, call mcpgo.CallToolRequest) (*mcpgo.CallToolResult, error) {
	title, err := call.RequireString("title")
	if err != nil {
		return mcpgo.NewToolResultError(err.Error()), nil
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	text, ok := n.notes[title]
	if !ok {
		return noSuchNote(title), nil
	}
	return mcpgo.NewToolResultText(text), nil
}

func (n *notebook) write(_ context.Context, call mcpgo.CallToolRequest) (*mcpgo.CallToolResult, error) {
	title, err := call.RequireString("title")
	if err != nil {
		return mcpgo.NewToolResultError(err.Error()), nil
	}
	text, err := call.RequireString("text")
	if err != nil {
		return mcpgo.NewToolResultError(err.Error()), nil
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if _, ok := n.notes[title]; ok {
		return mcpgo.NewToolResultError(fmt.Sprintf("there is a note %q already", title)), nil
	}
	n.notes[title] = text
	return mcpgo.NewToolResultText(fmt.Sprintf("wrote %q", title)), nil
}

func (n *notebook) delete(_ context.Context, call mcpgo.CallToolRequest) (*mcpgo.CallToolResult, error) {
	title, err := call.RequireString("title")
	if err != nil {
		return mcpgo.NewToolResultError(err.Error()), nil
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if _, ok := n.notes[title]; !ok {
		return noSuchNote(title), nil
	}
	delete(n.notes, title)
	return mcpgo.NewToolResultText(fmt.Sprintf("deleted %q", title)), nil
}

func noSuchNote(title string) *mcpgo.CallToolResult {
	return mcpgo.NewToolResultError(fmt.Sprintf("no note %q (list_notes names them)", title))
}
